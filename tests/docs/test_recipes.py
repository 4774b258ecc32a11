"""The recipes of docs/recipes.md, run as they stand, against each other and against loops over the rows."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.bundles import linear_bundle
from support.pages import ROOT
from whyport import Bundle, run

PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
START = re.findall(r"^```python\n(.*?)^```$", PAGE.split("## 1.")[0], re.MULTILINE | re.DOTALL)[0]
RECIPES = {
    int(number): re.findall(r"^```(?:sql|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for number, text in re.findall(r"^## (\d+)\.(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
NAMES = ("income", "debt", "age")
SHARES = tuple(f"attribution.{name}" for name in NAMES)

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two months of the page, with parts of a hundred rows, some of them rejected."""
    folder = tmp_path_factory.mktemp("recipes")
    bundle = linear_bundle(folder / "bundle", imputes=False, names=NAMES, classes=("refused", "approved"))
    for seed, month in enumerate(("march", "april")):
        draws = np.random.default_rng(seed).normal(size=(400, 3)) + np.array([0, 0.3 * seed, 0])
        draws[5::40, seed] = np.nan
        who = {
            "customer_id": [f"C{i:05d}" for i in range(400)],
            "region": [("north", "south")[i % 3 > 0] for i in range(400)],
        }
        pq.write_table(pa.table(who | dict(zip(NAMES, draws.T, strict=True))), folder / f"{month}.parquet")
        run(
            bundle,
            folder / f"{month}.parquet",
            folder / month,
            explain="deepshap",
            explain_target="approved",
            keep=["customer_id", "region"],
            reasons=2,
            reason_texts={"income": "Income", "debt": "Debt"},
            part_rows=100,
            batch_rows=100,
            device="cpu",
        )
    return folder


def rows_of(folder: Path) -> Rows:
    """All rows of a folder's files, one by one."""
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()]


def why(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    (person,) = [row for row in april if row["customer_id"] == "C00021"]
    return [(name, person[name]) for name in SHARES]


def drivers(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    refused = [row for row in april if row["prediction"] == "refused"]
    return [(name, sum(row[name] for row in refused) / len(refused)) for name in SHARES]


def accounted(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    rejected = Counter(row["reason"] for row in rows_of(folder / "april" / "_rejected"))
    return [("scored", len(april)), *rejected.items()]


def adding_up(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    off = [abs(sum(row[name] for name in SHARES) - (row["score"] - row["base_value"])) for row in april]
    return [(max(off), sum(each > 1e-4 for each in off))]


def alike(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    found = []
    for region in ("north", "south"):
        own = [row["prediction"] == "approved" for row in april if row["region"] == region]
        found.append((region, len(own), sum(own) / len(own)))
    return found


def told(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    refused = [row for row in april if row["prediction"] == "refused"]
    return [(*key, count) for key, count in Counter((row["region"], row["reason_1"]) for row in refused).items()]


def close(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    name = "probability.approved"
    return [(row["customer_id"], row[name]) for row in april if 0.45 <= row[name] <= 0.55]


def changed(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    return [(name, *(sum(abs(row[name]) for row in month) / len(month) for month in (march, april))) for name in SHARES]


def loudest(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    return [*Counter(min(SHARES, key=lambda name: row[name]) for row in april).items()]


def made_by(april: Rows, march: Rows, folder: Path) -> list[tuple[Any, ...]]:
    return [(Bundle.read(folder / "bundle").digest, 4)]


ORACLES: tuple[Callable[[Rows, Rows, Path], list[tuple[Any, ...]]], ...] = (
    why, drivers, accounted, adding_up, alike, told, close, changed, loudest, made_by,
)  # fmt: skip


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows sorted by their texts, with missing texts as None."""
    found = [tuple(None if value is None or value != value else value for value in row) for row in rows]
    return sorted(found, key=lambda row: [str(value) for value in row if not is_number(value)])


def is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number)


def is_same(value: Any, wanted: Any) -> bool:
    return bool(abs(value - wanted) <= 1e-6 * abs(wanted) + 1e-12) if is_number(wanted) else value == wanted


@pytest.mark.parametrize("number", range(1, 11))
def test_the_three_answers_are_the_loops_answer(number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    sql, polars, pandas = RECIPES[number]
    names: dict[str, Any] = {}
    exec(START, names)
    answers = {"duckdb": duckdb.connect().execute(sql).fetchall()}
    exec(polars, names)
    answers["polars"] = names["answer"].rows()
    exec(pandas, names)
    assert isinstance(names["answer"], pd.DataFrame)
    answers["pandas"] = list(names["answer"].itertuples(index=False, name=None))
    april, march = rows_of(folder / "april"), rows_of(folder / "march")
    expected = plain(ORACLES[number - 1](april, march, folder))
    assert expected
    for tool, answer in answers.items():
        got = plain(answer)
        assert len(got) == len(expected), tool
        for one, other in zip(got, expected, strict=True):
            assert all(map(is_same, one, other)), (tool, one, other)
            assert len(one) == len(other)


def test_there_are_ten() -> None:
    assert list(RECIPES) == [*range(1, 11)]
    assert {len(snippets) for snippets in RECIPES.values()} == {3}
