from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.suspects import find_suspects

ROWS = 400
RNG = np.random.default_rng(0)
LABELS = RNG.integers(2, size=ROWS)
AMOUNTS = RNG.lognormal(size=(ROWS, 1))


def kinds(labels=LABELS, **columns):
    frame = pd.DataFrame(columns)
    return {
        suspect.column: suspect.kind for suspect in find_suspects(frame, dict.fromkeys(frame, "number"), labels, seed=0)
    }


@pytest.mark.parametrize("labels", [LABELS, AMOUNTS], ids=["classes", "quantities"])
def test_innocent_columns(labels):
    columns = {
        "number": RNG.normal(size=ROWS),
        "whole": RNG.integers(1000, size=ROWS),
        "few": RNG.integers(3, size=ROWS),
        "text": RNG.choice(["a", "b", "c"], size=ROWS),
        "truth": RNG.integers(2, size=ROWS).astype(bool),
        "amount": [Decimal(f"{value:.9f}") for value in RNG.normal(size=ROWS)],
        "gaps": np.where(RNG.random(ROWS) < 0.5, np.nan, 1.0),
        "strong": labels.reshape(ROWS, -1)[:, 0] + RNG.normal(size=ROWS) * 0.5,
    }
    assert kinds(labels, **columns) == {}


@pytest.mark.parametrize(
    "values",
    [
        RNG.permutation(ROWS),
        RNG.permutation(ROWS).astype(float),
        np.where(np.arange(ROWS) == 3, np.nan, RNG.permutation(ROWS)),
        [f"customer {i}" for i in RNG.permutation(ROWS)],
        2**60 + np.arange(ROWS),
    ],
    ids=["whole", "float", "with a gap", "text", "beyond float64"],
)
def test_identifiers(values):
    assert kinds(column=values) == {"column": "identifier"}


def test_identifiers_with_gaps_say_so():
    for column, words in (
        (np.arange(ROWS), "row, as"),
        (np.where(LABELS, np.arange(ROWS), np.nan), "row that has one, as"),
    ):
        (found,) = find_suspects(pd.DataFrame({"column": column}), {"column": "number"}, LABELS, seed=0)
        assert f"has a different value in every training {words} an identifier has" in found.text


def test_few_rows_differ_by_chance():
    assert kinds(LABELS[:10], column=np.arange(10)) == {}


@pytest.mark.parametrize("values", [np.ones(ROWS), ["a"] * ROWS, [None] * ROWS], ids=["number", "text", "nothing"])
def test_constants(values):
    assert kinds(column=values).get("column") == (None if values[0] is None else "constant")


@pytest.mark.parametrize(
    "values",
    [
        LABELS * 10.0 - 3,
        LABELS + RNG.normal(size=ROWS) * 0.1,
        np.where(LABELS == 1, "died", "alive"),
        np.where(LABELS == 1, RNG.normal(size=ROWS), np.nan),
        [Decimal(f"{value:.9f}") for value in LABELS * 10 + RNG.normal(size=ROWS)],
        pd.Timestamp("2020-01-01") + pd.to_timedelta(LABELS * 9000 + RNG.integers(8000, size=ROWS), "h"),
        [f"{'ab'[label]}{number}" for label, number in zip(LABELS, RNG.integers(200, size=ROWS), strict=True)],
    ],
    ids=["copy", "noisy", "text", "missing", "decimals", "times", "texts in order"],
)
def test_columns_that_give_classes_away(values):
    assert kinds(column=values, other=RNG.normal(size=ROWS)) == {"column": "leak"}


def test_columns_that_give_several_classes_away():
    labels = RNG.integers(12, size=ROWS)
    assert kinds(labels, column=(labels * 7) % 13 + 0.5, other=RNG.normal(size=ROWS)) == {"column": "leak"}


@pytest.mark.parametrize("labels", [AMOUNTS, AMOUNTS**3, np.log(AMOUNTS)], ids=["copy", "cube", "logarithm"])
def test_columns_that_give_quantities_away(labels):
    columns = {"column": AMOUNTS[:, 0], "other": RNG.normal(size=ROWS)}
    assert kinds(labels, **columns) == {"column": "leak"}
    assert kinds(np.concatenate([RNG.normal(size=(ROWS, 1)), labels], axis=1), **columns) == {"column": "leak"}


def test_a_rare_class_is_no_leak():
    labels = (np.arange(ROWS) < 4).astype(np.int64)
    assert kinds(labels, column=np.where(labels, 5.0, RNG.normal(size=ROWS))) == {}


def test_the_warning_says_what_to_do():
    frame = pd.DataFrame({"id": np.arange(ROWS), "one": 1.0, "copy": LABELS})
    text = [suspect.text for suspect in find_suspects(frame, dict.fromkeys(frame, "number"), LABELS, seed=0)]
    assert text == [
        "column 'id' has a different value in every training row, as an identifier has: leave it out with --exclude "
        "unless it means something",
        "column 'one' has one value in all training rows: the model can learn nothing from it",
        "column 'copy' alone predicts the target almost perfectly (AUC 1.0000): is it known only afterwards?",
    ]


def test_the_advice_is_the_callers():
    frame = pd.DataFrame({"id": np.arange(ROWS)})
    (suspect,) = find_suspects(frame, {"id": "number"}, LABELS, seed=0, advice="leave it out of its --input")
    assert suspect.text.endswith("an identifier has: leave it out of its --input unless it means something")


def test_a_date_is_no_identifier():
    frame = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d")})
    assert find_suspects(frame, {"day": "time"}, LABELS, seed=0) == ()
    assert find_suspects(frame, {"day": "category"}, LABELS, seed=0)[0].kind == "identifier"
