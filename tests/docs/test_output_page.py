"""What docs/output.md says of reading a run's folder, done."""

import glob
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow.dataset
import pytest

from support.bundles import linear_bundle
from support.pages import ROOT
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle

SNIPPET = re.compile(r"\*\*Read `DIR/\*\.parquet`.*?```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder above a run `scored`, which scores 90 rows and rejects 10."""
    folder = tmp_path_factory.mktemp("page")
    rows = np.arange(300.0).reshape(100, 3)
    rows[::10, 1] = np.nan
    pd.DataFrame(rows, columns=list("abc")).to_parquet(folder / "in.parquet")
    settings = JobSettings(inputs=(str(folder / "in.parquet"),), out=folder / "scored", device="cpu", part_rows=30)
    Job(Bundle.read(linear_bundle(folder / "bundle")), settings).run()
    return folder


def lines() -> list[str]:
    found = SNIPPET.search((ROOT / "docs" / "output.md").read_text(encoding="utf-8"))
    assert found
    return found[1].strip().splitlines()


@pytest.mark.parametrize("line", lines())
def test_the_pattern_reads_the_scored_rows_alone(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert list(Path("scored/_rejected").glob("*.parquet"))
    frame = eval(line, {"glob": glob, "pandas": pd, "polars": polars})
    assert sorted(frame["source_row"]) == [i for i in range(100) if i % 10]


@pytest.mark.parametrize(
    "read",
    [pd.read_parquet, lambda path: pyarrow.dataset.dataset(path).to_table().to_pandas()],
    ids=["pandas", "arrow"],
)
def test_these_pass_over_names_with_an_underscore(read: Callable[[Path], Any], folder: Path) -> None:
    assert len(read(folder / "scored")) == 90


@pytest.mark.parametrize("name", ["scored", "scored/**/*.parquet"])
def test_polars_does_not(name: str, folder: Path) -> None:
    with pytest.raises(polars.exceptions.PolarsError, match=r"_report\.json|extra column"):
        polars.read_parquet(folder / name, columns=["source_row"])
