"""Features of sequences that are constant, or give the target away."""

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.input_choice import parse_inputs
from whyport.exporter.data.inputs import describe_inputs
from whyport.exporter.data.row_reader import RowForm
from whyport.exporter.data.sequence_suspects import find_sequence_suspects
from whyport.runtime.bundle.row import features_of, sources_of

ROWS, STEPS = 300, 6
RNG = np.random.default_rng(0)
LABELS = RNG.integers(2, size=ROWS)
AMOUNTS = RNG.lognormal(size=(ROWS, 1))
NOISE = RNG.normal(size=(ROWS, STEPS, 3))


def found(values, labels=LABELS, text="x=sequence:steps:names=a|b|c"):
    frame = pd.DataFrame({"age": RNG.normal(size=ROWS), "steps": [row.tolist() for row in values]})
    choices = parse_inputs(["t=table:age", text])
    inputs = describe_inputs(frame, choices, standardise=True, impute=True)
    form = RowForm(features_of(sources_of(inputs)), inputs)
    return {each.column: each for each in find_sequence_suspects(inputs, form.encode(frame), labels, seed=0)}


def changed(feature, step, values):
    steps = NOISE.copy()
    steps[:, step, feature] = values
    return steps


@pytest.mark.parametrize("labels", [LABELS, AMOUNTS], ids=["classes", "quantities"])
def test_innocent_sequences(labels):
    assert found(NOISE, labels) == {}
    assert found(changed(1, 2, 1.0), labels) == {}  # constant in one step alone


def test_a_constant_feature():
    (suspect,) = found(changed(2, slice(None), 4.0)).values()
    assert (suspect.column, suspect.kind) == ("x.c", "constant")
    assert suspect.text == (
        "feature 'c' of the input 'x' has one value in every step of all training rows: the model can learn nothing "
        "from it"
    )


@pytest.mark.parametrize(
    ("step", "values", "where"),
    [
        (slice(None), LABELS[:, None] * 3.0, "in step 0"),
        (4, LABELS * 3.0 + RNG.normal(size=ROWS) * 0.01, "in step 4"),
        (3, np.where(LABELS, RNG.normal(size=ROWS) * 0.1, RNG.choice([-1.0, 1.0], size=ROWS)), "in step 3"),
        (slice(None), LABELS[:, None] + NOISE[..., 1] - NOISE[..., 1].mean(1, keepdims=True), "in the mean of its"),
    ],
    ids=["everywhere", "one step", "between two others", "the mean"],
)
def test_a_feature_that_gives_classes_away(step, values, where):
    (suspect,) = found(changed(1, step, values)).values()
    assert (suspect.column, suspect.kind) == ("x.b", "leak")
    assert f"feature 'b' of the input 'x' alone predicts the target almost perfectly, {where}" in suspect.text


def test_a_feature_that_gives_quantities_away():
    (suspect,) = found(changed(0, 5, AMOUNTS[:, 0] ** 3), AMOUNTS).values()
    assert (suspect.column, suspect.kind) == ("x.a", "leak")
    assert "in step 5 (R² of ranks" in suspect.text


def test_a_sequence_of_one_list():
    frame = np.concatenate([NOISE[:, :3, 0], LABELS[:, None]], 1)
    assert list(found(frame, text="x=sequence:steps")) == ["x.steps"]
