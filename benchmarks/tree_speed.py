"""Speed of `treeshap` beside other exact explainers of trees, in rows per second of processor time.

    python benchmarks/tree_speed.py [--repeats N] [--out JSON]

Everything is measured in one run: 100 references, rows that differ, the building of tables included, medians over the
repeats. Peers explain as many rows as a few seconds take: their rate does not depend on the number. A peer that is not
installed is named with the reason. `wall` compares two threads with one, by the clock. The peak memory is a process's
own, above what it has loaded: MB of resident memory that explaining the first model's rows adds.
"""

import argparse
import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shap
import xgboost
from numpy.typing import NDArray
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from explain_memory import status
from whyport.batch.methods.settings import MEMORY
from whyport.batch.methods.treeshap.forest import Forest
from whyport.batch.methods.treeshap.kernel import Kernel
from whyport.batch.methods.treeshap.measure import measure_of
from whyport.batch.methods.treeshap.raw_scores import RawScores
from whyport.runtime.bundle.trees import NUMBER, Trees

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.forests import trees_of_scikit

REFERENCES = 100
PEER_ROWS = 16
PATH_ROWS = 2048

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A model with the rows that it is asked about."""

    name: str
    model: Any
    trees: Trees
    references: Array
    rows: Array
    sizes: tuple[int, ...]


def ours(case: Case, count: int, by_cover: bool = False, threads: int = 1) -> None:
    """Explain rows from nothing but the trees: units, tables, look-ups."""
    scores, of_column = RawScores.of(case.trees), case.trees.columns.astype(np.int64)
    forest = Forest.of(case.trees, of_column, scores.value, by_cover)
    references = case.references[:0] if by_cover else case.references
    weights = np.full(len(references), 1 / REFERENCES)
    kernel = Kernel(forest, measure_of(forest, references, weights), len(of_column), threads, MEMORY // 8)
    cells = np.ascontiguousarray(case.rows[:count].T)
    kernel.shares(cells, [(0, count, 0)])


def of_xgboost(model: xgboost.Booster, features: int) -> Trees:
    """The trees of a booster for regression, from its own JSON: less than the condition goes left."""
    parts = json.loads(model.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    starts = np.cumsum([0, *(len(part["left_children"]) for part in parts)])

    def joined(name: str, dtype: Any) -> Array:
        return np.concatenate([np.array(part[name], dtype=dtype) for part in parts])

    def moved(name: str) -> Array:
        made = [np.array(part[name]) + start for part, start in zip(parts, starts, strict=False)]
        return np.where(leaf, -1, np.concatenate(made)).astype(np.int32)

    leaf = joined("left_children", int) < 0
    condition = joined("split_conditions", np.float32)
    return Trees(
        roots=starts[:-1].astype(np.int32),
        cell=np.where(leaf, -1, joined("split_indices", np.int32)).astype(np.int32),
        threshold=np.where(leaf, 0, np.nextafter(condition, np.float32(-np.inf))).astype(np.float32),
        missing_left=joined("default_left", np.bool_),
        left=moved("left_children"),
        right=moved("right_children"),
        value=np.where(leaf, condition, 0).astype(np.float64)[:, None],
        weights=np.eye(1),
        offset=np.zeros(1),
        columns=np.arange(features, dtype=np.int32),
        encoding=np.full(features, NUMBER, dtype=np.int32),
        tables=np.empty(0, dtype=np.float32),
        cover=joined("sum_hessian", np.float64),
    )


def for_shap(trees: Trees) -> dict[str, Any]:
    """The same trees as shap's own code in C takes them."""
    parts = []
    for start, stop in pairwise([*trees.roots, len(trees.cell)]):
        some = slice(start, stop)
        left, right = (np.where(side[some] < 0, -1, side[some] - start) for side in (trees.left, trees.right))
        parts.append(
            {
                "children_left": left,
                "children_right": right,
                "children_default": np.where(trees.missing_left[some], left, right),
                "features": np.maximum(trees.cell[some], -2),
                "thresholds": trees.threshold[some].astype(np.float64),
                "values": trees.value[some],
                "node_sample_weight": np.ones(stop - start) if trees.cover is None else trees.cover[some],
            }
        )
    kinds = {"input_dtype": np.float32, "internal_dtype": np.float64, "tree_output": "raw_value"}
    return {"trees": parts, "base_offset": 0.0} | kinds


