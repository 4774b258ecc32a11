"""How long the plan of a night takes with `--new-since`, by the nights before it.

    python benchmarks/new_since.py [--files 1000] [--nights 30] [--out JSON]

Every night brings as many small files, which all stay where they came. The jobs of the nights before are folders with
the documents of finished ones, made after the pattern of a real job. Each plan is made in a process of its own; what is
measured is `whyport.plan`, and of it the choice of inputs.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy reads it

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import whyport
from whyport.batch.run.new_inputs import NewInputs
from whyport.batch.source.files import Fingerprint

BUNDLE = Path(__file__).parents[1] / "models" / "breast_cancer"
ROWS = 5
"""The rows of each file."""


def write_night(folder: Path, night: int, files: int) -> list[Path]:
    """The files that come in a night."""
    names = whyport.Bundle.read(BUNDLE).sidecar.feature_names
    random = np.random.default_rng(night)
    paths = [folder / f"{night:03}-{number:05}.parquet" for number in range(files)]
    for path in paths:
        pq.write_table(pa.table({name: random.normal(size=ROWS) for name in names}), path)
    return paths


def write_job(pattern: Path, folder: Path, paths: list[Path]) -> None:
    """The documents of a finished job that scored these files, after those of a job of one file."""
    job, report = (json.loads((pattern / name).read_text()) for name in ("_job.json", "_report.json"))
    inputs, files, parts = [], [], {}
    for index, path in enumerate(paths):
        mark = Fingerprint.read(path)
        own = {"size": mark.size, "modified_ns": mark.modified_ns, "footer_sha256": mark.footer_sha256}
        inputs.append(job["inputs"][0] | own | {"source_file": str(path), "path": str(path.resolve())})
        files.append(report["files"][0] | {"source_file": str(path)})
        parts[f"part-{index:05}-000000000000-{ROWS:012}.parquet"] = "0" * 64
    folder.mkdir(parents=True)
    (folder / "_job.json").write_text(json.dumps(job | {"inputs": inputs}, indent=2))
    (folder / "_report.json").write_text(json.dumps(report | {"files": files, "parts": parts}, indent=2))
    (folder / "_SUCCESS").touch()


def measure(incoming: Path, scored: Path, out: Path) -> dict[str, Any]:
    """Seconds of a plan, and of the choice in it."""
    choose, spent = NewInputs.choose, []

    def timed(*arguments: Any) -> NewInputs:
        began = time.perf_counter()
        found = choose(*arguments)
        spent.append(time.perf_counter() - began)
        return found

    NewInputs.choose = timed  # type: ignore[method-assign, assignment]
    began = time.perf_counter()
    lines = whyport.plan(BUNDLE, incoming, out, new_since=scored)
    (told,) = [line.strip() for line in lines if "new since" in line]
    return {"told": told, "plan_seconds": time.perf_counter() - began, "choice_seconds": spent[0]}


def main() -> None:
    """Measure plans after ever more nights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    context, results = multiprocessing.get_context("spawn"), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        incoming, scored = folder / "incoming", folder / "scored"
        incoming.mkdir()
        scored.mkdir()
        steps = {round(options.nights * step / 3) for step in range(4)}
        for night in range(options.nights + 1):
            paths = write_night(incoming, night, options.files)
            if not night:
                whyport.run(BUNDLE, paths[0], folder / "pattern")
            if night in steps:
                with context.Pool(1) as pool:
                    found = pool.apply(measure, (incoming, scored, folder / "out"))
                results.append({"nights_before": night, "inputs": (night + 1) * options.files, **found})
                print(json.dumps(results[-1]))
            write_job(folder / "pattern", scored / f"{night:03}", paths)
    if options.out:
        options.out.write_text(json.dumps({"files_a_night": options.files, "plans": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
