"""Rows of nights, and what runs have written of them."""

import glob
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

Night = Callable[..., Path]


def night_rows(seed: int = 0, rows: int = 600, moved: float = 0.0, first: int = 0) -> pd.DataFrame:
    """Rows of a night; `moved` is added to b."""
    values = np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    values[:, 1] += np.float32(moved)
    frame = pd.DataFrame(dict(zip("abc", values.T, strict=True)))
    frame.insert(0, "id", [f"C{number:05}" for number in range(first, first + rows)])
    return frame


def parts_of(run: Path) -> pd.DataFrame:
    """All rows of a run's parts."""
    return pd.concat(pq.read_table(path).to_pandas() for path in sorted(glob.glob(f"{run}/*.parquet")))