def one_score(trees: Trees) -> Trees:
    """The trees of a classifier of two classes, for the second alone."""
    return replace(trees, value=trees.value[:, 1:].copy(), weights=np.array([[1.0]]), offset=np.zeros(1))


def friedman(rng: np.random.Generator, rows: int, features: int) -> tuple[Array, Array]:
    """Friedman's first function with noise."""
    x = rng.random((rows, features)).astype(np.float32)
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, y + rng.normal(size=rows)


def cases() -> Iterator[Case]:
    """The four models, each made when it is its turn."""
    rng = np.random.default_rng(1)
    x, y = friedman(rng, 2450, 37)
    s2 = RandomForestRegressor(random_state=1).fit(x, y)
    many = rng.random((8192, 37)).astype(np.float32)
    yield Case("S2: forest, 2450 x 37", s2, trees_of_scikit(s2), x[:REFERENCES], many, (32, 2048, 8192))
    x, y = make_classification(20000, 30, n_informative=10, flip_y=0.05, random_state=0)
    x = x.astype(np.float32)
    forest = RandomForestClassifier(100, random_state=0).fit(x, y)
    trees = one_score(trees_of_scikit(forest))
    yield Case("forest, 20000 x 30", forest, trees, x[:REFERENCES], x[REFERENCES:], (32, 2048, 8192))
    x, y = friedman(rng, 20000, 30)
    booster = xgboost.train({"max_depth": 6}, xgboost.DMatrix(x, y), 300)
    rows = rng.random((20000, 30)).astype(np.float32)
    yield Case("XGBoost, 300 x 6", booster, of_xgboost(booster, 30), x[:REFERENCES], rows, (32, 8192, 20000))
    x, y = friedman(rng, 1000, 5)
    small = RandomForestClassifier(150, random_state=0).fit(x, y > np.median(y))
    rows = rng.random((8192, 5)).astype(np.float32)
    yield Case("S6: forest, 150 trees, 5 features", small, one_score(trees_of_scikit(small)), x[:100], rows, (32, 8192))


