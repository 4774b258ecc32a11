import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from support.bundles import IMPUTATION, linear_sidecar
from support.columns import STATISTICS, number_column
from whyport.batch.source.cleaning import RowCleaner, check_columns
from whyport.batch.source.files import Fingerprint
from whyport.batch.source.footer import Footer
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.bundle.score import Score, Target
from whyport.runtime.errors import ColumnError, MissingValueError, UsageError, ValueRangeError
from whyport.runtime.inputs.table import Columns

SIDECAR = linear_sidecar(True, ("a", "b", "c"), ("no", "yes"))
GOOD = {"a": [1.0, 2.0, 3.0, 4.0], "b": [1.0, 2.0, 3.0, 4.0], "c": [1.0, 2.0, 3.0, 4.0]}
BAD = GOOD | {"b": [1.0, None, 3.0, float("inf")], "c": [1.0, float("nan"), float("nan"), 4.0]}


def clean(columns: dict[str, object], on_bad_row: str = "reject", label: str | None = None):
    return RowCleaner(SIDECAR, on_bad_row, label).clean(pa.record_batch(columns), first_row=100)


def columns_of(*names: str) -> Columns:
    return Columns.of([number_column(name) for name in names])


NUMERIC = [
    pa.int8(),
    pa.uint16(),
    pa.int64(),
    pa.uint64(),
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(9, 2),
]
IN_DICTIONARIES = [kind for kind in NUMERIC if kind not in (pa.float16(), pa.decimal128(9, 2))]


NUMBERS = {str(kind): pa.array([0.0, 1.0, 2.0, 3.0]).cast(kind) for kind in NUMERIC}
ENCODED = {f"dictionary of {kind}": NUMBERS[str(kind)].dictionary_encode() for kind in IN_DICTIONARIES}


@pytest.mark.parametrize("array", [*NUMBERS.values(), *ENCODED.values()], ids=[*NUMBERS, *ENCODED])
def test_every_numeric_type_is_read(array: pa.Array) -> None:
    rows = clean(GOOD | {"b": array})
    np.testing.assert_array_equal(rows.matrix[:, 1], [0, 1, 2, 3])
    assert len(rows.rejected) == 0


def test_booleans_are_read() -> None:
    rows = clean(GOOD | {"b": [True, False, None, True]})
    np.testing.assert_array_equal(rows.matrix[:, 1], [1, 0, 1])


def test_a_column_without_any_value_is_missing_on_every_row() -> None:
    assert clean(GOOD | {"b": pa.nulls(4)}).rejected.tolist() == [0, 1, 2, 3]


def test_integers_with_nulls_keep_their_values() -> None:
    rows = clean(GOOD | {"b": pa.array([7, None, 9, 8], pa.int32())})
    np.testing.assert_array_equal(rows.matrix[:, 1], [7, 9, 8])


def test_bad_rows_are_rejected_with_the_reason() -> None:
    rows = clean(BAD)
    np.testing.assert_array_equal(rows.matrix, [[1, 1, 1]])
    assert rows.kept.tolist() == [0]
    assert rows.rejected.tolist() == [1, 2, 3]
    assert rows.reasons == [
        "column 'b': expected a finite number, got null",
        "column 'c': expected a finite number, got NaN",
        "column 'b': expected a finite number, got infinity",
    ]


def test_bad_rows_are_imputed_and_counted() -> None:
    rows = clean(BAD, "impute")
    expected = np.array([[1, 1, 1], [2, IMPUTATION[1], IMPUTATION[2]], [3, 3, IMPUTATION[2]], [4, IMPUTATION[1], 4]])
    np.testing.assert_array_equal(rows.matrix, expected.astype(np.float32))
    assert rows.imputed_count.tolist() == [0, 2, 1, 1]
    assert rows.kept.tolist() == [0, 1, 2, 3]


def test_a_bad_row_fails_with_column_and_row() -> None:
    with pytest.raises(MissingValueError, match="column 'b': expected a finite number, got null, row 101"):
        clean(BAD, "fail")


def test_imputing_is_an_error_where_the_bundle_does_not() -> None:
    with pytest.raises(UsageError, match="bundle 'linear' does not impute"):
        RowCleaner(linear_sidecar(False, ("a", "b", "c"), ("no", "yes")), "impute")


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown policy for bad rows 'ignore'"):
        RowCleaner(SIDECAR, "ignore")


@pytest.mark.parametrize("policy", ["reject", "impute", "fail"])
def test_an_overflow_is_refused_whatever_the_policy(policy: str) -> None:
    with pytest.raises(ValueRangeError, match="column 'a', row 102"):
        clean(GOOD | {"a": [1.0, 2.0, 1e39, 4.0]}, policy)


