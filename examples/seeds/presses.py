"""Simulated cycles of a press: four sensors over 24 moments, and whether its bearing was worn.

    python presses.py FOLDER

Writes train.parquet, test.parquet and cycles.parquet, which holds the test rows again. Nothing here was measured.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

CYCLES, STEPS = 600, 24
SENSORS = ["force", "current", "vibration", "temperature"]
UNITS = (120.0, 14.0, 1.0, 45.0)
"""The usual size in kN, A, mm/s and degrees Celsius."""


def cycles(seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Sensors [N, steps, sensors] and whether the bearing was worn, [N].

    A worn bearing shakes while the press moves down, in the second third, and draws more current just after.
    """
    random = np.random.default_rng(seed)
    worn = random.random(CYCLES) < 0.3
    time = np.linspace(0, 1, STEPS)
    press = np.exp(-(((time - 0.6) / 0.18) ** 2))
    shapes = np.stack([press, 0.4 + 0.6 * press, 0.2 + 0.3 * press, np.full(STEPS, 1.0)], axis=1)
    values = shapes * (1 + 0.08 * random.normal(size=(CYCLES, 1, 4))) + 0.05 * random.normal(size=(CYCLES, STEPS, 4))
    wear = worn * random.uniform(0.5, 1.5, CYCLES)
    values[:, 8:16, 2] += 0.25 * wear[:, None] * np.abs(random.normal(size=(CYCLES, 8)))
    values[:, 14:18, 1] += 0.08 * wear[:, None]
    return (values * UNITS).astype(np.float32), worn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    values, worn = cycles()
    texts = np.where(worn, "worn", "sound")
    table = pa.table(
        {"cycle": np.arange(CYCLES), "sensors": pa.array(list(values.reshape(CYCLES, -1))), "bearing": texts}
    )
    kept = int(0.75 * CYCLES)
    pq.write_table(table[:kept], folder / "train.parquet")
    for name in ("test", "cycles"):
        pq.write_table(table[kept:], folder / f"{name}.parquet")


if __name__ == "__main__":
    main()
