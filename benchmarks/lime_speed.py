"""Speed of `lime` on the segments of pictures, beside the bare forward passes of as many pictures.

    python benchmarks/lime_speed.py [--rows N] [--samples N] [--repeats N] [--out JSON]

A convolutional network of 160 x 160 pixels with random weights, 150 million multiplications a picture. Both use the
same ONNX Runtime session on one thread, in turn, as many times as asked; the least processor time counts. The bare
passes take pictures that are there already, in calls of the fastest of a few sizes. `lime` cuts the picture, draws and
mixes the samples, scores them and fits its regression.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from torch import nn

import whyport
from whyport.batch.methods.explainer import CALL_VALUES
from whyport.batch.methods.reduction import Reduction
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.rows import CleanBatch
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.targets import TargetChoice
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import task_of
from whyport.runtime.session import Session

SIZE, CLASSES = 160, 10
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
CALLS = (8, 16)
"""Pictures in a call of the bare passes."""


def make() -> nn.Module:
    """Pictures [N, 3, height, width] to scores [N, classes]."""
    torch.manual_seed(0)
    widths = (3, 32, 64, 128, 256)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(256, CLASSES)).eval()


def export(folder: Path) -> Bundle:
    """The network as a bundle."""
    files = []
    for name in PHOTOS:
        file = BytesIO()
        Image.fromarray(getattr(data, name)()).save(file, "JPEG")
        files.append(file.getvalue())
    pq.write_table(pa.table({"photo": files * 3}), folder / "photos.parquet")
    made = whyport.export(
        "lime_speed:make",
        folder / "photos.parquet",
        folder / "bundle",
        input=f"input=image:photo:size={SIZE}x{SIZE},channels=3",
        explain_references=0,
    )
    return Bundle.read(made.path)


def cpu_seconds(run: Callable[[], Any]) -> float:
    """The processor time of a call."""
    began = time.process_time()
    run()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "lime_speed.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = export(Path(folder))
        session = Session(bundle, "cpu", threads=1)
        matrix = session.matrix(pq.read_table(Path(folder) / "photos.parquet"))[: arguments.rows]
        reduction = Reduction.of(bundle.sidecar, {}, "slic:50", "sum")
        settings = ExplainSettings.of(samples=arguments.samples, baseline="mean")
        choice = TargetChoice.parse(None, task_of(bundle.sidecar))
        scorer = Scorer(session, ("lime",), choice, settings, reduction)
        predicted = scorer.predict(CleanBatch.of_matrix(matrix))

        def bare(call: int) -> Callable[[], None]:
            pictures: NDArray[np.float32] = np.repeat(matrix[:1], call, axis=0)
            calls, rest = divmod(len(matrix) * (arguments.samples - 1), call)

            def run() -> None:
                for _ in range(calls):
                    session.run(pictures, ["logits"])
                if rest:
                    session.run(pictures[:rest], ["logits"])

            return run

        contenders = {f"bare, {call} a call": bare(call) for call in (*CALLS, CALL_VALUES // matrix.shape[1])}
        contenders |= {"lime": lambda: scorer.explain(predicted)}
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(arguments.repeats):
            for name, run in contenders.items():
                seconds[name].append(cpu_seconds(run))
    least = {name: min(taken) for name, taken in seconds.items()}
    result = {
        "settings": {
            "rows": arguments.rows,
            "samples": arguments.samples,
            "repeats": arguments.repeats,
            "cpu": platform.processor() or platform.machine(),
            "versions": {name: version(name) for name in ("whyport", "onnxruntime", "scikit-image")},
        },
        "cpu_seconds_a_row": {name: round(value / arguments.rows, 3) for name, value in least.items()},
        "lime_over_the_fastest_bare_passes": round(
            least["lime"] / min(value for name, value in least.items() if name != "lime"), 3
        ),
    }
    print(json.dumps(result, indent=1))
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
