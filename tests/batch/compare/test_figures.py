"""Figures of two nights beside pandas and scipy, computed from the runs' own parts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

import whyport
from support.nights import Night, night_rows, parts_of
from whyport.batch.compare.figures import Comparison, Figure


def brute_psi(before: pd.Series, after: pd.Series, edges: list[float]) -> float:
    """The index by pandas: deciles of the first, missing values as a bin of their own, 0.0001 for an empty bin."""
    cuts = [-np.inf, *edges, np.inf]
    shares = []
    for values in (before, after):
        counted = pd.cut(values, cuts, right=False).value_counts(sort=False).to_numpy(dtype=float)
        shares.append(np.append(counted, values.isna().sum()) / len(values))
    expected, found = (np.maximum(each, 1e-4) for each in shares)
    return float(((found - expected) * np.log(found / expected)).sum())


@pytest.fixture(scope="module")
def comparison(first_night: Path, second_night: Path) -> Comparison:
    (found,) = whyport.compare(first_night, second_night, threads=2).comparisons
    return found


def test_shares_are_compared_as_pandas_and_scipy_compare_them(
    comparison: Comparison, first_night: Path, second_night: Path
) -> None:
    before, after = parts_of(first_night), parts_of(second_night)
    assert [each.method for each in comparison.explanations] == ["deepshap", "gradient"]
    for explanation in comparison.explanations:
        assert (explanation.rows_before, explanation.rows_after) == (600, 580)
        assert sorted(each.name for each in explanation.features) == ["a", "b", "c"]
        indices = [each.psi for each in explanation.features]
        assert indices == sorted(indices, reverse=True)
        means = [[], []]
        for each in explanation.features:
            one, two = (side[f"{explanation.method}.attribution.{each.name}"] for side in (before, after))
            assert each.psi == pytest.approx(brute_psi(one, two, list(each.edges)), rel=1e-9)
            assert each.wasserstein == pytest.approx(wasserstein_distance(one, two), rel=1e-6)
            assert each.wasserstein_error == 0
            assert each.shift is not None
            assert each.shift.before == pytest.approx(one.abs().mean(), rel=1e-6)
            assert each.shift.change == pytest.approx(two.abs().mean() - one.abs().mean(), rel=1e-5, abs=1e-7)
            closed = np.hypot(*(side.abs().std() / np.sqrt(len(side)) for side in (one, two)))
            assert each.shift.standard_error == pytest.approx(closed, rel=0.25)
            means[0].append(-one.abs().mean())
            means[1].append(-two.abs().mean())
        for k, side in enumerate(means):
            ranks = [(s.shift.rank_before, s.shift.rank_after)[k] for s in explanation.features if s.shift]
            assert ranks == pd.Series(side).rank().astype(int).tolist()


def test_bins_are_deciles(comparison: Comparison) -> None:
    for explanation in comparison.explanations[:1]:
        for each in explanation.features:
            np.testing.assert_allclose(each.before[:-1], 0.1, atol=1 / 600)


def test_inputs_and_predictions(comparison: Comparison, first_night: Path, second_night: Path) -> None:
    rows = [pd.read_parquet(run.parent / "rows.parquet") for run in (first_night, second_night)]
    assert comparison.inputs[0].name == "b"
    for each in comparison.inputs:
        one, two = (side[each.name] for side in rows)
        assert each.psi == pytest.approx(brute_psi(one, two, list(each.edges)), rel=1e-9)
        assert each.wasserstein == pytest.approx(wasserstein_distance(one, two), rel=1e-6)
        assert (each.mean_before, each.mean_after) == pytest.approx(
            (one.astype(float).mean(), two.astype(float).mean()), rel=1e-9
        )
    before, after = parts_of(first_night), parts_of(second_night)
    found = {each.name: each for each in comparison.predictions}
    assert found.keys() == {"prediction", "probability.no", "probability.yes"}
    counts = [side["prediction"].value_counts(normalize=True) for side in (before, after)]
    by_class = sum((b - a) * np.log(b / a) for a, b in zip(counts[0].sort_index(), counts[1].sort_index(), strict=True))
    assert found["prediction"].psi == pytest.approx(by_class, rel=1e-9)


def test_a_run_has_not_moved_from_itself(first_night: Path) -> None:
    (same,) = whyport.compare(first_night, first_night, key="id").comparisons
    figures = [figure for figures in same.groups.values() for figure in figures]
    assert {figure.psi for figure in figures} == {0.0}
    assert {figure.wasserstein for figure in figures if figure.wasserstein is not None} == {0.0}
    assert all(each.shift.change == 0 for e in same.explanations for each in e.features if each.shift)
    assert same.matched is not None
    assert (same.matched.pairs, same.matched.only_before, same.matched.unmatched) == (600, 0, 0)
    assert (same.changes, same.notes, same.left_out) == ((), (), ())


def test_the_figures_are_the_same_whatever_the_threads_and_the_parts(
    comparison: Comparison, first_night: Path, second_night: Path, nights: Night
) -> None:
    (again,) = whyport.compare(first_night, second_night, threads=1).comparisons
    assert again == comparison
    one_part = nights(night_rows(1), part_rows=4096, batch_rows=4096)
    (other,) = whyport.compare(one_part, second_night).comparisons
    for one, two in zip(comparison.explanations, other.explanations, strict=True):
        assert [each.psi for each in one.features] == [each.psi for each in two.features]


def moved(name: str, before: list[object], after: list[object], nights: Night, **options: object) -> Figure:
    """The figures of a kept column in the place of an input that is gone."""
    runs = []
    for values in (before, after):
        frame = night_rows(3, len(values))
        frame[name] = pd.array(values) if isinstance(values[0], str | bool) else values
        runs.append(nights(frame, keep=["id", name], explain="gradient", on_bad_row="reject", **options))
        (runs[-1].parent / "rows.parquet").unlink()
    (found,) = whyport.compare(*runs).comparisons
    assert any("kept columns" in note for note in found.left_out)
    return next(each for each in found.inputs if each.name == name)


def test_constant_and_few_values_have_bins_of_their_own(nights: Night) -> None:
    constant = moved("a", [1.0] * 40, [1.0] * 39 + [1.5], nights)
    assert constant.bins == ("below 1", "1 to 1", "1 and above", "missing")
    assert constant.after == pytest.approx((0, 39 / 40, 1 / 40, 0))
    few = moved("a", [0.0, 1.0] * 20, [0.0, 0.5] * 20, nights)
    assert few.after[few.before.index(0)] in (0, 0.5)
    assert few.psi > 2


def test_missing_values_are_a_bin(nights: Night, tmp_path: Path) -> None:
    """Rejected rows are among the inputs."""
    frames = [night_rows(4, 100), night_rows(4, 100)]
    frames[1].loc[:29, "a"] = np.nan
    runs = [nights(each, on_bad_row="reject") for each in frames]
    (found,) = whyport.compare(*runs).comparisons
    (a,) = [each for each in found.inputs if each.name == "a"]
    assert (a.missing_before, a.missing_after) == (0, 0.3)
    assert a.psi == pytest.approx(brute_psi(frames[0]["a"], frames[1]["a"], list(a.edges)), rel=1e-9)


def test_many_rows_are_drawn(monkeypatch: pytest.MonkeyPatch, first_night: Path, second_night: Path) -> None:
    """With few rows drawn, counts and means are still those of all rows."""
    monkeypatch.setattr("whyport.batch.compare.engine.rows_drawn", lambda variables: 200)
    (found,) = whyport.compare(first_night, second_night).comparisons
    before, after = parts_of(first_night), parts_of(second_night)
    for each in found.explanations[0].features:
        one, two = (side[f"deepshap.attribution.{each.name}"] for side in (before, after))
        assert each.psi == pytest.approx(brute_psi(one, two, list(each.edges)), rel=1e-9)
        assert each.shift is not None
        assert each.wasserstein is not None
        assert each.wasserstein_error is not None
        assert each.shift.after == pytest.approx(two.abs().mean(), rel=1e-6)
        assert 0 < abs(each.wasserstein - wasserstein_distance(one, two)) < 2 * each.wasserstein_error
        closed = np.hypot(*(side.abs().std() / np.sqrt(len(side)) for side in (one, two)))
        assert each.shift.standard_error == pytest.approx(closed, rel=0.3)
