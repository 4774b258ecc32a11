"""Speed of whyport's explanations, beside shap and captum at their best.

    python benchmarks/explain_speed.py [--repeats N] [--out JSON] [--bundle FOLDER] [--search JSON]

Trains the demo model (hybrid, 30 features, 2 classes) and explains every class of resampled rows against 100
references. First each competitor's settings are searched: rows per call, internal batch, rule and number of steps,
processes and threads. Then each repeat times everything once, in turn, so that a drift of the machine's speed affects
all alike. Figures are medians over the repeats. A ratio is whyport's rows/s over the competitor's:

- deepshap: over shap.DeepExplainer, which misses the sum on this model (its error is printed too). It runs at its best
  in as many processes as there are cores, and once more at its best in one process, as a library runs.
- integrated-gradients: at the default tolerance, over captum's IntegratedGradients with the rule and the fewest steps
  that bring 99.5 % of the explanations of the timed rows within the same tolerance.
- expected-gradients: over shap.GradientExplainer with the number of samples that gives the same error of the mean,
  against a dense path integral.

Runs on a CUDA GPU if there is one; its result is kept beside the CPU's, with the GPU's name.

The search takes longer than the rest: `--repeats 0 --search JSON` does nothing else, and later calls with that file
only time. Both take the same `--bundle`.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contenders import Crews, Setting, crews
from demo_model import resample, train
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import Explainer, explainer_class
from whyport.batch.methods.integrals.path import Paths, Starts
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MEMORY, ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.providers import available_cores

SHARE = 0.995
STEPS = (50, 75, 100, 125, 150, 200, 250, 300, 400, 500, 650, 850, 1100, 1500, 2000, 3000)
RULES = ("gausslegendre", "riemann_trapezoid", "riemann_middle")
INTERNAL_BATCHES = (256, 1024, 2048, 4096)
CARD_INTERNAL_BATCHES = (4096, 16384, 32768)
CALL_ROWS = (2, 8, 32, 64)
SAMPLES = 1000  # the error of other numbers of samples is extrapolated from it, before it is measured
DENSE_NODES = 256

# Rows for trying a setting.
SEARCH_ROWS = {"shap.DeepExplainer": 64, "captum.IntegratedGradients": 16, "shap.GradientExplainer": 2}

# Rows for timing: some seconds' worth of each.
ROWS = {
    "deepshap": 1024,
    "integrated-gradients": 1024,
    "expected-gradients": 16,
    "shap.DeepExplainer": 256,
    "captum.IntegratedGradients": 200,  # the number of steps is chosen on the same rows
    "shap.GradientExplainer": 4,
}
CARD_ROWS = {"deepshap": 65536, "integrated-gradients": 8192, "expected-gradients": 64}
RIVALS = {
    "deepshap": "shap.DeepExplainer",
    "integrated-gradients": "captum.IntegratedGradients",
    "expected-gradients": "shap.GradientExplainer",
}
ONE_PROCESS = "shap.DeepExplainer, one process"

Rows = NDArray[np.float32]


class Whyport:
    """whyport's methods on the bundle."""

    def __init__(self, bundle: Bundle, device: str) -> None:
        self.model = TorchScriptModel(bundle, device)
        self.background = References.read(bundle)
        self.classes = len(bundle.sidecar.targets)

    def create(self, method: str) -> Explainer:
        """Create a method with its default settings."""
        return explainer_class(method)(self.model, self.background, ExplainSettings().of_method(method))

    def differences(self, rows: Rows, references: References) -> NDArray[np.float64]:
        """score - base value of every class, [N, C]."""
        return self.model.scores(rows).astype(np.float64) - references.mean_of(self.model.scores)

    def dense(self, rows: Rows) -> NDArray[np.float64]:
        """Expected gradients [N, C, F] by the midpoint rule with DENSE_NODES nodes per path."""
        request = Request.of_every_target(rows, self.model.scores(rows))
        players = PlayerMap.of(self.model.bundle.sidecar, {})
        paths = Paths(self.model, Starts(self.model, self.background, MEMORY), request, players)
        every = np.arange(paths.rows * paths.fan)
        total = np.zeros((len(every), paths.players))
        for position in (np.arange(DENSE_NODES) + 0.5) / DENSE_NODES:
            total += paths.evaluate(every, np.full(len(every), position))[0]
        shares = total / DENSE_NODES * paths.direction(every) * paths.weights(every)[:, None]
        return shares.reshape(len(rows), self.classes, paths.fan, -1).sum(axis=2)


