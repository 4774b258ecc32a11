"""Keys of any type meet; each is there once; what meets nothing is counted."""

import secrets
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from whyport.batch.groups import later_truth
from whyport.batch.groups.keys import key_texts, partitions_of
from whyport.batch.groups.label_files import LabelFiles
from whyport.batch.groups.later_truth import LaterTruth
from whyport.batch.groups.tallies import Tally
from whyport.runtime.errors import DataError, UsageError
from whyport.runtime.store import client
from whyport.runtime.store.path import as_place


class Seen(Tally):
    """A tally that remembers what it is told."""

    def __init__(self) -> None:
        self.truths: dict[int, Any] = {}

    columns: Any = ()

    def outcomes(self, table: pa.Table) -> dict[str, Any]:
        return {}

    def add(self, groups: Any, outcomes: Any) -> None: ...

    def add_truths(self, groups: Any, outcomes: Any, truths: Sequence[pa.Array]) -> None:
        assert (outcomes["twice"] == 2 * groups).all()
        self.truths |= dict(zip(groups.tolist(), truths[0].to_pylist(), strict=True))


def joined(files: LabelFiles, keys: pa.Array, columns: Sequence[str] = ("y",), **options: Any) -> tuple[Any, Any]:
    """The truth of each row by its place, and the counts."""
    seen, places = Seen(), np.arange(len(keys))
    quantities = options.pop("quantities", False)
    with LaterTruth(files, "id", list(columns), keys.type, len(keys), quantities=quantities) as later:
        for start in range(0, len(keys), 7):
            own = slice(start, start + 7)
            later.add(keys[own], places[own], {"twice": 2 * places[own]})
        later.join(seen)
    return seen.truths, later.counts


@pytest.fixture
def labels(tmp_path: Path) -> Callable[..., LabelFiles]:
    def write(*tables: pa.Table, csv: bool = False) -> LabelFiles:
        folder = tmp_path / "labels"
        folder.mkdir()
        for i, table in enumerate(tables):
            if csv:
                pyarrow.csv.write_csv(table, folder / f"{i}.csv")
            else:
                pq.write_table(table, folder / f"{i}.parquet")
        return LabelFiles(folder)

    return write


@pytest.mark.parametrize("csv", [False, True])
@pytest.mark.parametrize("rows_at_once", [1 << 20, 3])
def test_rows_meet_their_labels_in_any_number_of_partitions(
    labels: Callable[..., LabelFiles], csv: bool, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later_truth, "ROWS_AT_ONCE", rows_at_once)
    keys = [f"C{i:03d}" if i % 10 else None for i in range(60)]
    order = np.random.default_rng(0).permutation(np.arange(30, 90))
    table = pa.table({"y": [f"v{i}" for i in order], "other": order, "id": [f"C{i:03d}" for i in order]})
    truths, counts = joined(labels(table[:20], table[20:], csv=csv), pa.array(keys))
    assert truths == {i: f"v{i}" for i in range(31, 60) if i % 10}
    assert (counts.matched, counts.rows_without_label, counts.labels_without_row) == (27, 27, 33)
    assert (counts.rows_without_key, counts.labels_without_key) == (6, 0)


@pytest.mark.parametrize(
    ("keys", "others", "meet"),
    [
        (pa.array([1, 20]), pa.array(["001", "20"]), True),
        (pa.array([1.0, 20.0]), pa.array([1, 20], pa.int8()), True),
        (pa.array([1, 20], pa.uint64()), pa.array([Decimal("1.0"), Decimal("20.0")]), True),
        (pa.array(["1", "20"]), pa.array([1, 20]), True),
        (pa.array(["a", "b"]).dictionary_encode(), pa.array(["a", "b"], pa.large_string()), True),
        (pa.array(["001", "020"]), pa.array([1, 20]), False),
    ],
    ids=str,
)
def test_keys_of_any_type_meet(labels: Callable[..., LabelFiles], keys: Any, others: Any, meet: bool) -> None:
    truths, counts = joined(labels(pa.table({"id": others, "y": ["p", "q"]})), keys)
    assert truths == ({0: "p", 1: "q"} if meet else {})
    assert counts.matched == 2 * meet


def test_labels_in_a_store_meet_rows_too() -> None:
    tables = [pa.table({"id": [1, 2], "y": ["p", "q"]}), pa.table({"id": [3], "y": ["r"]})]
    root = f"memory://{secrets.token_hex(4)}"
    for i, name in enumerate(("in/a.parquet", "in/more/b.csv")):
        sink = pa.BufferOutputStream()
        (pyarrow.csv.write_csv if name.endswith("csv") else pq.write_table)(tables[i], sink)
        client.put(root, name, sink.getvalue().to_pybytes())
    client.put(root, "in/_SUCCESS", b"")
    for place, expected in (("in", {0: "p", 1: "q", 2: "r"}), ("in/more/b.csv", {2: "r"})):
        assert joined(LabelFiles(as_place(f"{root}/{place}")), pa.array([1, 2, 3]))[0] == expected
    with pytest.raises(UsageError, match="labels: expected a file"):
        LabelFiles(as_place(f"{root}/nothing.csv"))


def test_a_key_that_is_there_twice_is_refused_by_name(labels: Callable[..., LabelFiles]) -> None:
    files = labels(pa.table({"id": [1, 2, 2, 3, 3], "y": [0, 0, 0, 0, 0]}))
    with pytest.raises(DataError, match="key 'id': expected each value once, got '2', '3' more than once, in the labe"):
        joined(files, pa.array([1]))
    with pytest.raises(DataError, match="key 'id': expected each value once, got '5' more than once, in the run"):
        joined(files_of(files, pa.table({"id": [5], "y": [0]})), pa.array([5, 5]))


def files_of(files: LabelFiles, table: pa.Table) -> LabelFiles:
    pq.write_table(table, Path(files.place) / "0.parquet")
    return LabelFiles(files.place)


def test_measured_values_are_numbers(labels: Callable[..., LabelFiles]) -> None:
    table = pa.table({"id": [1, 2], "y": ["0.5", "-3"]})
    assert joined(labels(table, csv=True), pa.array([1, 2]), quantities=True)[0] == {0: 0.5, 1: -3.0}


def test_what_is_no_number_is_refused(labels: Callable[..., LabelFiles]) -> None:
    with pytest.raises(DataError, match="column 'y': expected numbers: .*many.*0.csv"):
        joined(labels(pa.table({"id": [1], "y": ["many"]}), csv=True), pa.array([1]), quantities=True)


def test_files_that_are_not_there_or_lack_a_column(labels: Callable[..., LabelFiles], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="labels: expected a file .*, got '.*nothing.csv'"):
        LabelFiles(tmp_path / "nothing.csv")
    files = labels(pa.table({"id": [1]}), csv=True)
    assert files.names == ["id"]
    with pytest.raises(DataError, match="expected the columns 'id', 'y', got others, in .*0.csv"):
        joined(files, pa.array([1]))
    with pytest.raises(UsageError, match="key: expected texts or whole numbers in 'k', got list"):
        key_texts(pa.array([[1]]), "k", are_whole=True)


def test_partitions_hold_alike_keys_together_and_about_as_many() -> None:
    texts = pa.array([f"C{i % 5000:05d}" for i in range(10_000)], pa.large_string())
    places = partitions_of(texts, 8)
    assert (places[:5000] == places[5000:]).all()
    assert np.bincount(places, minlength=8).min() > 1000