def ways(case: Case) -> dict[str, tuple[int, Callable[[], Any]]]:
    """The number of rows and the call that explains them, by the name of what is timed."""
    found: dict[str, tuple[int, Callable[[], Any]]] = {}
    for count in case.sizes:
        found[f"treeshap, {count} rows"] = (count, partial(ours, case, count))
    found[f"treeshap path-dependent, {PATH_ROWS} rows"] = (PATH_ROWS, partial(ours, case, PATH_ROWS, True))
    few = case.rows[:PEER_ROWS]
    explainer = shap.TreeExplainer(for_shap(case.trees), case.references, feature_perturbation="interventional")
    found["shap interventional"] = (PEER_ROWS, partial(explainer.shap_values, few, check_additivity=False))
    by_path = shap.TreeExplainer(for_shap(case.trees), feature_perturbation="tree_path_dependent")
    found["shap path-dependent"] = (PEER_ROWS, partial(by_path.shap_values, few, check_additivity=False))
    if isinstance(case.model, xgboost.Booster):
        case.model.set_param({"nthread": 1})
        matrix = xgboost.DMatrix(case.rows[:512])
        if find_spec("woodelf") and find_spec("treelite"):
            from woodelf import WoodelfExplainer

            frame, background = pd.DataFrame(case.rows), pd.DataFrame(case.references)

            def woodelf() -> Any:
                """Made anew: it builds its tables in the call."""
                peer = WoodelfExplainer(case.model, background, feature_perturbation="interventional")
                return peer.shap_values(frame, verbose=False)

            found[f"woodelf-explainer, {len(frame)} rows"] = len(frame), woodelf
        found["xgboost pred_contribs"] = (512, partial(case.model.predict, matrix, pred_contribs=True))
    return found


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Rows per processor second of every way, and how two threads compare with one by the clock."""
    timed: dict[str, list[float]] = {}
    clock: dict[int, list[float]] = {1: [], 2: []}
    chosen = ways(case)
    for by_cover in (False, True):
        ours(case, 100, by_cover)  # compiles the kernels, or reads them from the disk
    for name, (_, call) in chosen.items():
        if not name.startswith("treeshap"):
            call()
    for _ in range(repeats):
        for name, (rows, call) in chosen.items():
            start = time.process_time()
            call()
            timed.setdefault(name, []).append(rows / (time.process_time() - start))
        for threads, taken in clock.items():
            begun = time.perf_counter()
            ours(case, case.sizes[-1], threads=threads)
            taken.append(time.perf_counter() - begun)
    rates = {name: statistics.median(each) for name, each in timed.items()}
    theirs = rates["shap interventional"]
    return {
        "rows per cpu-second": {name: round(rate, 1) for name, rate in rates.items()},
        "times shap interventional": {
            name: round(rate / theirs, 1) for name, rate in rates.items() if name.startswith("treeshap")
        },
        "two threads, times one": round(statistics.median(clock[1]) / statistics.median(clock[2]), 2),
        "leaves": int((case.trees.left < 0).sum()),
    }


def added_memory() -> float:
    """The memory in MB that `treeshap` adds to a process with the first model and compiled kernels; Linux alone.

    The forest is saved and loaded, so that growing it is not in the peak that the process starts from.
    """
    program = "import sys, tree_speed; tree_speed.measure_memory(sys.argv[1])"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.pickle"
        case = next(cases())
        path.write_bytes(pickle.dumps((case.trees, case.references, case.rows)))
        done = subprocess.run(
            [sys.executable, "-c", program, path], cwd=Path(__file__).parent, check=True, capture_output=True, text=True
        )
    return float(done.stdout)


def measure_memory(path: str) -> None:
    """Print what explaining the most rows of a saved case adds to the peak of this process, in MB."""
    case = Case("saved", None, *pickle.loads(Path(path).read_bytes()), ())
    small = RandomForestRegressor(2, max_depth=3).fit(case.rows[:99], range(99))
    ours(replace(case, trees=trees_of_scikit(small)), 100)  # compiles the kernels, or reads them from the disk
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    ours(case, len(case.rows))
    print(round(status("VmHWM") - before, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "tree_speed.json")
    parser.add_argument(
        "--models", default="", help="measure models whose name holds this alone, and keep the others' figures"
    )
    parser.add_argument(
        "--memory-alone", action="store_true", help="measure the peak memory alone, and keep the other figures"
    )
    given = parser.parse_args()
    result: dict[str, Any] = json.loads(given.out.read_text()) if given.models or given.memory_alone else {}
    result["peak MB"] = added_memory()
    print("peak MB", result["peak MB"], flush=True)
    if given.memory_alone:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
        return
    result |= {"references": REFERENCES, "memory": MEMORY, "repeats": given.repeats}
    result["not measured"] = {"fasttreeshap": "its last release, 0.1.6, does not load with NumPy 2"}
    if not (find_spec("woodelf") and find_spec("treelite")):
        result["not measured"]["woodelf-explainer"] = "not installed; pip install woodelf-explainer treelite"
    for case in cases():
        if given.models not in case.name:
            continue
        result[case.name] = measure(case, given.repeats)
        print(case.name, json.dumps(result[case.name], indent=1), flush=True)
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
