import dataclasses

import numpy as np
import pytest

from support.sequences import list_column, sequence_input
from whyport.batch.methods.positions import Block, Positions
from whyport.batch.methods.reduction import Reduction
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.inputs import Axis, Input
from whyport.runtime.errors import UsageError

VITALS = sequence_input("vitals", 3, (list_column("vitals", ("hr", "bp")),))
DRUGS = sequence_input("drugs", 2, (list_column("drugs", ("bp", "dose")),))


def block(each: Input, start: int) -> Block:
    return Block(each.name, False, start, each.axes)


def cells(*blocks: Block) -> Positions:
    return Positions(tuple(f"{b.input} {i}" for b in blocks for i in range(b.stop - b.start)), blocks)


def table(columns: tuple[str, ...], start: int) -> Block:
    return Block("static", True, start, (Axis("feature", len(columns), columns),))


def explanation(values: np.ndarray, **extras: np.ndarray) -> Attribution:
    rows = len(values)
    zeros = np.zeros(rows)
    whole = np.zeros(rows, dtype=np.int64)
    return Attribution(values, zeros, zeros, whole, zeros, whole.astype(np.int32), zeros == 0, extras)


def test_sums_run_over_the_other_axis_and_a_table_stays_as_it_is() -> None:
    positions = dataclasses.replace(cells(block(VITALS, 0), table(("age",), 6)))
    positions = dataclasses.replace(positions, names=(*positions.names[:6], "age"))
    values = np.array([[1, -2, 3, -4, 5, -6, 7]], dtype=np.float32)

    feature, step = (Reduction(positions, per, "sum") for per in ("feature", "step"))
    assert feature.positions.names == ("hr", "bp", "age")
    assert feature.reduced(explanation(values)).values.tolist() == [[9, -12, 7]]
    assert step.positions.names == ("vitals[0]", "vitals[1]", "vitals[2]", "age")
    assert step.reduced(explanation(values)).values.tolist() == [[-1, -1, -1, 7]]
    assert [(each.start, each.stop) for each in step.positions.blocks] == [(0, 3), (3, 4)]
    magnitudes, values[0, 6] = Reduction(positions, "feature", "abs"), -7
    assert magnitudes.reduced(explanation(values)).values.tolist() == [[9, 12, -7]]
    assert feature.places == ((0, 2, 4), (1, 3, 5), (6,))
    assert step.places == ((0, 1), (2, 3), (4, 5), (6,))
    assert (feature.positions.add_up, magnitudes.positions.add_up) == (True, False)


def test_a_standard_error_is_at_most_the_sum_of_the_cells_errors_and_other_arrays_stay() -> None:
    errors, other = np.array([[1, 2, 3, 4, 5, 6]], dtype=np.float32), np.ones((1, 2, 2), dtype=np.float32)
    given = explanation(-errors, standard_error=errors, attention=other)
    reduced = Reduction(cells(block(VITALS, 0)), "feature", "sum").reduced(given)
    assert reduced.extras["standard_error"].tolist() == [[9, 12]]
    assert reduced.extras["attention"] is other


def test_a_label_of_two_shares_has_its_input_in_front() -> None:
    positions = cells(block(VITALS, 0), block(DRUGS, 6))
    assert Reduction(positions, "feature", "sum").positions.names == ("hr", "vitals.bp", "drugs.bp", "dose")
    beside = cells(block(VITALS, 0), table(("hr",), 6))
    beside = dataclasses.replace(beside, names=(*beside.names[:6], "hr"))
    assert Reduction(beside, "feature", "sum").positions.names == ("vitals.hr", "bp", "hr")


def test_names_that_stay_equal_are_refused() -> None:
    positions = cells(block(VITALS, 0), table(("vitals[1]",), 6))
    positions = dataclasses.replace(positions, names=(*positions.names[:6], "vitals[1]"))
    # A step's name has its input in front already, so that it becomes another.
    assert Reduction(positions, "step", "sum").positions.names[1] == "vitals.vitals[1]"
    twice = cells(block(VITALS, 0), table(("hr", "vitals.hr"), 6))
    twice = dataclasses.replace(twice, names=(*twice.names[:6], "hr", "vitals.hr"))
    with pytest.raises(
        UsageError, match=r"per: expected names that differ for the shares per feature, got 'vitals\.hr'"
    ):
        _ = Reduction(twice, "feature", "sum").positions
