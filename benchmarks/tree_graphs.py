"""explain.onnx of trees: its size, and its speed in Python and Node.js beside treeshap's kernel.

    python benchmarks/tree_graphs.py [--out JSON]

Trains forests and boosted trees on made tables, and explains the predicted class of the same rows in every way. Rates
are rows per second of processor time. Needs whyport[train,trees] and examples/node with its packages
(scripts/node-modules).
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import make_classification

from whyport import train
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL
from whyport.runtime.session import Session

ROWS = 2048
CALL_ROWS = 64
REPEATS = 3
MODELS: dict[str, tuple[str, dict[str, int], int, int]] = {
    "boosting, 100 trees of depth 3": ("boosting", {"max_iter": 100, "max_depth": 3}, 20_000, 30),
    "boosting, 100 trees of depth 6": ("boosting", {"max_iter": 100, "max_depth": 6, "max_leaf_nodes": 64}, 20_000, 30),
    "boosting, 300 trees of depth 6": ("boosting", {"max_iter": 300, "max_depth": 6, "max_leaf_nodes": 64}, 20_000, 30),
    "forest, 100 trees, max_depth=6": ("forest", {"n_estimators": 100, "max_depth": 6}, 20_000, 30),
    "forest, 100 trees, max_depth=8": ("forest", {"n_estimators": 100, "max_depth": 8}, 20_000, 30),
    "forest, 100 trees, max_leaf_nodes=64": ("forest", {"n_estimators": 100, "max_leaf_nodes": 64}, 20_000, 30),
    "forest, 150 trees of any depth, 5 features": ("forest", {"n_estimators": 150}, 2_000, 5),
}
"""The architecture, its settings, and the rows and features of the table."""

NODE = """
import * as ort from "onnxruntime-node";
import { readFileSync } from "node:fs";
import { Bundle } from "../shared/bundle.mjs";
import { EXPLAINING, Model } from "../shared/model.mjs";
const { folder, rows, call } = JSON.parse(readFileSync(0));
const bundle = await Bundle.read(folder, async (name) => readFileSync(`${folder}/${name}`));
const model = await Model.open(ort, bundle, EXPLAINING);
const all = async () => {
  const started = process.cpuUsage();
  for (let i = 0; i < rows.length; i += call) await model.run(rows.slice(i, i + call));
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1e6;
};
await all();
console.log(JSON.stringify([await all(), await all(), await all()]));
"""


def table(rows: int, features: int) -> pd.DataFrame:
    """Rows of two classes, as float32."""
    informative = max(3, features // 2)
    values, classes = make_classification(
        rows, features, n_informative=informative, n_redundant=features // 10, flip_y=0.1, random_state=0
    )
    frame = pd.DataFrame(values.astype(np.float32), columns=[f"x{j}" for j in range(features)])
    return frame.assign(label=np.where(classes == 1, "yes", "no"))


def measure(name: str, folder: Path) -> dict[str, Any]:
    """One model: what it is, and how fast each way explains it."""
    architecture, settings, count, features = MODELS[name]
    frame = table(count, features)
    path = folder / f"{count}.parquet"
    frame.to_parquet(path)
    bundle = train(path, "label", folder / name.replace(" ", "-"), architecture=architecture, set=settings)
    trees = bundle.sidecar.graph("trees")
    assert trees is not None
    capability = bundle.sidecar.capabilities["explain-onnx"]
    known = {"model": name, **trees.figures, "explain_onnx": capability.reason or "available"}
    # Rows that differ: values between those of the table.
    rows = frame.drop(columns="label").to_numpy(np.float32)
    drawn = np.random.default_rng(1).integers(len(rows), size=(2, ROWS))
    rows = ((rows[drawn[0]] + rows[drawn[1]]) / 2).astype(np.float32)
    rates = {"treeshap": _rate(_kernel(bundle, rows))}
    if not capability.available:
        return known | {"rows_per_cpu_second": rates}
    session = Session(bundle, "cpu", threads=1)
    rates["explain.onnx, Python"] = _rate(lambda: session.explain(rows))
    rates["explain.onnx, Node.js"] = round(ROWS / statistics.median(_node(bundle, rows)))
    bytes_of = {file: (bundle.path / file).stat().st_size for file in ("model.onnx", EXPLAIN_MODEL)}
    return known | {"bytes": bytes_of, "rows_per_cpu_second": rates}


def _kernel(bundle: Bundle, rows: NDArray[np.float32]) -> Callable[[], Any]:
    model, references = OnnxModel(Session(bundle, "cpu", threads=1)), References.read(bundle)
    explainer = explainer_class("treeshap")(model, references, ExplainSettings().of_method("treeshap"))
    targets = model.session.task.predicted(model.scores(rows))
    return lambda: explain(explainer, rows, targets)


def _rate(run: Callable[[], Any]) -> int:
    run()
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return round(ROWS / statistics.median(seconds))


def _node(bundle: Bundle, rows: NDArray[np.float32]) -> list[float]:
    given = {"folder": str(bundle.path), "rows": rows.tolist(), "call": CALL_ROWS}
    done = subprocess.run(
        ["node", "--input-type=module", "-e", NODE],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1] / "examples" / "node",
    )
    seconds: list[float] = json.loads(done.stdout)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for name in options.models:
            results.append(measure(name, Path(folder)))
            print(json.dumps(results[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
