"""Lists of numbers in every form to the numbers of a row."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.sequences import list_column, sequence_input
from whyport.runtime.bundle.row import sources_of
from whyport.runtime.errors import MissingValueError
from whyport.runtime.inputs.lists import ListEncoder
from whyport.runtime.inputs.numbers import OtherTypeError
from whyport.runtime.inputs.table import Columns

STEPS, WIDTH = 4, 3
VALUES = np.arange(5 * STEPS * WIDTH, dtype=np.float32).reshape(5, STEPS, WIDTH)
INPUT = sequence_input("vitals", STEPS, (list_column("vitals", ("a", "b", "c")),))
ENCODER = ListEncoder(sources_of((INPUT,))[0])


def fixed(values: np.ndarray) -> pa.Array:
    inner = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[2])
    return pa.FixedSizeListArray.from_arrays(inner, values.shape[1])


TENSOR = pa.ExtensionArray.from_storage(
    pa.fixed_shape_tensor(pa.float32(), [STEPS, WIDTH]),
    pa.FixedSizeListArray.from_arrays(pa.array(VALUES.reshape(-1)), STEPS * WIDTH),
)
FORMS: dict[str, Any] = {
    "nested fixed": fixed(VALUES),
    "nested variable": pa.array(VALUES.tolist()),
    "nested large": pa.array(VALUES.tolist(), pa.large_list(pa.large_list(pa.float64()))),
    "integers": pa.array(VALUES.astype(int).tolist(), pa.list_(pa.list_(pa.int16()))),
    "flat fixed": pa.FixedSizeListArray.from_arrays(pa.array(VALUES.reshape(-1)), STEPS * WIDTH),
    "flat variable": pa.array(VALUES.reshape(5, -1).tolist()),
    "tensor": TENSOR,
    "chunks": pa.chunked_array([fixed(VALUES[:2]), fixed(VALUES[2:])]),
    "slice": fixed(np.concatenate([VALUES[:1], VALUES]))[1:],
    "array": VALUES,
    "flat array": VALUES.reshape(5, -1),
    "python lists": VALUES.tolist(),
    "pandas of arrays": pd.Series(list(VALUES)),
    "pandas of arrays of arrays": pa.array(VALUES.tolist()).to_pandas(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_steps_in_order(form: str) -> None:
    numbers, unseen = ENCODER.encode(FORMS[form])

    np.testing.assert_array_equal(numbers, VALUES.reshape(5, -1))
    assert not len(unseen)


BROKEN = VALUES.tolist()
BROKEN[1], BROKEN[3] = None, BROKEN[3][:3]
BROKEN[4][2] = [1.0, 2.0]


@pytest.mark.parametrize(
    "column",
    [pa.array(BROKEN), pa.array(BROKEN, pa.large_list(pa.large_list(pa.float32()))), BROKEN, pd.Series(BROKEN)],
)
def test_lists_that_do_not_fit_are_nan_and_others_as_they_were(column: Any) -> None:
    numbers, _ = ENCODER.encode(column)

    np.testing.assert_array_equal(numbers[[0, 2]], VALUES[[0, 2]].reshape(2, -1))
    assert np.isnan(numbers[[1, 3, 4]]).all()


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_a_missing_number_among_python_objects_is_nan_alone(missing: Any) -> None:
    lists: list[list[list[Any]]] = VALUES.tolist()
    lists[1][2][0] = missing
    expected = VALUES.reshape(5, -1).copy()
    expected[1, 2 * WIDTH] = np.nan

    np.testing.assert_array_equal(ENCODER.encode(pd.Series(lists))[0], expected)
    arrays = [[np.array(step, dtype=object) for step in row] for row in lists]
    np.testing.assert_array_equal(ENCODER.encode(pd.Series(arrays))[0], expected)


def test_lists_among_python_objects_are_walked_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that fits costs no step of Python for each of its numbers."""
    monkeypatch.setattr("whyport.runtime.inputs.lists._nested", None)

    for form in ("python lists", "pandas of arrays", "pandas of arrays of arrays"):
        np.testing.assert_array_equal(ENCODER.encode(FORMS[form])[0], VALUES.reshape(5, -1))


def test_null_lists_of_a_fixed_length_are_nan() -> None:
    column = fixed(VALUES).take(pa.array([0, None, 2]))

    numbers, _ = ENCODER.encode(column)

    np.testing.assert_array_equal(numbers[[0, 2]], VALUES[[0, 2]].reshape(2, -1))
    assert np.isnan(numbers[1]).all()


FAULTS = {
    "expected a list of 4 steps of 3 numbers, got null": None,
    "expected a list of 4 steps of 3 numbers, got 2 steps": VALUES[0, :2].tolist(),
    "expected a list of 4 steps of 3 numbers, got 11 numbers": [1.0] * 11,
    "expected a list of 4 steps of 3 numbers, got 2 numbers at step 1": [[1, 2, 3], [1, 2], [1, 2, 3], [1, 2, 3]],
    "expected a list of 4 steps of 3 numbers, got null at step 1": [[1, 2, 3], None, [1, 2, 3], [1, 2, 3]],
    "expected a finite number at [2].b, got NaN": [[1, 2, 3], [1, 2, 3], [1, float("nan"), 3], [1, 2, 3]],
    "expected a finite number at [0].c, got null": [[1, 2, None], [1, 2, 3], [1, 2, 3], [1, 2, 3]],
    "expected a finite number at [3].a, got infinity": [*[1.0] * 9, float("inf"), 1.0, 1.0],
    "expected a list of 4 steps of 3 numbers, got 0 numbers": [],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_of_a_list_says_what_was_expected_and_where(fault: str) -> None:
    assert ENCODER.fault(FAULTS[fault]) == fault


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.0, 2.0]),
        pa.array([["a"]]),
        pa.array([[[[1.0]]]]),
        fixed(VALUES[:, :3]),
        VALUES[:, :2],
        VALUES[:, 0, 0],
        ["text"],
        [3.0],
    ],
)
def test_other_columns_are_refused(column: Any) -> None:
    if isinstance(column, pa.Array):
        assert not ENCODER.takes(column.type)

    with pytest.raises(OtherTypeError):
        ENCODER.encode(column)


def test_a_column_of_lists_a_feature_stands_step_by_step_in_the_row() -> None:
    vitals = sequence_input("vitals", STEPS, (list_column("a"), list_column("b"), list_column("c")))
    table = {name: pa.array(VALUES[:, :, k].tolist()) for k, name in enumerate("abc")}

    encoded = Columns.of_inputs((vitals,)).encode(table)

    np.testing.assert_array_equal(encoded.matrix, VALUES.reshape(5, -1))


def test_a_table_in_memory_names_the_row_whose_list_does_not_fit() -> None:
    columns = Columns.of_inputs((INPUT,))
    rows = {"vitals": BROKEN}

    with pytest.raises(MissingValueError, match=r"^column 'vitals', row 1: expected a list of 4 steps .*, got null$"):
        columns.check_cells(rows, columns.encode(rows).matrix)
