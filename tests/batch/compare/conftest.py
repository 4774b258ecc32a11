"""Two nights of the linear model's: the same customers but some, one feature moved."""

from pathlib import Path

import pandas as pd
import pytest

import whyport
from support.nights import Night, night_rows


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Night:
    """Score a frame with the linear model; by default with two methods, in several parts."""

    def score(frame: pd.DataFrame, of: Path = bundle, **options: object) -> Path:
        folder = tmp_path_factory.mktemp("night")
        frame.to_parquet(folder / "rows.parquet", row_group_size=250)
        settings = {"explain": ["deepshap", "gradient"], "keep": "id", "batch_rows": 128, "part_rows": 256} | options
        whyport.run(of, folder / "rows.parquet", folder / "out", device="cpu", **settings)  # type: ignore[arg-type]
        return folder / "out"

    return score


@pytest.fixture(scope="session")
def first_night(nights: Night) -> Path:
    return nights(night_rows(1))


@pytest.fixture(scope="session")
def second_night(nights: Night) -> Path:
    """Half a standard deviation more of b; 550 of the first night's customers, and 30 new ones."""
    return nights(night_rows(2, 580, 0.5, first=50))
