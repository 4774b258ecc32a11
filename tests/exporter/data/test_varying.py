"""Sequences of varying length, described by a sample: buckets, features, masks, and what is refused."""

from typing import Any

import pandas as pd
import pytest

from whyport.exporter.data.input_choice import InputChoice
from whyport.exporter.data.inputs import describe_inputs
from whyport.exporter.data.row_reader import InputReader
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.row import lengths_of
from whyport.runtime.errors import ColumnError, UsageError, WhyportError

LISTS = {
    "v": [[[1.0, 2.0]] * count for count in (1, 3, 9)],
    "hr": [[1.0] * 2, [2.0] * 4, [3.0]],
    "bp": [[5.0] * 2, [6.0] * 4, [7.0]],
}


def described(text: str, *arguments: str, **columns: Any) -> Input:
    (made,) = describe_inputs(
        pd.DataFrame(columns or LISTS),
        [InputChoice.parse(text)],
        standardise=True,
        impute=False,
        arguments=arguments,
    )
    return made


def test_a_network_that_takes_a_mask_takes_rows_of_varying_length() -> None:
    made = described("x=sequence:v", "x", "x_mask")
    assert [(spec.name, spec.dtype, spec.shape) for spec in made.tensors] == [
        ("x", "float32", ("N", 9, 2)),
        ("x_mask", "uint8", ("N", 9)),
    ]
    (length,) = lengths_of([made])
    assert (length.buckets, length.is_masked) == ((4, 9), True)


def test_the_steps_of_padding_are_in_no_statistics() -> None:
    made = described("x=sequence:v:names=a|b", "x", "attention_mask")
    means = [channel.numbers.mean for channel in made.columns[0].channels]
    assert means == [1.0, 2.0]


def test_a_column_of_lists_a_feature_makes_steps_of_several() -> None:
    made = described("x=sequence:hr,bp:buckets=4", "x", "x_mask")
    assert made.axes[1].labels == ("hr", "bp")
    assert made.tensors[0].shape == ("N", 4, 2)


def test_flat_lists_are_cut_into_steps() -> None:
    made = described("x=sequence:v:features=2,buckets=2", "x", v=[[1.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    assert made.tensors[0].shape == ("N", 2, 2)


@pytest.mark.parametrize(
    ("text", "columns", "kind", "message"),
    [
        ("x=sequence:v:buckets=2|zero", LISTS, UsageError, "buckets: expected whole numbers .* got '2|zero'"),
        ("x=sequence:v:buckets=2|8,steps=9", LISTS, UsageError, "the last of buckets to be steps=9, got 8"),
        (
            "x=sequence:v:features=3,buckets=9",
            LISTS,
            UsageError,
            "features=3: the columns have 2 a step",
        ),
        ("x=sequence:v:buckets=4", {"v": [1.0, 2.0]}, ColumnError, "expected a list of numbers a row, .*GROUP BY id"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, columns: Any, kind: type[WhyportError], message: str) -> None:
    with pytest.raises(kind, match=message.replace("|", r"\|")):
        described(text, "x", "x_mask", **columns)


@pytest.mark.parametrize("setting", ["buckets=4|8", "references=mean"])
def test_training_refuses_settings_of_exported_networks(setting: str) -> None:
    choices = [InputChoice.parse(f"x=sequence:v:{setting}")]
    with pytest.raises(UsageError, match="is for whyport export"):
        InputReader.of(pd.DataFrame(LISTS), choices)


def test_padding_that_nobody_is_told_of_is_refused_beside_another_input() -> None:
    frame = pd.DataFrame(LISTS)
    choices = [InputChoice.parse("x=sequence:hr:buckets=2|4"), InputChoice.parse("y=sequence:bp:buckets=2|4")]
    given = {"standardise": True, "impute": False}
    assert len(describe_inputs(frame, choices, arguments=("x", "x_mask", "y", "y_mask"), **given)) == 2
    with pytest.raises(UsageError, match="--input y: several buckets need a mask, the argument y_mask"):
        describe_inputs(frame, choices, arguments=("x", "x_mask", "y"), **given)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x=sequence:hr,bp:names=a|b|c,buckets=4", "names: expected 2 that differ, got 'a|b|c'"),
        ("x=sequence:hr,bp:names=a|a,buckets=4", "names: expected 2 that differ"),
        ("x=sequence:hr,bp:features=5,buckets=4", "features=5: the columns have 2 a step"),
        ("x=sequence:v:buckets=99999999999", "expected rows of 1 to 65536 steps, got 99999999999"),
        ("x=sequence:empty:buckets=4", "expected steps, got only empty lists"),
    ],
)
def test_settings_are_as_strict_as_those_of_rows_of_one_length(text: str, message: str) -> None:
    with pytest.raises(WhyportError, match=message.replace("|", r"\|")):
        described(text, "x", "x_mask", **LISTS, empty=[[], [], []])
