from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from support.bundles import logits_of
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle

Score = Callable[..., Path]


@pytest.fixture
def score(bundle: Path, tmp_path: Path) -> Score:
    """Run a job over inputs into a folder of the test's."""

    def score(*inputs: Path, name: str = "scored", **settings: Any) -> Path:
        made = JobSettings(inputs=tuple(map(str, inputs)), out=tmp_path / name, device="cpu", **settings)
        Job(Bundle.read(bundle), made).run()
        return made.out

    return score


@pytest.fixture
def labelled(table: pa.Table, rows: NDArray[np.float64]) -> pa.Table:
    """The table with the true class: the model's answer, but for every tenth row; one label names no class."""
    answers = logits_of(rows.astype(np.float32)).argmax(axis=1)
    answers[::10] = 1 - answers[::10]
    labels = np.array(["no", "yes"], dtype=object)[answers]
    labels[5] = "maybe"
    return table.append_column("truth", pa.array(labels, pa.string()))
