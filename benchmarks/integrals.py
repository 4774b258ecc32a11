"""Speed of integrated gradients on a smooth network and on one with kinks, beside captum.

    python benchmarks/integrals.py [--repeats N] [--out JSON]

The smooth network is a small encoder of texts, from embeddings (`encoder.py`), explained by token; the one with kinks
is the hybrid model that the project carries. whyport runs as it is, and without its ladder of rules. captum runs with
its default of 50 steps, and with the fewest steps that bring every row's sum within the same tolerance, at the fastest
of its batch sizes. All run in turn on one thread, on the same rows and the same PyTorch module. Figures are medians of
processor time.
"""

import argparse
import io
import json
import platform
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray

from encoder import TOKENS, WIDTH, embeddings, encoder
from timing import cpu_seconds, fastest
from whyport.batch.methods.integrals.adaptive import AdaptiveIntegral
from whyport.batch.methods.integrals.path import Paths, Starts
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MEMORY, ExplainSettings
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import TORCHSCRIPT_MODEL

MOST_STEPS = 64
BATCHES = (64, 256)
NODES = 15
"""Inner nodes of a path at the start, without the ladder."""
DENSE_STEPS = 150
"""captum's steps for the integral that all shares are compared with."""
MAX_EVALUATIONS, MAX_NODES = 5000, 40_000

Scores = Callable[[torch.Tensor], torch.Tensor]