class Search:
    """Finds the fastest setting of a competitor, and remembers every setting tried."""

    def __init__(self, workers: Crews, rows: Rows) -> None:
        self._workers = workers
        self._rows = rows
        self._rates: dict[Setting, float] = {}
        self.seen: dict[str, dict[str, float]] = {}

    def fastest(self, settings: Iterable[Setting]) -> Setting:
        """The setting with the most rows/s; no setting is tried twice."""
        settings = list(settings)
        for setting in settings:
            if setting in self._rates:
                continue
            rows = SEARCH_ROWS[setting.contender]
            self._workers.explain(setting, self._rows[: setting.call_rows])
            started = time.perf_counter()
            self._workers.explain(setting, self._rows[:rows])
            spent = time.perf_counter() - started
            rate = self._rates[setting] = rows / spent
            self.seen.setdefault(setting.contender, {})[str(setting)] = round(rate, 2)
            print(f"{setting.contender}: {rate:.2f} rows/s with {setting}", file=sys.stderr)
        return max(settings, key=self._rates.__getitem__)


def ways() -> list[tuple[int, int]]:
    """Pairs of processes and threads per process: on a GPU one process, which has it to itself."""
    cores = available_cores()
    return [(1, 1)] if torch.cuda.is_available() else sorted({(1, 1), (1, cores), (cores, 1)})


def internal_batches() -> tuple[int, ...]:
    return CARD_INTERNAL_BATCHES if torch.cuda.is_available() else INTERNAL_BATCHES


def best_deep_explainer(search: Search, crews: list[tuple[int, int]]) -> Setting:
    return search.fastest(Setting("shap.DeepExplainer", rows, crew=crew) for crew in crews for rows in CALL_ROWS)


def fewest_steps(setting: Setting, workers: Crews, rows: Rows, whyport: Whyport) -> dict[str, int]:
    """The fewest steps, by rule, at which SHARE of the explanations are within the default tolerance."""
    differences = whyport.differences(rows, whyport.background.mean(whyport.model.bundle.sidecar.columns))
    allowed = whyport.create("integrated-gradients").allowed_error(
        differences, np.zeros(1), np.zeros(1, dtype=np.int64)
    )

    def enough(rule: str, steps: int) -> bool:
        values = workers.explain(setting.but(rule=rule, steps=steps), rows)
        share = float(np.mean(np.abs(values.sum(axis=2) - differences) <= allowed))
        print(f"{setting.contender}: {share:.2%} within the tolerance by {rule} with {steps} steps", file=sys.stderr)
        return share >= SHARE

    found = {}
    for rule in RULES:
        low, high = 0, len(STEPS)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(rule, STEPS[middle]) else (middle + 1, high)
        if low < len(STEPS):
            found[rule] = STEPS[low]
    return found


def best_integrated_gradients(search: Search, steps: dict[str, int]) -> Setting:
    def settings(crew: tuple[int, int], rules: Iterable[str], batches: Iterable[int]) -> list[Setting]:
        return [
            Setting("captum.IntegratedGradients", rows, crew=crew).but(rule=rule, steps=steps[rule], batch=batch)
            for rule in rules
            for batch in batches
            for rows in (4, 16)
        ]

    best = search.fastest(settings(ways()[-1], [min(steps, key=steps.__getitem__)], internal_batches()))
    batch = dict(best.options)["batch"]
    return search.fastest([s for crew in ways() for s in settings(crew, steps, [batch])])


