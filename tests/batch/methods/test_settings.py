from pathlib import Path
from typing import Any

import pytest

from whyport.batch.settings import JobSettings
from whyport.runtime.errors import UsageError
from whyport.runtime.limits import RowLimit


@pytest.mark.parametrize(
    ("text", "rejected", "rows", "is_exceeded"),
    [
        ("0", 0, 10, False),
        ("0", 1, 10, True),
        ("5", 5, 10, False),
        ("5", 6, 10, True),
        ("10%", 1, 10, False),
        ("10%", 2, 10, True),
        ("0%", 1, 10**9, True),
        ("0.5%", 5, 1000, False),
        ("100%", 10, 10, False),
        ("1%", 0, 0, False),
        ("29%", 29, 100, False),  # 0.29 * 100 < 29 in floating point
        ("0.07%", 7, 10_000, False),
        ("0.07%", 8, 10_000, True),
    ],
)
def test_a_limit_is_a_count_or_a_share(text: str, rejected: int, rows: int, is_exceeded: bool) -> None:
    assert RowLimit.parse("max_rejected", text).is_exceeded(rejected, rows) is is_exceeded


@pytest.mark.parametrize("name", ["max_rejected", "max_not_converged"])
@pytest.mark.parametrize("text", ["", "%", "many", "-1", "1.5", "101%", "-1%", "nan%", "inf%", "1/3%"])
def test_what_is_neither_is_refused(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: expected a count such as 1000 or a share such as 1%, got "):
        JobSettings(inputs=(), out=Path(), methods=("deepshap",), **{name: text})


@pytest.mark.parametrize("methods", [(), ("gradient",), ("smoothgrad", "attention", "grad-cam")])
def test_a_limit_that_no_method_can_exceed_is_refused(methods: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="max_not_converged: expected a"):
        JobSettings(inputs=(), out=Path(), methods=methods, max_not_converged="1%")


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, (32768, 1 << 20)),
        ({"methods": ("deepshap",)}, (4096, 1 << 14)),
        ({"batch_rows": 100, "part_rows": 250}, (100, 300)),
        ({"batch_rows": 100, "part_rows": 1}, (100, 100)),
        ({"batch_rows": 3, "methods": ("deepshap",)}, (3, 16386)),
    ],
)
def test_a_part_is_whole_batches(settings: dict[str, Any], rows: tuple[int, int]) -> None:
    job = JobSettings(inputs=(), out=Path(), **settings)
    assert (job.rows_per_batch(30), job.rows_per_part(30)) == rows


@pytest.mark.parametrize(
    ("columns", "rows"), [(1, 32768), (256, 32768), (257, 16384), (1000, 8192), (5000, 1024), (10_000_000, 1)]
)
def test_a_batch_of_a_wide_table_has_fewer_rows(columns: int, rows: int) -> None:
    job = JobSettings(inputs=(), out=Path())
    assert (job.rows_per_batch(columns), job.rows_per_part(columns)) == (rows, 1 << 20)
    assert JobSettings(inputs=(), out=Path(), batch_rows=100).rows_per_batch(columns) == 100


def test_a_policy_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown policy for bad files 'ignore'"):
        JobSettings(inputs=(), out=Path(), on_bad_file="ignore")
