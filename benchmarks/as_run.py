"""Rows predicted and explained as `whyport run` does it, on one thread; and the memory that it takes.

    python benchmarks/as_run.py BUNDLE FILE OPTIONS

prints the peak of this process over what it holds once it has predicted a row, in MB; PyTorch itself is no part of it.
OPTIONS are those of `whyport.run`, as JSON.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

import whyport
from whyport.batch.rows import CleanBatch, ScoredRows
from whyport.batch.run.plan import Plan
from whyport.batch.run.run import settings_of
from whyport.batch.scoring.scorer import Scorer
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.session import Session


@dataclass(frozen=True)
class AsRun:
    """The rows of a file, and what a run with some options would compute of them."""

    scorer: Scorer
    matrix: NDArray[np.float32]
    """[N, F]"""

    @classmethod
    def of(cls, session: Session, file: Path, options: Mapping[str, Any]) -> "AsRun":
        """The rows of a Parquet file; the options are those of `whyport.run`."""
        settings = settings_of([file], file.parent / "never-written", options)
        plan = Plan.make(session.bundle, settings)
        own = plan.settings
        scorer = Scorer(session, own.methods, plan.choice, own.explain, plan.reduction)
        return cls(scorer, session.matrix(pq.read_table(file)))

    def __call__(self) -> ScoredRows:
        """Predict and explain every row."""
        return self.scorer.explain(self.scorer.predict(CleanBatch.of_matrix(self.matrix)))


def exported(model: str, sample: Path, path: Path, **options: Any) -> Bundle:
    """The bundle at a path; exported with these options of `whyport.export` where there is none."""
    return Bundle.read(path) if path.exists() else whyport.export(model, sample, path, **options)


def opened(bundle: Bundle) -> Session:
    """The bundle's session on one thread."""
    return Session(bundle, "cpu", threads=1)


def added_memory(bundle: Bundle, file: Path, options: Mapping[str, Any]) -> float:
    """What explaining the rows of a file adds to a process that has predicted one, at its peak, in MB."""
    command = [sys.executable, __file__, str(bundle.path), str(file), json.dumps(options)]
    result: float = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return result


def _own_added(bundle: Path, file: Path, options: Mapping[str, Any]) -> float:
    import torch

    torch.set_num_threads(1)
    session = opened(Bundle.read(bundle))
    session.predict(pq.read_table(file)[:1])
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of loading
    before = _status("VmRSS")
    AsRun.of(session, file, options)()
    return round(_status("VmHWM") - before, 1)


def _status(key: str) -> float:
    """A memory figure from this process's status, in MB."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    print(_own_added(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))
