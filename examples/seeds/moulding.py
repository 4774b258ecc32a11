"""Simulated injection moulding: 37 settings and sensors of a machine, and the weight of the part in grams.

    python moulding.py FOLDER

Writes train.csv and test.csv, 70 and 30 % of 2 450 shots, and shots.parquet, the test shots again. Nothing here was
measured: the weight follows from a formula with packing, shrinkage and leakage, and some noise.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

SHOTS = 2450
ZONES = [f"zone {i} temperature" for i in range(1, 9)]
CAVITIES = [f"cavity {i} peak pressure" for i in range(1, 9)]
COLUMNS = [
    "injection speed",
    "injection time",
    "injection pressure",
    "switch-over position",
    "switch-over pressure",
    "holding pressure",
    "holding time",
    "cooling time",
    "cycle time",
    "back pressure",
    "screw speed",
    "plasticising time",
    "cushion",
    "shot volume",
    "clamping force",
    "melt temperature",
    "mould temperature",
    "coolant flow",
    "ambient temperature",
    "ambient humidity",
    "nozzle temperature",
    *ZONES,
    *CAVITIES,
]


def shots(seed: int = 1) -> pd.DataFrame:
    """Every setting and sensor scaled to 0..1, and `part weight` in grams."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.beta(2, 2, size=(SHOTS, len(COLUMNS))), columns=COLUMNS)
    # Sensors follow settings.
    for zone in ZONES:
        table[zone] = 0.7 * table["melt temperature"] + 0.3 * table[zone]
    for cavity in CAVITIES:
        table[cavity] = 0.5 * table["holding pressure"] + 0.3 * table["injection pressure"] + 0.2 * table[cavity]
    packing = table["holding pressure"] * np.minimum(table["holding time"], 0.6)
    shrinkage = table["melt temperature"] * (1 - table["cooling time"])
    leakage = np.maximum(table["cushion"] - 0.7, 0) ** 2
    noise = random.normal(0, 0.02, size=SHOTS)
    table["part weight"] = 24 + 1.5 * packing + 0.6 * table["shot volume"] - 0.8 * shrinkage - 2 * leakage + noise
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    table = shots()
    kept = int(0.7 * len(table))
    table[:kept].to_csv(folder / "train.csv", index=False)
    table[kept:].to_csv(folder / "test.csv", index=False)
    table[kept:].to_parquet(folder / "shots.parquet", index=False)


if __name__ == "__main__":
    main()