def best_gradient_explainer(search: Search, samples: int) -> Setting:
    return search.fastest(
        Setting("shap.GradientExplainer", 1, crew=crew).but(samples=samples, batch=batch)
        for crew in ways()
        for batch in (50, 200, 1000)
    )


def distance(values: NDArray[np.floating], exact: NDArray[np.float64]) -> float:
    """The root mean squared error of an explanation, over all features, in logits."""
    return float(np.sqrt(((values - exact) ** 2).sum(axis=2).mean()))


@dataclass(frozen=True)
class Found:
    """What a search has found."""

    rivals: dict[str, Setting]
    """The best setting of each method's rival."""
    in_one_process: Setting
    """That of shap.DeepExplainer."""
    steps: dict[str, int]
    """captum's fewest steps, by rule."""
    tried: dict[str, dict[str, float]]
    """Rows/s by contender and setting."""

    @classmethod
    def read(cls, path: Path) -> "Found":
        """What an earlier call has found."""

        def setting(values: dict[str, Any]) -> Setting:
            options = tuple((name, value) for name, value in values.pop("options"))
            return Setting(**values | {"options": options, "crew": tuple(values["crew"])})

        given = json.loads(path.read_text())
        given["rivals"] = {method: setting(values) for method, values in given["rivals"].items()}
        return cls(**given | {"in_one_process": setting(given["in_one_process"])})


def searched(rows: Rows, whyport: Whyport, workers: Crews) -> Found:
    """The best settings of every competitor."""
    few = rows[: ROWS["expected-gradients"]]
    search = Search(workers, rows)
    rivals = {"deepshap": best_deep_explainer(search, ways())}
    in_one_process = best_deep_explainer(search, [crew for crew in ways() if crew[0] == 1])

    batch = CARD_INTERNAL_BATCHES[1] if torch.cuda.is_available() else 1024
    first = Setting("captum.IntegratedGradients", 16, crew=ways()[-1]).but(batch=batch)
    steps = fewest_steps(first, workers, rows[: ROWS[first.contender]], whyport)
    rivals["integrated-gradients"] = best_integrated_gradients(search, steps)

    exact = whyport.dense(few)
    ours = explain(whyport.create("expected-gradients"), few).values.reshape(exact.shape)
    sampled = Setting("shap.GradientExplainer", 1, crew=ways()[-1]).but(samples=SAMPLES, batch=200)
    ratio = distance(workers.explain(sampled, few), exact) / distance(ours, exact)
    rivals["expected-gradients"] = best_gradient_explainer(search, round(SAMPLES * ratio**2))
    return Found(rivals, in_one_process, steps, search.seen)


