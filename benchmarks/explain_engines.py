"""DeepSHAP by TorchScript with fused kernels beside explain.onnx, against the same references.

    python benchmarks/explain_engines.py [--references 10 100] [--out JSON]

Trains the demo model, compiles explain.onnx with the given number of background rows, and explains the predicted class
of the same rows with both engines, in turn. Seconds are given twice: CPU seconds of all threads of the process, which
other work on the machine changes little, and wall-clock seconds.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from demo_model import EagerModel, resample, train
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.exporter.deepshap import build_program
from whyport.exporter.graphs.heads import LogitsHead
from whyport.exporter.graphs.onnx import export_lean
from whyport.exporter.reasons.graphs import ExplainGraph
from whyport.runtime.batching import rows_per_call
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.graphs import reasons_outputs
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, task_of
from whyport.runtime.runner import Runner

ROWS = 512
REPEATS = 3


def measure(bundle: Bundle, count: int) -> dict[str, Any]:
    """Compare both engines against the first `count` rows of the background."""
    sidecar = bundle.sidecar
    whole = References.read(bundle)
    references = References(whole.rows[:count], np.full(count, 1 / count))
    rows = resample(ROWS).to_numpy(np.float32)
    eager = EagerModel(bundle)
    program = build_program(eager, torch.from_numpy(rows[:5]))
    imputation = sidecar.imputation if sidecar.imputes else None
    graph = ExplainGraph(program, imputation, task_of(sidecar), LogitsHead(), references)
    specs = reasons_outputs(EXPLAIN_MODEL, sidecar.signature.outputs[:2], len(sidecar.columns))
    inputs = {"features": torch.from_numpy(rows[:5]), "target_index": torch.tensor([-1, 0, 1, 0, -1])}
    start = time.process_time()
    model = export_lean(graph.eval(), inputs, [spec.name for spec in specs], 18)
    seconds = time.process_time() - start
    content = model.SerializeToString()
    runner = Runner("explain.onnx", content, "cpu", 2, rows_per_call(len(sidecar.columns)))
    torchscript = TorchScriptModel(bundle, "cpu", 2)
    explainer = explainer_class("deepshap")(torchscript, references, ExplainSettings().of_method("deepshap"))
    targets = task_of(sidecar).predicted(torchscript.scores(rows))
    index = np.full(ROWS, -1)

    def by_onnx() -> Any:
        return runner.run({"features": rows, "target_index": index}, specs)["attribution"]

    def by_torchscript() -> Any:
        return explain(explainer, rows, targets).values

    distance = float(np.abs(by_onnx() - by_torchscript()).max())
    timed = {"explain.onnx": by_onnx, "deepshap.pt with fused kernels": by_torchscript}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for _ in range(REPEATS):
        for name, run in timed.items():
            rates[name].append(_rates(run))
    return {
        "references": count,
        "nodes": len(model.graph.node),
        "bytes": len(content),
        "export_cpu_seconds": round(seconds, 1),
        "largest_difference": distance,
        "rows_per_second": {name: round(statistics.median(of for of, _ in values)) for name, values in rates.items()},
        "rows_per_cpu_second": {
            name: round(statistics.median(of for _, of in values)) for name, values in rates.items()
        },
    }


def _rates(run: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return ROWS / (time.perf_counter() - wall), ROWS / (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(Path(folder))
        results = {
            "summary": getattr(bundle.sidecar.baseline("summary"), "figures", None),
            "parity": {k: v for k, v in vars(bundle.sidecar.parity).items() if k.startswith(("explain", "gradient"))},
            "engines": [measure(bundle, count) for count in options.references],
        }
    text = json.dumps(results, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
