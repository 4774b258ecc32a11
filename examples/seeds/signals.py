"""Simulated measurements of four sensors, and the state of the machine: one of four.

    python signals.py FOLDER

Writes train.csv, test.csv and readings.parquet, which holds the test rows again. Nothing here was measured.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 800
STATES = {
    "idle": (20.0, 0.2, 1.0, 40.0),
    "running": (45.0, 1.0, 2.2, 55.0),
    "overload": (70.0, 2.4, 2.6, 72.0),
    "leak": (40.0, 1.2, 0.9, 68.0),
}
COLUMNS = ["temperature", "vibration", "pressure", "noise level"]
SPREAD = (8.0, 0.35, 0.4, 6.0)


def readings(seed: int = 1) -> pd.DataFrame:
    """Four sensors in degrees Celsius, mm/s, bar and dB, and `state`."""
    random = np.random.default_rng(seed)
    states = random.choice(list(STATES), size=ROWS, p=[0.35, 0.4, 0.15, 0.1])
    centres = np.array([STATES[state] for state in states])
    table = pd.DataFrame(centres + random.normal(size=centres.shape) * SPREAD, columns=COLUMNS).round(3)
    return table.assign(state=states)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    table = readings()
    kept = int(0.75 * len(table))
    table[:kept].to_csv(folder / "train.csv", index=False)
    table[kept:].to_csv(folder / "test.csv", index=False)
    table[kept:].to_parquet(folder / "readings.parquet", index=False)


if __name__ == "__main__":
    main()