def timed(rows: Rows, whyport: Whyport, workers: Crews, found: Found, repeats: int) -> dict[str, Any]:
    """All in turn, with the settings found."""
    explainers = {method: whyport.create(method) for method in RIVALS}
    contestants: dict[str, Callable[[], Any]] = {}
    for method, setting in found.rivals.items():
        given = rows[: ROWS[method]], rows[: ROWS[setting.contender]]
        contestants[method] = lambda m=method, g=given[0]: explain(explainers[m], g)
        contestants[setting.contender] = lambda s=setting, g=given[1]: workers.explain(s, g)
    shap_rows = rows[: ROWS["shap.DeepExplainer"]]
    contestants[ONE_PROCESS] = lambda: workers.explain(found.in_one_process, shap_rows)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    results = {}
    for _ in range(repeats):
        for name, action in contestants.items():
            started = time.perf_counter()
            results[name] = action()
            times[name].append(time.perf_counter() - started)

    explained = ROWS | {ONE_PROCESS: ROWS["shap.DeepExplainer"]}
    rates = {name: round(explained[name] / statistics.median(spent), 2) for name, spent in times.items()}
    differences = {m: whyport.differences(rows, e.references or whyport.background) for m, e in explainers.items()}
    quality: dict[str, Any] = {}
    for method, setting in found.rivals.items():
        attribution, theirs = results[method], results[setting.contender]
        error = np.abs(theirs.sum(axis=2) - differences[method][: len(theirs)])
        allowed = explainers[method].allowed_error(
            differences[method][: len(theirs)], np.zeros(1), np.zeros(1, dtype=np.int64)
        )
        quality[method] = {
            "converged": round(float(attribution.converged.mean()), 5),
            "worst_completeness_error": float(f"{attribution.error.max():.3g}"),
            "evaluations": round(float(attribution.evaluations.mean()), 1),
        }
        quality[setting.contender] = {
            "converged": round(float((error <= allowed).mean()), 5),
            "worst_completeness_error": float(f"{error.max():.3g}"),
        }
    theirs = results["shap.GradientExplainer"]
    exact = whyport.dense(rows[: ROWS["expected-gradients"]])
    ours = results["expected-gradients"].values.reshape(exact.shape)
    quality["expected-gradients"]["error_of_the_mean"] = round(distance(ours, exact), 4)
    quality["shap.GradientExplainer"]["error_of_the_mean"] = round(distance(theirs, exact[: len(theirs)]), 4)
    return {
        "best_settings": {s.contender: str(s) for s in found.rivals.values()}
        | {ONE_PROCESS: str(found.in_one_process)},
        "fewest_steps": found.steps,
        "rows_per_second": rates,
        "seconds": {name: [round(spent, 3) for spent in values] for name, values in times.items()},
        "ratios": {m: round(rates[m] / rates[s.contender], 2) for m, s in found.rivals.items()}
        | {"deepshap, by one process": round(rates["deepshap"] / rates[ONE_PROCESS], 2)},
        "quality": quality,
        "search": found.tried,
    }


def settings(device: str, bundle: Bundle, repeats: int) -> dict[str, Any]:
    """The conditions that the figures depend on."""
    packages = ("torch", "numba", "shap", "captum", "numpy")
    return {
        "device": torch.cuda.get_device_name(0) if device == "cuda" else platform.processor() or platform.machine(),
        "cores": available_cores(),
        "repeats": repeats,
        "features": len(bundle.sidecar.columns),
        "classes": len(bundle.sidecar.targets),
        "explained": "all classes",
        "references": len(References.read(bundle).rows),
        "rows": ROWS,
        "tolerance": ExplainSettings.tolerance,
        "absolute_tolerance": ExplainSettings.absolute_tolerance,
        "share": SHARE,
        "versions": {name: version(name) for name in packages},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="by default explain_speed.json, on a card with its name")
    parser.add_argument("--bundle", type=Path, help="the demo model from an earlier call; by default it is trained")
    parser.add_argument("--search", type=Path, help="what the search finds, or has found in an earlier call")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        ROWS.update(CARD_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Bundle.read(arguments.bundle) if arguments.bundle else train(Path(folder))
        rows, whyport = resample(max(ROWS.values())).to_numpy(np.float32), Whyport(bundle, device)
        with crews(bundle.path) as workers:
            if arguments.search and arguments.search.exists():
                found = Found.read(arguments.search)
            else:
                found = searched(rows, whyport, workers)
            if arguments.search:
                arguments.search.write_text(json.dumps(asdict(found), indent=2) + "\n")
            if not arguments.repeats:
                return
            result = {"settings": settings(device, bundle, arguments.repeats)}
            result |= timed(rows, whyport, workers, found, arguments.repeats)
    name = f"-{torch.cuda.get_device_name(0).replace(' ', '-')}" if device == "cuda" else ""
    out = arguments.out or Path(__file__).parent / "results" / f"explain_speed{name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    for section in ("settings", "best_settings", "fewest_steps", "quality", "rows_per_second", "ratios"):
        print(f"\n{section.replace('_', ' ')}")
        for key, value in result[section].items():
            print(f"  {key:28} {value}")
    print(f"\n{out}")


if __name__ == "__main__":
    main()
