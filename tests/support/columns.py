"""Columns of a table, described as training would: numbers, times and categories."""

from whyport.runtime.bundle.columns import (
    CATEGORY,
    DAYS,
    IMPUTE,
    MODEL,
    NUMBER,
    TIME,
    Categories,
    Column,
    NumberStatistics,
)

STATISTICS = NumberStatistics(-10.0, 10.0, 0.0, 1.0, 0.0, (0.0,), (0.5, 0.5))


def number_column(name: str, missing: str = IMPUTE, statistics: NumberStatistics = STATISTICS) -> Column:
    imputation = statistics.median if missing == IMPUTE else None
    return Column(name, NUMBER, None, missing, imputation, 0.0, statistics, None, ())


def time_column(name: str, missing: str = IMPUTE, statistics: NumberStatistics | None = None) -> Column:
    statistics = statistics or NumberStatistics(18000.0, 20000.0, 19000.0, 500.0, 19000.0, (19000.0,), (0.5, 0.5))
    imputation = statistics.median if missing == IMPUTE else None
    return Column(name, TIME, DAYS, missing, imputation, 0.0, statistics, None, ())


def category_column(name: str, values: tuple[str, ...], kind: str = "text", counts: tuple[int, ...] = ()) -> Column:
    counts = counts or tuple(range(10, 10 + len(values)))
    return Column(name, CATEGORY, None, MODEL, None, 0.0, None, Categories(kind, values, counts, 0, 0), ())