class Eager:
    """A PyTorch module as the explainers see it."""

    def __init__(self, module: Scores, pass_rows: int) -> None:
        self._module = module
        self._pass_rows = pass_rows

    def cells(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows."""
        return rows

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores [N, K] of rows [N, F]."""
        with torch.no_grad():
            return self._module(torch.from_numpy(rows)).numpy()

    def gradients(
        self, cells: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The gradients of the scores of `targets` [N] at cells [N, P], and these scores."""
        gradients, scores = np.empty_like(cells), np.empty(len(cells))
        for part in batch_slices(len(cells), self._pass_rows):
            leaf = torch.tensor(cells[part], requires_grad=True)
            score = self._module(leaf).gather(1, torch.tensor(targets[part])[:, None])[:, 0]
            (gradient,) = torch.autograd.grad(score.sum(), leaf)
            gradients[part], scores[part] = gradient.numpy(), score.detach().numpy()
        return gradients, scores


@dataclass(frozen=True)
class Case:
    """A module with rows to explain against one reference."""

    module: Scores
    rows: NDArray[np.float32]
    reference: NDArray[np.float32]
    players: PlayerMap
    pass_rows: int

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The scores of the rows, [N, K]."""
        return Eager(self.module, self.pass_rows).scores(self.rows)

    @cached_property
    def differences(self) -> NDArray[np.float64]:
        """f(x) - f(reference) of the first score, [N]."""
        base_value = Eager(self.module, self.pass_rows).scores(self.reference)[:, 0]
        return (self.scores[:, 0] - base_value).astype(np.float64)

    @cached_property
    def allowed(self) -> NDArray[np.float64]:
        """The default tolerance, [N]."""
        defaults = ExplainSettings()
        return np.maximum(defaults.tolerance * np.abs(self.differences), defaults.absolute_tolerance)

    def whyport(self, nodes: int | None) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """The shares [N, G] and gradients [N], from so many inner nodes or by the ladder."""
        model: Any = Eager(self.module, self.pass_rows)
        target = np.zeros(len(self.rows), dtype=np.int64)
        request = Request.of_one_target(self.rows, self.scores, target)
        paths = Paths(model, Starts(model, References(self.reference, np.ones(1)), MEMORY), request, self.players)
        return AdaptiveIntegral(paths, 0.95 * self.allowed, nodes, MAX_EVALUATIONS, MAX_NODES).compute()

    def captum(self, steps: int, batch: int) -> NDArray[np.float64]:
        """The shares [N, G] by captum's own default rule, Gauss and Legendre's."""
        given = torch.from_numpy(self.rows), torch.from_numpy(self.reference)
        values = IntegratedGradients(self.module).attribute(
            *given, target=0, n_steps=steps, internal_batch_size=max(batch, len(self.rows))
        )
        return self.players.sum_cells(values.detach().numpy().astype(np.float64))

    def enough(self, values: NDArray[np.float64]) -> bool:
        """Whether every sum is within the tolerance."""
        return bool((np.abs(values.sum(axis=1) - self.differences) <= self.allowed).all())


def smooth(rows: int) -> Case:
    """The encoder, by token, against embeddings of zero."""
    cells = np.arange(TOKENS * WIDTH) // WIDTH
    players = PlayerMap(tuple(f"token {i}" for i in range(TOKENS)), cells, cells, are_grouped=True)
    given = embeddings(rows).numpy()
    return Case(encoder(), given, np.zeros_like(given[:1]), players, pass_rows=64)


def kinked(rows: int) -> Case:
    """The hybrid model on its background, changed by up to 20 %, against the background's mean."""
    bundle = Bundle.read(Path(__file__).parents[1] / "models" / "breast_cancer")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(io.BytesIO(bundle.read_bytes(TORCHSCRIPT_MODEL))).eval()
    background = References.read(bundle)
    chosen = background.rows[np.arange(rows) % len(background.rows)]
    given = chosen * np.linspace(0.8, 1.2, rows, dtype=np.float32)[:, None]
    features = bundle.sidecar.feature_names
    players = PlayerMap(tuple(features), np.arange(len(features)), np.arange(len(features)), are_grouped=False)
    return Case(lambda x: module(x)[0], given, background.mean([]).rows, players, pass_rows=256)


def worst(errors: NDArray[np.float64], allowed: NDArray[np.float64]) -> float:
    """The largest error, as a share of the tolerance."""
    return round(float((np.abs(errors) / allowed).max()), 3)


def fewest_steps(case: Case) -> int | None:
    """captum's fewest sufficient steps, by bisection; None if MOST_STEPS are not enough."""
    low, high = 2, MOST_STEPS + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if case.enough(case.captum(middle, BATCHES[0])) else (middle + 1, high)
    return low if low <= MOST_STEPS else None


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Find captum's settings, then time all in turn."""
    fewest = fewest_steps(case)
    batch = fastest({size: lambda size=size: case.captum(50, size) for size in BATCHES})
    contenders: dict[str, Callable[[], Any]] = {
        "whyport": lambda: case.whyport(None),
        "whyport, no ladder": lambda: case.whyport(NODES),
        "captum, 50 steps": lambda: case.captum(50, batch),
    }
    if fewest is not None:
        contenders["captum, fewest steps"] = lambda: case.captum(fewest, batch)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            seconds[name].append(cpu_seconds(run))
    middle = {name: statistics.median(taken) for name, taken in seconds.items()}
    exact = case.captum(DENSE_STEPS, batch)
    values, evaluations = case.whyport(None)
    _, without = case.whyport(NODES)
    shares = {"whyport": values, "captum, 50 steps": case.captum(50, batch)}
    return {
        "rows": len(case.rows),
        "fewest_steps": fewest,
        "captum_batch": batch,
        "gradients": {
            "whyport": round(float(evaluations.mean()), 1),
            "whyport, no ladder": round(float(without.mean()), 1),
            "rows by gradients": {str(n): int((evaluations == n).sum()) for n in np.unique(evaluations)[:8]},
        },
        "seconds": {name: [round(each, 3) for each in taken] for name, taken in seconds.items()},
        "worst_share_of_the_tolerance": {
            name: {"sum": worst(each.sum(axis=1) - case.differences, case.allowed)}
            # Where captum's sums are not right, neither is the integral to compare shares with.
            | ({"player": worst(each - exact, case.allowed[:, None])} if fewest else {})
            for name, each in shares.items()
        },
        "times_as_fast": {name: round(taken / middle["whyport"], 2) for name, taken in middle.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "integrals.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = {
        "settings": {
            "repeats": arguments.repeats,
            "cpu": platform.processor() or platform.machine(),
            "threads": 1,
            "versions": {name: version(name) for name in ("torch", "captum", "numpy")},
        },
        "encoder": measure(smooth(24), arguments.repeats),
        "hybrid": measure(kinked(200), arguments.repeats),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