@pytest.mark.parametrize(
    "labels",
    [
        pa.array(["yes", "no", None, "maybe"]),
        pa.array(["yes", "no", None, "maybe"]).dictionary_encode(),
        pa.array(["yes", "no", None, "maybe"], pa.large_string()),
    ],
    ids=["string", "dictionary", "large_string"],
)
@pytest.mark.parametrize("policy", ["reject", "impute"])
def test_labels_name_classes_and_others_are_rejected(labels: pa.Array, policy: str) -> None:
    rows = clean(GOOD | {"label": labels}, policy, "label")
    assert rows.labels is not None
    assert rows.labels.tolist() == [1, 0]
    assert rows.reasons == [
        "column 'label': expected one of the classes 'no', 'yes', got None",
        "column 'label': expected one of the classes 'no', 'yes', got 'maybe'",
    ]


def test_labels_of_quantities_are_no_classes() -> None:
    targets = (Target("weight", "g"), Target("length", None))
    sidecar = dataclasses.replace(SIDECAR, score=Score("regression", "value", "value", None, targets))
    batch = pa.record_batch(GOOD | {"label": ["weight", "length", None, "no"]})
    assert RowCleaner(sidecar, "reject", "label").clean(batch, 0).reasons == [
        "column 'label': expected one of the targets 'weight', 'length', got None",
        "column 'label': expected one of the targets 'weight', 'length', got 'no'",
    ]


def test_integer_labels_are_matched_by_their_digits() -> None:
    sidecar = linear_sidecar(True, ("a", "b", "c"), ("0", "1"))
    batch = pa.record_batch(GOOD | {"label": [1, 0, 1, 1]})
    labels = RowCleaner(sidecar, "reject", "label").clean(batch, 0).labels
    assert labels is not None
    assert labels.tolist() == [1, 0, 1, 1]


def source(schema: pa.Schema) -> SourceFile:
    return SourceFile(Path("part-0003.parquet"), 0, schema, (), Fingerprint(0, 0, None), Footer(b"", b"", ()))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            [("a", pa.float32()), ("b", pa.float32())],
            r"^missing feature columns: c \(1 of 3\); the file has: a, b, in part-0003.parquet$",
        ),
        (
            [("a", pa.float32()), ("b", pa.string()), ("c", pa.int8())],
            r"^feature columns that are not numeric or boolean: b \(1 of 3; string\); .*, in part-0003.parquet$",
        ),
        ([("a", pa.float32()), ("b", pa.timestamp("ms")), ("c", pa.int8())], r": b \(1 of 3; timestamp\[ms\]\)"),
        (
            [("a", pa.int8()), ("b", pa.dictionary(pa.int8(), pa.string())), ("c", pa.int8())],
            r": b \(1 of 3; dictionary<",
        ),
        ([("a", pa.int8()), ("b", pa.int8()), ("c", pa.int8()), ("b", pa.int8())], r"once: b \(1 of 3; 2 times\)"),
        (
            [("a", pa.string()), ("d", pa.date32()), ("x", pa.list_(pa.float32()))],
            r"^missing feature columns: b, c \(2 of 3\); feature columns that are not numeric or boolean: a "
            r"\(1 of 1; string\); the file has: a, d, x, in part-0003.parquet$",
        ),
        (
            [("a", pa.string()), ("c", pa.date32()), ("b", pa.string())],
            r": a, b, c \(3 of 3; string, date32\[day\]\); the file has: a, c, b, in part-0003.parquet$",
        ),
    ],
)
def test_features_that_cannot_be_used_are_named(fields: list[tuple[str, pa.DataType]], message: str) -> None:
    with pytest.raises(ColumnError, match=message):
        check_columns(source(pa.schema(fields)), columns_of("a", "b", "c"), (), None)


def test_other_columns_are_free() -> None:
    columns = source(pa.schema([("x", pa.string()), ("y", pa.int8()), ("y", pa.int8())]))
    check_columns(columns, columns_of(), ["x"], None)
    with pytest.raises(ColumnError, match=r"kept columns that occur more than once: y \(1 of 1; 2 times\)"):
        check_columns(columns, columns_of(), ["y"], None)


def test_every_fault_of_every_role_is_in_one_message() -> None:
    columns = source(pa.schema([("a", pa.string()), ("y", pa.int8()), ("y", pa.int8())]))
    with pytest.raises(ColumnError) as raised:
        check_columns(columns, columns_of("a", "b"), ["y", "id", "a, b"], "class")
    assert str(raised.value) == (
        "missing feature columns: b (1 of 2); feature columns that are not numeric or boolean: a (1 of 1; string); "
        'missing kept columns: id, "a, b" (2 of 3); kept columns that occur more than once: y (1 of 3; 2 times); '
        "missing label columns: class (1 of 1); the file has: a, y, y, in part-0003.parquet"
    )


