"""Speed of `deepshap` on an LSTM over sequences [24, 8], beside shap's and captum's explainers of networks.

    python benchmarks/sequence_speed.py [--repeats N] [--out JSON]

One network of random weights, 10 references, one class of three, one thread, rows per second of processor time, medians
over the repeats. Each peer is timed with the number of rows a call that suits it best. `error` is the largest share of
the range of score - base value by which a peer's or our sums miss it.
"""

import argparse
import json
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shap
import torch
from captum.attr import DeepLiftShap
from numpy.typing import NDArray
from torch import Tensor, nn

import whyport
from timing import fastest, in_turn
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.references import References

STEPS, WIDTH, HIDDEN, CLASSES = 24, 8, 32, 3
REFERENCES, ROWS, TARGET = 10, 512, 1
CALL_ROWS = (8, 32, 128)
"""Rows of a call that peers are tried with."""

OURS = "whyport deepshap"

Shares = NDArray[np.floating[Any]]


class Sequence(nn.Module):
    """An LSTM whose last step gives the scores."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(WIDTH, HIDDEN, batch_first=True)
        self.out = nn.Linear(HIDDEN, CLASSES)

    def forward(self, steps: Tensor) -> Tensor:
        """[N, 24, 8] to scores [N, 3]."""
        scores: Tensor = self.out(self.lstm(steps)[0][:, -1])
        return scores


def make() -> nn.Module:
    """The network, as `whyport export` takes it."""
    return Sequence().eval()


def of_peer(peer: str, rows: Tensor, references: Tensor, call_rows: int) -> Callable[[], Shares]:
    """The shares [N, 24, 8] that a peer gives for one class."""
    network = make()
    if peer == "captum.DeepLiftShap":
        captum = DeepLiftShap(network)
        return lambda: np.concatenate(
            [captum.attribute(part, references, target=TARGET).detach().numpy() for part in rows.split(call_rows)]
        )
    explainer = getattr(shap, peer.removeprefix("shap."))(network, references)
    options = {"check_additivity": False} if peer == "shap.DeepExplainer" else {"nsamples": 200}
    return lambda: np.concatenate(
        [explainer.shap_values(part, **options)[..., TARGET] for part in rows.split(call_rows)]
    )


def measure(repeats: int) -> dict[str, Any]:
    """Rows per processor second, and how far the sums are off."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((ROWS + REFERENCES, STEPS, WIDTH)).astype(np.float32).cumsum(1) * np.float32(0.3)
    rows, references = torch.from_numpy(values[REFERENCES:]), torch.from_numpy(values[:REFERENCES])
    with torch.no_grad():
        scores = make()(torch.from_numpy(values)).numpy()[:, TARGET].astype(np.float64)
    difference = scores[REFERENCES:] - scores[:REFERENCES].mean()
    with tempfile.TemporaryDirectory() as folder:
        bundle = _bundle(Path(folder), values)
        flat, targets = values[REFERENCES:].reshape(ROWS, -1), np.full(ROWS, TARGET)
        engine, background = TorchScriptModel(bundle, "cpu", 1), References.read(bundle)
        method = explainer_class("deepshap")(engine, background, ExplainSettings().of_method("deepshap"))
        calls: dict[str, Callable[[], Shares]] = {OURS: lambda: explain(method, flat, targets).values}
        for peer in ("shap.DeepExplainer", "captum.DeepLiftShap", "shap.GradientExplainer"):
            calls[peer] = _best(peer, rows, references)
        seconds, found = in_turn(calls, repeats)
    errors = {
        name: float(
            np.abs(shares.reshape(len(shares), -1).sum(1) - difference[: len(shares)]).max() / np.ptp(difference)
        )
        for name, shares in found.items()
    }
    median = {name: len(found[name]) / spent for name, spent in seconds.items()}
    return {
        "rows per cpu-second": {name: round(rate, 1) for name, rate in median.items()},
        "times": {name: round(median[OURS] / rate, 2) for name, rate in median.items()},
        "error": {name: float(f"{error:.2g}") for name, error in errors.items()},
    }


def _best(peer: str, rows: Tensor, references: Tensor) -> Callable[[], Shares]:
    """A peer with the number of rows a call that is fastest for a few of them."""
    few = rows[:64] if peer != "shap.GradientExplainer" else rows[:16]
    best = fastest({call_rows: of_peer(peer, few, references, call_rows) for call_rows in CALL_ROWS})
    kept = rows[:256] if peer != "shap.GradientExplainer" else rows[:32]
    return of_peer(peer, kept, references, best)


def _bundle(folder: Path, values: NDArray[np.float32]) -> whyport.Bundle:
    for name, own in (("sample", values), ("references", values[:REFERENCES])):
        pq.write_table(pa.table({"steps": pa.array(own.tolist())}), folder / f"{name}.parquet")
    return whyport.export(
        "sequence_speed:make",
        folder / "sample.parquet",
        folder / "bundle",
        input="steps=sequence:steps",
        background=folder / "references.parquet",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "sequence_speed.json")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    sys.path.insert(0, str(Path(__file__).parent))
    packages = {name: version(name) for name in ("torch", "shap", "captum")}
    result = {"machine": platform.machine(), "repeats": given.repeats, "versions": packages} | measure(given.repeats)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
