"""Speed of `deepshap` only: the matching part of explain_speed.py, in minutes instead of half an hour.

    python benchmarks/deepshap_speed.py [--repeats N] [--out JSON]

shap.DeepExplainer runs at the fastest of the searched settings: in as many processes as there are cores, and in one
process, as a library runs. Each repeat times everything once, in turn; figures are medians over the repeats.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contenders import crews
from demo_model import resample, train
from explain_speed import ONE_PROCESS, ROWS, Search, Whyport, best_deep_explainer, settings, ways
from whyport.batch.methods.alone import explain
from whyport.runtime.bundle.folder import Bundle

RIVAL = "shap.DeepExplainer"


def measure(bundle: Bundle, device: str, repeats: int) -> dict[str, Any]:
    """Search the settings, then time."""
    rows = resample(ROWS["deepshap"]).to_numpy(np.float32)
    whyport = Whyport(bundle, device)
    explainer = whyport.create("deepshap")
    explain(explainer, rows[:8])  # compiles the kernels, as the search runs shap's settings once
    with crews(bundle.path) as workers:
        search = Search(workers, rows)
        best = {
            RIVAL: best_deep_explainer(search, ways()),
            ONE_PROCESS: best_deep_explainer(search, [crew for crew in ways() if crew[0] == 1]),
        }
        contestants: dict[str, Callable[[], Any]] = {"deepshap": lambda: explain(explainer, rows)}
        for name, setting in best.items():
            contestants[name] = lambda s=setting: workers.explain(s, rows[: ROWS[RIVAL]])
        times: dict[str, list[float]] = {name: [] for name in contestants}
        results = {}
        for repeat in range(repeats):
            for name, action in contestants.items():
                started = time.perf_counter()
                results[name] = action()
                times[name].append(time.perf_counter() - started)
            print(f"repeat {repeat + 1} of {repeats}", file=sys.stderr)
    counts = {"deepshap": ROWS["deepshap"], RIVAL: ROWS[RIVAL], ONE_PROCESS: ROWS[RIVAL]}
    rates = {name: round(counts[name] / statistics.median(spent), 2) for name, spent in times.items()}
    off = results[RIVAL].sum(axis=2) - whyport.differences(rows[: ROWS[RIVAL]], whyport.background)
    return {
        "best_settings": {name: str(setting) for name, setting in best.items()},
        "rows_per_second": rates,
        "seconds": {name: [round(spent, 3) for spent in values] for name, values in times.items()},
        "ratios": {
            "deepshap": round(rates["deepshap"] / rates[RIVAL], 2),
            "deepshap, by one process": round(rates["deepshap"] / rates[ONE_PROCESS], 2),
        },
        "worst_completeness_error": {
            "deepshap": float(f"{results['deepshap'].error.max():.3g}"),
            RIVAL: float(f"{np.abs(off).max():.3g}"),
        },
        "search": search.seen,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "deepshap_speed.json")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(Path(folder))
        result = {"settings": settings(device, bundle, arguments.repeats)}
        result |= measure(bundle, device, arguments.repeats)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    for section in ("best_settings", "rows_per_second", "ratios", "worst_completeness_error"):
        print(f"\n{section.replace('_', ' ')}")
        for key, value in result[section].items():
            print(f"  {key:34} {value}")


if __name__ == "__main__":
    main()