def test_a_dictionary_inside_a_list_cannot_be_kept() -> None:
    schema = pa.schema(
        [("x", pa.dictionary(pa.int8(), pa.string())), ("y", pa.list_(pa.dictionary(pa.int8(), pa.string())))]
    )
    check_columns(source(schema), columns_of(), ["x"], None)
    message = r"kept columns whose rows cannot be copied: y \(1 of 1; list<.*>, with dictionaries inside\); .*part-0003"
    with pytest.raises(ColumnError, match=message):
        check_columns(source(schema), columns_of(), ["y"], None)


@pytest.mark.parametrize("on_bad_row", ["reject", "impute"])
@pytest.mark.parametrize("kinds", [[pa.float64()], [pa.float32()], [pa.float64(), pa.float32()]])
def test_floating_columns_are_read_together_as_they_are_one_by_one(
    monkeypatch: pytest.MonkeyPatch, kinds: list[pa.DataType], on_bad_row: str
) -> None:
    monkeypatch.setattr("whyport.batch.source.cleaning.TURNED_VALUES", 1)
    monkeypatch.setattr("whyport.batch.source.cleaning.TURNED_ROWS", 3)
    columns = {name: pa.array(BAD[name], kinds[i % len(kinds)]) for i, name in enumerate("abc")}
    together = clean({"z": [1, 2, 3, 4]} | columns, on_bad_row)
    one_by_one = clean({"z": [1, 2, 3, 4]} | columns | {"a": columns["a"].cast(pa.int8())}, on_bad_row)
    np.testing.assert_array_equal(together.matrix, one_by_one.matrix)
    np.testing.assert_array_equal(together.rejected, one_by_one.rejected)
    assert together.matrix.dtype == np.float32
    assert together.reasons == one_by_one.reasons
    assert len(together.rejected) == (3 if on_bad_row == "reject" else 0)


def test_a_value_that_float32_cannot_hold_is_named_among_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("whyport.batch.source.cleaning.TURNED_VALUES", 1)
    monkeypatch.setattr("whyport.batch.source.cleaning.TURNED_ROWS", 2)
    with pytest.raises(
        ValueRangeError, match=r"column 'b', row 103: expected a value within float32's range, got 1e\+39"
    ):
        clean(GOOD | {"b": [1.0, 2.0, 3.0, 1e39]})


def test_finite_values_whose_sum_overflows_are_finite() -> None:
    constant = dataclasses.replace(STATISTICS, standard_deviation=0.0)
    columns = tuple(number_column(name, statistics=constant) for name in "abc")
    sidecar = dataclasses.replace(SIDECAR, inputs=(dataclasses.replace(SIDECAR.inputs[0], columns=columns),))
    large = pa.record_batch(GOOD | {"b": [3e38] * 4})
    rows = RowCleaner(sidecar, "reject").clean(large, 0)
    np.testing.assert_array_equal(rows.matrix[:, 1], np.float32(3e38))
    assert rows.kept.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("policy", ["reject", "fail"])
def test_a_missing_number_that_the_model_has_a_way_with_is_passed_on(policy: str) -> None:
    (table,) = linear_sidecar(False, ("a", "b", "c"), ("no", "yes")).inputs
    columns = tuple(
        dataclasses.replace(each, missing="model" if each.name == "b" else "refuse") for each in table.columns
    )
    sidecar = dataclasses.replace(SIDECAR, inputs=(dataclasses.replace(table, columns=columns),))
    cleaner = RowCleaner(sidecar, policy)
    rows = cleaner.clean(pa.record_batch(GOOD | {"b": [1.0, None, float("nan"), 4.0]}), first_row=0)
    np.testing.assert_array_equal(np.isnan(rows.matrix), [[False, i in (1, 2), False] for i in range(4)])
    assert (rows.imputed_count == 0).all()
    for bad in ({"b": [1.0, float("inf"), 3.0, 4.0]}, {"a": [1.0, None, 3.0, 4.0]}):
        table_of_four = pa.record_batch(GOOD | bad)
        if policy == "fail":
            with pytest.raises(MissingValueError, match="expected a finite number, got"):
                cleaner.clean(table_of_four, first_row=0)
        else:
            assert cleaner.clean(table_of_four, first_row=0).rejected.tolist() == [1]
