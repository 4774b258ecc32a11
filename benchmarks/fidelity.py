"""Fidelity of explanations: whyport's methods beside shap's and captum's, against exact Shapley values.

    python benchmarks/fidelity.py [--rows N] [--seeds N] [--out JSON]

For each model and seed, the benchmark trains the model and takes 50 references of its bundle and rows of its test
table. It enumerates every coalition of features in float64, and asks each method about the predicted class. It prints
Markdown.

- relative_l1: sum |value - exact| / sum |exact| over all rows.
- spearman: the mean over rows of the rank correlation of signed values.
- completeness: the error of a row's sum against score - base value, relative to the largest |score - mean score of the
  references| among the rows. The base value is the method's own: its references, their mean, or a row of zeros.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from enumeration import exact_shapley
from fidelity_methods import METHODS, Method, Question, composed_deepshap
from fidelity_models import CASES, Case, Trained, train
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import first_line
from whyport.runtime.providers import available_cores
from whyport.runtime.task import first_largest

REFERENCES = 50
# Models with attention, so with a softmax between row and logits.
ATTENTIVE = ("hybrid", "transformer")
DIRECT_RULE = "whyport deepshap"
COMPOSED_RULE = Method(composed_deepshap)

Figures = dict[str, float]


class Truth:
    """The exact Shapley values of a question, and the scores to which shares should add up."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._rows = question.rows.astype(np.float64)
        references = question.references.rows.astype(np.float64), question.references.weights
        pairs = zip(self._rows, question.targets, strict=True)
        self.values = np.array([exact_shapley(self._score(target), row, *references) for row, target in pairs])
        self.range = float(np.abs(self._difference(question.references)).max())

    def compare(self, values: NDArray[Any], against: References) -> Figures:
        """The figures of values [N, F] against the exact values, and against their sum."""
        missing = np.abs(values.sum(axis=1, dtype=np.float64) - self._difference(against)) / self.range
        ranks = [spearmanr(got, exact).statistic for got, exact in zip(values, self.values, strict=True)]
        return {
            "relative_l1": float(np.abs(values - self.values).sum() / np.abs(self.values).sum()),
            "spearman": float(np.mean(ranks)),
            "worst_completeness": float(missing.max()),
            "median_completeness": float(np.median(missing)),
        }

    def _difference(self, against: References) -> NDArray[np.float64]:
        """score - base value of each row, [N]."""
        logits = self.question.trained.logits
        differences = logits(self._rows) - against.mean_of(lambda rows: logits(rows.astype(np.float64)))
        return differences[np.arange(len(differences)), self.question.targets]

    def _score(self, target: int) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        return lambda rows: self.question.trained.logits(rows)[:, target]


def ask(trained: Trained, rows: int, seed: int) -> Question:
    """Rows of the test table drawn by the seed, and every second row of the bundle's reference sample."""
    references = References.read(trained.bundle).rows[::2][:REFERENCES]
    drawn = np.random.default_rng(seed).permutation(len(trained.test_rows))[:rows]
    chosen = trained.test_rows[drawn]
    weights = np.full(len(references), 1 / len(references))
    predicted = first_largest(trained.logits(chosen.astype(np.float64)))
    return Question(trained, References(references, weights), chosen, predicted)


