from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from support.bundles import WEIGHTS
from whyport.batch.report.gather.columns import TableColumns
from whyport.batch.report.gather.drift import attribution_counts, attribution_drift, input_counts, input_drift
from whyport.batch.report.gather.reference import ReferenceAttributions, reference_attributions
from whyport.batch.report.gather.values import read_values
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.columns import NUMBER, REFUSE, Column, NumberStatistics
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.row import plain_sources
from whyport.runtime.session import Session

Write = Callable[..., Path]
Score = Callable[..., Path]


def feature(name: str, edges: tuple[float, ...], fractions: tuple[float, ...]) -> Column:
    numbers = NumberStatistics(-2, 2, 0, 1, 0, edges, fractions)
    return Column(name, NUMBER, None, REFUSE, None, 0.25, numbers, None, ())


def test_inputs_are_ranked_by_their_index() -> None:
    features = [feature("still", (0.0,), (0.5, 0.5)), feature("moved", (0.0, 1.0), (0.2, 0.5, 0.3))]
    counts = input_counts(features)
    counts.add(np.array([[-1.0, 2.0], [1.0, 3.0], [-1.0, np.nan], [1.0, 0.5]]))
    drift = input_drift(features, counts)
    assert [each.name for each in drift.features] == ["moved", "still"]
    moved, still = drift.features
    np.testing.assert_allclose(moved.after, [0, 1 / 3, 2 / 3])
    np.testing.assert_allclose(moved.missing_after, 0.25)
    before, after = np.array([0.2, 0.5, 0.3]), np.array([1e-4, 1 / 3, 2 / 3])
    np.testing.assert_allclose(moved.index, ((after - before) * np.log(after / before)).sum())
    assert (still.index, still.missing_before) == (0, 0.25)


def test_every_row_of_the_inputs_is_counted(bundle: Path, score: Score, write: Write, table: pa.Table) -> None:
    source = write(table)
    run = FinishedRun.read(score(source, batch_rows=64))
    features = Bundle.read(bundle).sidecar.columns
    counts = input_counts(features)
    places = {"source": np.zeros(3, dtype=np.int64), "row": np.array([7, 900, 7])}
    values = read_values(run, TableColumns.of(plain_sources(features)), [places], counts)
    frame = pd.read_parquet(source)[["a", "b", "c"]]
    np.testing.assert_array_equal(values.rows(places), frame.loc[[7, 900, 7]])
    np.testing.assert_array_equal(counts.counts, np.stack([(frame < 0).sum(), (frame >= 0).sum()], axis=1))


def test_the_references_are_explained_as_the_run_is(bundle: Path, score: Score, write: Write, table: pa.Table) -> None:
    run = FinishedRun.read(score(write(table), methods=("deepshap",), explain_target="yes"))
    read = Bundle.read(bundle)
    found = reference_attributions(Session(read, "cpu"), run, ["deepshap"])["deepshap"]
    background = References.read(read)
    expected = WEIGHTS[1] * (background.rows - background.weights @ background.rows)
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    np.testing.assert_allclose(found.weights, background.weights)
    every = FinishedRun.read(score(write(table), methods=("deepshap",), explain_target="all", name="all"))
    both = reference_attributions(Session(read, "cpu"), every, ["deepshap"])["deepshap"]
    assert (both.values.shape, both.rows) == ((8, 3), 4)
    np.testing.assert_allclose(both.values[1::2], expected, atol=1e-5)


def test_attributions_that_are_the_references_have_not_moved() -> None:
    values = np.random.default_rng(0).normal(size=(100, 2))
    reference = ReferenceAttributions(values, np.full(100, 0.01), 100)
    halves = attribution_counts(reference)
    for half in halves:
        half.add(values)
    drift = attribution_drift(["a", "b"], reference, halves)
    np.testing.assert_allclose([(each.index, each.halves) for each in drift.features], 0, atol=1e-12)
    np.testing.assert_allclose(drift.by_chance, 4 * (1 / 100 + 1 / 200))


def test_a_top_k_run_is_compared_with_as_many_of_the_references_attributions(
    bundle: Path, score: Score, write: Write, table: pa.Table
) -> None:
    run = FinishedRun.read(score(write(table), methods=("deepshap",), explain_target="yes", top_k=1))
    read = Bundle.read(bundle)
    found = reference_attributions(Session(read, "cpu"), run, ["deepshap"])["deepshap"]
    background = References.read(read)
    expected = WEIGHTS[1] * (background.rows - background.weights @ background.rows)
    expected[np.abs(expected) < np.abs(expected).max(axis=1, keepdims=True)] = 0
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


ZEROS = np.concatenate([np.zeros(90), np.linspace(0.5, 1, 10)])


@pytest.mark.parametrize(
    "after",
    [np.where(ZEROS == 0, 0.4, ZEROS), np.where(ZEROS == 0, -0.4, ZEROS), np.repeat(ZEROS, 50)[4400:]],
    ids=["above", "below", "fewer"],
)
def test_attributions_that_leave_a_frequent_value_show(after: NDArray[np.float64]) -> None:
    reference = ReferenceAttributions(np.stack([ZEROS, 1 - ZEROS], axis=1), np.full(100, 0.01), 100)
    rounding = np.random.default_rng(0).uniform(-1e-8, 1e-8, size=(100, 2))
    for moved in (False, True):
        halves = attribution_counts(reference)
        for half in halves:
            half.add(reference.values + rounding)
            if moved:
                half.add(np.stack([after, 1 - after], axis=1).repeat(3, axis=0))
        for each in attribution_drift(["a", "b"], reference, halves).features:
            assert each.is_told
            assert (each.index > 0.25) == moved
            assert moved or each.index < 1e-9


def test_attributions_that_are_not_finite_cannot_be_told() -> None:
    values = np.random.default_rng(0).normal(size=(100, 3))
    values[:, 1], values[::2, 2] = np.nan, np.nan
    reference = ReferenceAttributions(values, np.full(100, 0.01), 100)
    halves = attribution_counts(reference)
    for half in halves:
        half.add(values)
    drift = attribution_drift(["a", "b", "c"], reference, halves)
    assert [each.name for each in drift.untold] == ["b"]
    np.testing.assert_allclose([each.index for each in drift.features if each.is_told], [0, 0], atol=1e-12)


def test_what_moves_between_the_halves_shows() -> None:
    values = np.random.default_rng(0).normal(size=(100, 2))
    reference = ReferenceAttributions(values, np.full(100, 0.01), 100)
    halves = attribution_counts(reference)
    halves[0].add(values)
    halves[1].add(values + np.array([0, 1]))
    drift = {each.name: each for each in attribution_drift(["a", "b"], reference, halves).features}
    assert drift["a"].halves == 0
    assert drift["b"].halves > 0.5 > drift["b"].index > 0.1
