"""A table as people have them: texts, codes, booleans, dates and numbers, with missing values of most."""

import numpy as np
import pandas as pd

WARDS = ["surgery", 'intensive, "A"', "Süd-Station"]
COLUMNS = ["ward", "grade", "smoker", "admitted", "score"]


def visits(rows: int, seed: int) -> pd.DataFrame:
    """Visits of patients; their outcome follows from the other columns."""
    generator = np.random.default_rng(seed)
    ward = generator.choice([*WARDS, "hospice", ""], rows, p=[0.4, 0.25, 0.2, 0.05, 0.1])
    grade, smoker = generator.choice([1, 2, 10], rows), generator.random(rows) < 0.4
    age, days = generator.normal(55, 15, rows), generator.integers(0, 900, rows)
    stay = age / 10 + 3 * (ward == WARDS[1]) + grade / 3 + smoker + days / 300 + generator.normal(size=rows)
    dates = pd.Series(pd.Timestamp("2022-01-01") + pd.to_timedelta(days, unit="D"))
    table = pd.DataFrame(
        {
            "patient": [f"P{i}" for i in range(rows)],
            "outcome": np.where(stay > np.median(stay), "stays", "home"),
            "score": age,
            "admitted": dates.dt.strftime("%Y-%m-%d"),
            "smoker": smoker,
            "grade": pd.array(grade, dtype="Int64"),
            "ward": ward,
        }
    )
    for name in ("grade", "score", "admitted"):
        table.loc[generator.choice(rows, rows // 10, replace=False), name] = None
    return table
