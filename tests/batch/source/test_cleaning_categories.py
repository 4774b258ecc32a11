"""Categories and dates: what is missing or unseen is scored by the model's own rule, unless asked otherwise."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from support.mixed import COLUMNS, RAW, mixed_sidecar
from whyport.batch.rows import CleanRows
from whyport.batch.source.cleaning import RowCleaner, changed_types, check_columns
from whyport.batch.source.files import Fingerprint
from whyport.batch.source.footer import Footer
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.errors import ColumnError, MissingValueError, UnseenValueError, UsageError
from whyport.runtime.inputs.table import Columns

CODES = np.array([[20, 0, 18262, 0, 1], [30, 1, 18628, 1, 0], [40, 0, 18993, 0, 1], [50, 1, 19358, 1, 1]])
TABLE = Columns.of(COLUMNS)


def clean(changes: dict[str, Any], on_bad_row: str = "reject", on_unseen: str = "score") -> CleanRows:
    batch = pa.RecordBatch.from_pydict(RAW | changes)
    return RowCleaner(mixed_sidecar(), on_bad_row, on_unseen=on_unseen).clean(batch, first_row=100)


def source(**types: pa.DataType) -> SourceFile:
    schema = pa.table(RAW).schema
    fields = [pa.field(name, types.get(name, schema.field(name).type)) for name in schema.names]
    return SourceFile(Path("day.parquet"), 4, pa.schema(fields), (4,), Fingerprint(0, 0, ""), Footer(b"", b"", ()))


def test_raw_rows_are_codes() -> None:
    rows = clean({})
    np.testing.assert_array_equal(rows.matrix, CODES)
    assert (rows.unseen.counts, rows.reasons) == ({}, [])


@pytest.mark.parametrize("on_bad_row", ["reject", "impute", "fail"])
def test_a_missing_category_is_no_bad_row(on_bad_row: str) -> None:
    rows = clean({"region": [None, "south", "", "north"], "member": [True, None, False, True]}, on_bad_row)
    np.testing.assert_array_equal(rows.matrix[:, [1, 4]], [[3, 1], [1, 3], [3, 0], [0, 1]])
    assert (rows.unseen.counts, rows.reasons, rows.imputed_count.tolist()) == ({}, [], [0, 0, 0, 0])


def test_a_missing_number_or_date_is_a_bad_row_as_ever() -> None:
    changes = {"age": [None, 1.0, 2.0, 3.0], "since": [dt.date(2020, 1, 1), None, *RAW["since"][2:]]}
    rows = clean(changes)
    expected = {"age": "a finite number", "since": "a date or time"}
    assert rows.reasons == [f"column {name!r}: expected {kind}, got null" for name, kind in expected.items()]
    with pytest.raises(MissingValueError, match="column 'age': expected a finite number, got null, row 100"):
        clean(changes, "fail")
    rows = clean(changes, "impute")
    np.testing.assert_array_equal(rows.matrix[:2, [0, 2]], [[30, 18262], [1, 19000]])
    assert rows.imputed_count.tolist() == [1, 1, 0, 0]


def test_a_blank_date_is_told_as_it_is() -> None:
    texts = ["2020-01-01", "", " ", "2020-01-02"]
    for since in (texts, pa.array(texts).dictionary_encode()):
        rows = clean({"since": since})
        assert rows.reasons == [f"column 'since': expected a date or time, got {text!r}" for text in ("", " ")]


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (pa.array([10**8, 1, 1, 1], pa.int32()).cast(pa.date32()), "date32[day] 100000000"),
        (pa.array([10**18, 1, 1, 1], pa.duration("s")), "duration[s] 1000000000000000000"),
        (pa.array(["x" * 5000] * 4), f"'{'x' * 99}…"),
    ],
)
def test_any_unseen_value_can_be_told(values: pa.Array, got: str) -> None:
    rows = clean({"region": values}, on_unseen="reject")
    assert rows.reasons[0] == f"column 'region': expected a value that training has seen, got {got}"


NEW: dict[str, Any] = {
    "region": ["north", "west", "south", "east"],
    "since": ["2020-01-01", "2021-01-01", "2022-02-30", "2023-01-01"],
}


@pytest.mark.parametrize("on_bad_row", ["reject", "fail"])
def test_what_training_has_not_seen_is_scored_by_the_models_rule(on_bad_row: str) -> None:
    rows = clean(NEW, on_bad_row)
    np.testing.assert_array_equal(rows.matrix[:, 1:3], [[0, 18262], [2, 18628], [1, 19000], [2, 19358]])
    assert rows.unseen.counts == {"region": 2, "since": 1}
    assert rows.unseen.any_rows.tolist() == [1, 2, 3]
    assert (rows.reasons, rows.imputed_count.tolist()) == ([], [0, 0, 1, 0])


def test_or_rejected() -> None:
    rows = clean(NEW | {"age": [1.0, 2.0, 3.0, None]}, on_unseen="reject")
    np.testing.assert_array_equal(rows.matrix, [[1, 0, 18262, 0, 1]])
    assert rows.kept.tolist() == [0]
    assert rows.reasons == [
        "column 'region': expected a value that training has seen, got 'west'",
        "column 'since': expected a value that training has seen, got '2022-02-30'",
        "column 'age': expected a finite number, got null",
    ]
    assert rows.unseen.counts == {"region": 2, "since": 1}  # of all rows that were looked at


def test_or_refused() -> None:
    with pytest.raises(UnseenValueError, match="column 'region': expected .* seen, got 'west', row 101"):
        clean(NEW, on_unseen="fail")
    assert len(clean({}, on_unseen="fail").kept) == 4
    with pytest.raises(UsageError, match="unknown policy for unseen values 'drop'; known: 'score', 'reject', 'fail'"):
        clean({}, on_unseen="drop")


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["north", "south", "west", None]).dictionary_encode(),
        pa.array(["north", "south", "west", None], pa.large_string()),
        pa.array(["north", "south", "west", None], pa.string_view()),
    ],
)
def test_texts_of_every_type_are_read(array: pa.Array) -> None:
    rows = clean({"region": array})
    assert rows.matrix[:, 1].tolist() == [0, 1, 2, 3]
    assert rows.unseen.counts == {"region": 1}


def test_a_changed_type_is_unseen_and_told_by_column() -> None:
    assert clean({"region": [1, 2, 3, 4]}).unseen.counts == {"region": 4}
    assert changed_types(source(), TABLE) == []
    assert changed_types(source(member=pa.int8(), region=pa.dictionary(pa.int8(), pa.string())), TABLE) == []
    assert changed_types(source(region=pa.int64(), grade=pa.string(), member=pa.null()), TABLE) == [
        "column 'region': expected text, got int64: training has seen none of its values, in day.parquet",
        "column 'grade': expected number, got string: training has seen none of its values, in day.parquet",
    ]


def test_types_that_no_model_can_take_are_refused() -> None:
    check_columns(source(since=pa.string(), region=pa.int8(), member=pa.string()), TABLE, (), None)
    with pytest.raises(ColumnError) as caught:
        check_columns(source(age=pa.string(), since=pa.int64()), TABLE, (), None)
    assert str(caught.value) == (
        "feature columns that are not numeric or boolean: age (1 of 5; string); feature columns that are not dates, "
        "times or text: since (1 of 5; int64); the file has: age, region, since, grade, member, in day.parquet"
    )