def measure(method: Method, truth: Truth, seed: int) -> Figures | str:
    """The figures of a method on one model, or the reason why there are none."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - shap and captum draw from it
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = method.explain(truth.question)
    except Exception as error:  # a competitor may fail in any way on a model that it cannot explain
        return first_line(error)
    seconds = time.perf_counter() - started
    return truth.compare(values, method.against(truth.question.references)) | {"seconds": seconds}


@dataclass(frozen=True)
class Measured:
    """The results of one model with one seed."""

    accuracy: float
    """The accuracy on the test table."""
    range: float
    methods: dict[str, Figures | str]
    softmax: dict[str, Figures | str]
    """Figures by rule for softmax; empty if the model has no softmax."""


def run(case: Case, rows: int, seed: int) -> Measured:
    """Train one model, and measure every method on it."""
    softmax = {}
    with tempfile.TemporaryDirectory() as folder:
        trained = train(case, seed, Path(folder))
        truth = Truth(ask(trained, rows, seed))
        methods = {name: measure(method, truth, seed) for name, method in METHODS.items()}
        if case.architecture in ATTENTIVE:
            # whyport compiles at export, and the composed rule within the call: their seconds do not compare.
            rules = {"direct": methods[DIRECT_RULE], "composed": measure(COMPOSED_RULE, truth, seed)}
            softmax = {name: _without_seconds(figures) for name, figures in rules.items()}
    accuracy = trained.bundle.sidecar.provenance.metrics["test_accuracy"]
    return Measured(accuracy, truth.range, methods, softmax)


def _without_seconds(figures: Figures | str) -> Figures | str:
    return figures if isinstance(figures, str) else {key: figures[key] for key in figures if key != "seconds"}


def spread(values: Sequence[float]) -> dict[str, float]:
    """The mean and range over the seeds, to 4 digits."""
    figures = {"mean": np.mean(values), "min": min(values), "max": max(values)}
    return {name: float(f"{figure:.4g}") for name, figure in figures.items()}


def summarise(by_seed: Sequence[Mapping[str, Figures | str]]) -> dict[str, Any]:
    """The figures by method over the seeds; the first failure's reason if there is one."""
    summary: dict[str, Any] = {}
    for name in by_seed[0]:
        results = [figures[name] for figures in by_seed]
        failures = [result for result in results if isinstance(result, str)]
        if failures:
            summary[name] = {"failed": failures[0], "seeds": len(failures)}
        else:
            summary[name] = {key: spread([result[key] for result in results]) for key in results[0]}
    return summary


def fidelity_cell(figures: Mapping[str, Any]) -> str:
    """The relative L1 error with its range over the seeds, and Spearman."""
    l1, rank = figures["relative_l1"], figures["spearman"]
    return f"{l1['mean']:.2f} [{l1['min']:.2f}, {l1['max']:.2f}] ({rank['mean']:.2f})"


def completeness_cell(figures: Mapping[str, Any]) -> str:
    """The worst error over all seeds, and the median, relative to the range."""
    return f"{figures['worst_completeness']['max']:.2g} / {figures['median_completeness']['mean']:.2g}"


def seconds_cell(figures: Mapping[str, Any]) -> str:
    """Seconds for all rows of a seed."""
    return f"{figures['seconds']['mean']:.2g}"


def markdown(tables: Mapping[str, Mapping[str, Any]], cell: Callable[[Mapping[str, Any]], str]) -> str:
    """A Markdown table with a row per method and a column per model."""
    lines = ["| | " + " | ".join(tables) + " |", "|---" * (len(tables) + 1) + "|"]
    for name in next(iter(tables.values())):
        methods = (table[name] for table in tables.values())
        cells = [f"fails: {figures['failed']}" if "failed" in figures else cell(figures) for figures in methods]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20, help="explained for each model and seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "fidelity.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    measured: dict[str, list[Measured]] = {name: [] for name in CASES}
    for name, case in CASES.items():
        for seed in range(arguments.seeds):
            print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
            measured[name].append(run(case, arguments.rows, seed))
    tables = {name: summarise([m.methods for m in by_seed]) for name, by_seed in measured.items()}
    softmax = {name: summarise([m.softmax for m in by_seed]) for name, by_seed in measured.items()}
    softmax = {name: table for name, table in softmax.items() if table}
    result = {
        "settings": {
            "rows": arguments.rows,
            "seeds": list(range(arguments.seeds)),
            "references": REFERENCES,
            "cpu": platform.processor() or platform.machine(),
            "cores": available_cores(),
            "versions": {name: version(name) for name in ("whyport", "torch", "shap", "captum", "numpy")},
            "seconds": round(time.perf_counter() - started),
        },
        "models": {
            name: {"test_accuracy": spread([m.accuracy for m in by_seed]), "range": spread([m.range for m in by_seed])}
            for name, by_seed in measured.items()
        },
        "tables": tables,
        "softmax": softmax,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    for title, results, cell in (
        ("Relative L1 [range over the seeds] (Spearman)", tables, fidelity_cell),
        ("Completeness error, worst / median, relative to the range", tables, completeness_cell),
        ("Seconds", tables, seconds_cell),
        ("DeepSHAP by its rule for softmax: relative L1 [range over the seeds] (Spearman)", softmax, fidelity_cell),
    ):
        print(f"\n{title}\n\n{markdown(results, cell)}")


if __name__ == "__main__":
    main()
