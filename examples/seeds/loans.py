"""Simulated applications for loans: age, income, credit score, amount and body weight, and whether each was approved.

    python loans.py FOLDER

Writes train.csv and test.csv, 70 and 30 % of 2 000 applications, and applications.parquet, the test rows again. Nothing
here was decided by anyone: approval follows from a formula with some chance. Weight has no part in it, so that its
attributions show what a forest makes of noise.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

APPLICATIONS = 2000


def applications(seed: int = 1) -> pd.DataFrame:
    """Age in years, income and amount a year in thousands, credit score in 300..850, weight in kg, and `approved`."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": random.integers(19, 76, size=APPLICATIONS),
            "income": np.exp(random.normal(3.7, 0.45, size=APPLICATIONS)).round(1),
            "credit score": random.normal(660, 80, size=APPLICATIONS).clip(300, 850).round().astype(int),
            "amount": np.exp(random.normal(2.8, 0.6, size=APPLICATIONS)).round(1),
            "weight": random.normal(76, 13, size=APPLICATIONS).round(1),
        }
    )
    burden = table["amount"] / table["income"]
    too_young = np.maximum(25 - table["age"], 0)
    margin = 0.025 * (table["credit score"] - 640) - 4 * (burden - 0.6) - 0.2 * too_young
    approved = random.random(APPLICATIONS) < 1 / (1 + np.exp(-margin))
    return table.assign(approved=np.where(approved, "yes", "no"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    table = applications()
    kept = int(0.7 * len(table))
    table[:kept].to_csv(folder / "train.csv", index=False)
    table[kept:].to_csv(folder / "test.csv", index=False)
    table[kept:].to_parquet(folder / "applications.parquet", index=False)


if __name__ == "__main__":
    main()
