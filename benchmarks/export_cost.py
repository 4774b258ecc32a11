"""The cost of an export over long rows: CPU seconds, peak memory, nodes and file sizes, by network and length.

    python benchmarks/export_cost.py [--networks gru,lstm,transformer] [--lengths 24,96,512] [--python PYTHON]
        [--seconds 900] [--name after] [--out JSON]

Each case is one `whyport export` in a process of its own, on Linux, by the environment of PYTHON: that of another
checkout gives the figures before a change. A case that takes more than the given CPU seconds is ended, and says so.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

HIDDEN, ROWS = 16, 300
FILES = ("model.onnx", "explain.onnx", "gradient.onnx", "deepshap.pt", "model.pt")


class Recurrent(nn.Module):
    """A recurrent layer in both directions over rows [N, T], and the mean of its steps."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.steps = nn.Linear(1, 12)
        self.layer = kind(12, HIDDEN, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 2)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows [N, T] to logits [N, 2]."""
        logits: Tensor = self.head(self.layer(self.steps(rows.unsqueeze(2)))[0].mean(1))
        return logits


class Transformer(nn.Module):
    """One layer of a transformer over patches of 8 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Linear(8, HIDDEN)
        self.layer = nn.TransformerEncoderLayer(HIDDEN, 4, 2 * HIDDEN, dropout=0.0, batch_first=True)
        self.head = nn.Linear(HIDDEN, 2)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows [N, T] to logits [N, 2]."""
        logits: Tensor = self.head(self.layer(self.patches(rows.unflatten(1, (-1, 8)))).mean(1))
        return logits


def gru() -> nn.Module:
    """A factory for `whyport export`."""
    torch.manual_seed(0)
    return Recurrent(nn.GRU)


def lstm() -> nn.Module:
    """A factory for `whyport export`."""
    torch.manual_seed(0)
    return Recurrent(nn.LSTM)


def transformer() -> nn.Module:
    """A factory for `whyport export`."""
    torch.manual_seed(0)
    return Transformer()


def nodes(graph: onnx.GraphProto) -> int:
    """The nodes of a graph and of those inside it."""
    return sum(1 + sum(nodes(item.g) for item in node.attribute if item.HasField("g")) for node in graph.node)


def measure(network: str, length: int, python: str, seconds: int) -> dict[str, Any]:
    """Export one network over rows of a length."""
    with tempfile.TemporaryDirectory() as folder:
        sample, out = Path(folder) / "sample.csv", Path(folder) / "bundle"
        with sample.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([f"t{i}" for i in range(length)])
            writer.writerows(np.random.default_rng(0).normal(size=(ROWS, length)).astype(np.float32).tolist())
        arguments = ["export", f"export_cost:{network}", "--sample", sample, "--out", out]
        process = subprocess.Popen(
            [python, "-m", "whyport", *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds)),
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        result: dict[str, Any] = {
            "network": network,
            "length": length,
            "finished": process.returncode == 0,
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
            "peak_mb": round(used.ru_maxrss * 1024 / 1e6),
        }
        if process.returncode == 0:
            made = [out / name for name in FILES if (out / name).exists()]
            result["bytes"] = {path.name: path.stat().st_size for path in made}
            graphs = [path for path in made if path.suffix == ".onnx"]
            result["nodes"] = {path.name: nodes(onnx.load(path).graph) for path in graphs}
        return result


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="gru,lstm,transformer")
    parser.add_argument("--lengths", default="24,96,512")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seconds", type=int, default=900, help="CPU seconds after which a case is ended.")
    parser.add_argument("--name", default="after", help="The key of the figures in JSON; others there stay.")
    parser.add_argument("--out", type=Path, default=here / "results" / "export_cost.json")
    arguments = parser.parse_args()
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    figures = {(each["network"], each["length"]): each for each in known.get(arguments.name, [])}
    for network, length in product(arguments.networks.split(","), map(int, arguments.lengths.split(","))):
        result = measure(network, length, arguments.python, arguments.seconds)
        print(json.dumps(result), flush=True)
        figures[network, length] = result
        known[arguments.name] = [figures[key] for key in sorted(figures)]
        arguments.out.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
