"""Speed and memory of explanations of pictures and texts, beside captum and beside bare forward passes.

    python benchmarks/inputs_speed.py [--only PART,PART] [--rows N] [--repeats N] [--bundles FOLDER] [--out JSON]

Bundles are exported from networks as users export them, with PNG pictures or texts in Parquet, and rows are predicted
and explained as `whyport run` does it. Times are seconds of processor time per row on one thread, medians of repeats
in which everything runs once, in turn. Each peer has the number of rows or steps a call that is fastest. Memory is what
explaining adds, at its peak, to a process that has predicted a row.

The parts are in `PARTS`. A part that is not run keeps its figures in the file of results.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch read it

import torch

import inputs_cnn
import inputs_segments
import inputs_texts


@dataclass(frozen=True)
class Part:
    """A comparison."""

    measure: Callable[[Path, int, int], dict[str, Any]]
    """The figures, from a folder, a number of rows, and one of repeats."""
    models: str
    """The folder of its bundles, which another part may share."""
    rows: int
    """The number of rows by default."""


PARTS = {
    "deepshap-cnn": Part(inputs_cnn.deepshap, "defects", 8),
    "gradients-cnn": Part(inputs_cnn.gradients, "defects", 8),
    "deepshap-encoder": Part(inputs_texts.deepshap, "encoder", 8),
    "tokeniser": Part(inputs_texts.tokeniser, "encoder", 1000),
    "lime-mobilenet": Part(inputs_segments.lime, "mobilenet", 1),
    "segments-mobilenet": Part(inputs_segments.of_150_528_cells, "mobilenet", 1),
}


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,PART")
    parser.add_argument("--rows", type=int, help="By default a number that suits each part.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bundles", type=Path, help="Keeps bundles here, and takes those that are here already.")
    parser.add_argument("--out", type=Path, default=here / "results" / "inputs_speed.json")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    sys.path.insert(0, str(here))
    results: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {}
    packages = {name: version(name) for name in ("torch", "onnxruntime", "captum", "transformers")}
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.only.split(","):
            part = PARTS[name]
            rows, folder = given.rows or part.rows, (given.bundles or Path(temporary)) / part.models
            folder.mkdir(parents=True, exist_ok=True)
            figures = part.measure(folder, rows, given.repeats)
            results[name] = {"rows": rows, "repeats": given.repeats, **figures}
            print(name, json.dumps(results[name], indent=1), flush=True)
            results["machine"], results["versions"] = platform.machine(), packages
            given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
