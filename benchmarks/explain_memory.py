"""Memory that explaining holds: the peak above the loaded process, by method, number of references and budget.

    python benchmarks/explain_memory.py [BUNDLE] [--out JSON]

Each case runs in its own process, on Linux. The peak is the process's, so it includes the passes through the model,
which are the same for every budget. Rows and references are resampled from the bundle's references.
"""

import argparse
import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References

ROWS = {
    "gradient": 4096,
    "integrated-gradients": 2048,
    "deepshap": 1024,
    "expected-gradients": 192,  # more than any of these budgets holds at once; 4096 would take hours
}
REFERENCES = (100, 1000)
BUDGETS = (64_000_000, 256_000_000, 1_000_000_000)


def sample(bundle: Bundle, rows: int, seed: int) -> NDArray[np.float32]:
    """Rows like the background's, none of them a copy of another."""
    generator = np.random.default_rng(seed)
    background = References.read(bundle).rows
    drawn = background[generator.integers(len(background), size=rows)]
    return (drawn * generator.normal(1, 0.05, size=drawn.shape)).astype(np.float32)


def status(key: str) -> float:
    """A memory figure from this process's status, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError(f"the kernel does not report {key}")


def measure(path: Path, method: str, references: int, budget: int) -> dict[str, Any]:
    """Measure one case in this process."""
    bundle, rows = Bundle.read(path), ROWS[method]
    background = References(sample(bundle, references, 1), np.full(references, 1 / references))
    explainer = explainer_class(method)(
        TorchScriptModel(bundle, "cpu"), background, ExplainSettings.of(memory=budget).of_method(method)
    )
    matrix, targets = sample(bundle, rows, 2), np.arange(rows) % len(bundle.sidecar.targets)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of loading
    base = status("VmRSS")
    started = time.perf_counter()
    explain(explainer, matrix, targets)
    seconds = time.perf_counter() - started
    return {
        "method": method,
        "rows": rows,
        "references": references,
        "budget_mb": budget / 1e6,
        "peak_mb": round(status("VmHWM") - base, 1),
        "rows_per_second": round(rows / seconds, 1),
    }


def in_a_process(path: Path, case: tuple[str, int, int]) -> dict[str, Any]:
    """Do what `measure` does, in a process where nothing was measured before."""
    command = [sys.executable, __file__, str(path), "--case", *map(str, case)]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return result


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, default=here.parent / "models" / "breast_cancer")
    parser.add_argument("--out", type=Path, default=here / "results" / "explain_memory.json")
    parser.add_argument("--case", nargs=3, metavar=("METHOD", "REFERENCES", "BYTES"), help="One case, as JSON.")
    arguments = parser.parse_args()
    if arguments.case:
        method, references, budget = arguments.case
        print(json.dumps(measure(arguments.bundle, method, int(references), int(budget))))
        return
    print(f"{'method':22}{'rows':>6}{'references':>12}{'budget MB':>11}{'peak MB':>9}{'rows/s':>9}")
    results = []
    for case in product(ROWS, REFERENCES, BUDGETS):
        result = in_a_process(arguments.bundle, case)
        results.append(result)
        print(
            "{method:22}{rows:6}{references:12}{budget_mb:11.0f}{peak_mb:9.0f}{rows_per_second:9.1f}".format(**result)
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
