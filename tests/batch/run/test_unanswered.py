"""Rows whose outputs, and explanations whose shares, are not finite: no number is made up, and none is hidden."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.bundles import linear_bundle, logits_of, refresh_digests, write_vectors
from support.command import Whyport
from whyport.batch.report.to_shap import to_shap
from whyport.batch.run.run import run
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import BACKGROUND, task_of
from whyport.runtime.errors import BundleError, MissingValueError, NotFiniteError

ROWS = np.array(
    [[1, 1, 0], [4, 2, 0], [np.nan, 0, 0], [0, 0, -9], [6, -4, 1], [1, -4, 1], [6, -2, 0]], dtype=np.float32
)
"""Rows of the bounded model: 1 is NaN, 2 lacks a value, 3 is infinite; 4 is NaN on the way from the references."""
FINITE = [0, 4, 5, 6]
NOT_FINITE = "output 'logits': expected finite numbers, got "


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linear_bundle(tmp_path_factory.mktemp("unanswered") / "bundle", bounded=True)


@pytest.fixture
def source(write: Callable[..., Path]) -> Path:
    return write(pa.table({"id": range(len(ROWS)), **dict(zip("abc", ROWS.T, strict=True))}))


def read(out: Path) -> pa.Table:
    (part,) = out.glob("part-*.parquet")
    return pq.read_table(part)


def test_a_row_without_finite_outputs_is_rejected_with_its_reason(bounded: Path, source: Path, tmp_path: Path) -> None:
    report = run(bounded, source, tmp_path / "out", keep="id", device="cpu", progress=quiet)
    missing = "column 'a': expected a finite number, got NaN"
    assert report.rejected == {missing: 1, f"{NOT_FINITE}NaN": 1, f"{NOT_FINITE}infinity": 1}
    assert (report.rows_in, report.rows_out, report.exit_code(2)) == (7, 4, 3)
    table = read(tmp_path / "out")
    assert table["source_row"].to_pylist() == table["id"].to_pylist() == FINITE
    expected = np.array(["no", "yes"])[logits_of(ROWS[FINITE]).argmax(axis=1)]
    assert table["prediction"].to_pylist() == expected.tolist()
    (rejects,) = (tmp_path / "out" / "_rejected").iterdir()
    rejected = pq.read_table(rejects).to_pydict()
    assert rejected["source_row"] == rejected["id"] == [1, 2, 3]
    assert rejected["reason"] == [f"{NOT_FINITE}NaN", missing, f"{NOT_FINITE}infinity"]


def test_imputing_does_not_help_and_failing_ends_the_run(bounded: Path, source: Path, tmp_path: Path) -> None:
    report = run(bounded, source, tmp_path / "out", on_bad_row="impute", device="cpu", progress=quiet)
    # The imputed a = 10 is beyond the bound.
    assert report.rejected == {f"{NOT_FINITE}NaN": 2, f"{NOT_FINITE}infinity": 1}
    some = tmp_path / "some.parquet"
    pq.write_table(pq.read_table(source).take([0, 5, 3, 1]), some)
    with pytest.raises(NotFiniteError, match=rf"^{NOT_FINITE}infinity, row 2, in .*some\.parquet$"):
        run(bounded, some, tmp_path / "failed", on_bad_row="fail", device="cpu", progress=quiet)
    with pytest.raises(MissingValueError):
        run(bounded, source, tmp_path / "also", on_bad_row="fail", device="cpu", progress=quiet)


LAYOUTS = {"wide": {}, "list": {"layout": "list"}, "strongest": {"top_k": 2}}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_explanation_that_is_not_finite_has_no_attributions(
    bounded: Path, source: Path, tmp_path: Path, whyport: Whyport, layout: str
) -> None:
    out = tmp_path / "out"
    methods, options = ("occlusion", "shapley", "smoothgrad"), LAYOUTS[layout] | {"noise": 3.0, "samples": 5}
    report = run(bounded, source, out, explain=methods, explain_class="all", device="cpu", progress=quiet, **options)
    table = read(out)
    for method in methods:
        places = [rows_of(table, method, target) for target in ("no", "yes")]
        assert places[0] == places[1]
        assert 4 in places[0] or method == "smoothgrad"  # between this row and a reference, a + b exceeds the bound
        assert 0 < len(places[0]) < len(FINITE)
        assert report.not_finite[method] == len(places[0])
        line = f"{method}: {len(places[0])} rows with an explanation that is not finite"
        assert line in "\n".join(report.lines(task_of(Bundle.read(bounded).sidecar)))
    assert report.methods["shapley"].not_converged >= report.not_finite["shapley"]
    # Each method alone can be over the limit, smoothgrad too, which makes no claim otherwise.
    for method in methods:
        alone = dataclasses.replace(report, not_finite={method: report.not_finite[method]}, methods={})
        assert (alone.exit_code(None, 0), alone.exit_code(None, len(FINITE))) == (3, 0)
    # Whatever looks at the run lives with it.
    whyport("audit", out)
    shown = whyport("show", out, "--row", 4).output
    assert f"shapley, class no: score {logits_of(ROWS[4:5])[0, 0]:+.4g}; no attributions, because" in shown
    assert "shapley, class no: score -0.5 = base " in whyport("show", out, "--row", 0).output
    for explanation in to_shap(out).values():
        assert 0 < len(explanation.values) < len(FINITE)
        assert np.isfinite(explanation.values).all()
    if layout == "wide":
        whyport("report", out, "--out", tmp_path / "page.html", "--row", 4, "--row", 0)


def rows_of(table: pa.Table, method: str, target: str) -> list[int]:
    """The rows without attributions of a target, which have nothing else of an explanation either."""
    ends = ("attribution", "top_feature", "top_attribution", "standard_error", "top_standard_error")
    prefixes = tuple(f"{method}.{end}.{target}" for end in ends)
    shares = [name for name in table.column_names if name.startswith(prefixes)]
    places = [np.flatnonzero(table[name].is_null()) for name in shares]
    assert all(np.array_equal(places[0], rows) for rows in places)
    converged = np.array(table[f"{method}.converged.{target}"].to_pylist())
    assert not any(converged[places[0]])
    assert None not in converged[places[0]]
    errors = table[f"{method}.completeness_error.{target}"].is_null().to_numpy()
    assert method == "smoothgrad" or np.array_equal(np.flatnonzero(errors), places[0])
    assert table[f"score.{target}"].null_count == 0
    rows: list[int] = table["source_row"].to_numpy()[places[0]].tolist()
    return rows


def test_references_without_a_score_are_refused_when_the_run_begins(
    bounded: Path, source: Path, tmp_path: Path
) -> None:
    read = Bundle.read(bounded)
    path = linear_bundle(tmp_path / "bundle", bounded=True)
    rows = np.array([[0, 0, 0], [9, 9, 9], [1, 0, 0], [5, 1, 0]], dtype=np.float32)
    write_vectors(path / BACKGROUND, {"features": rows}, weight=np.full(4, 0.25))
    refresh_digests(path, read.sidecar)
    match = r"reference rows without a score: output 'logits': expected finite .*, got NaN, in 2 of 4 rows: 1, 3, in "
    for method in ("shapley", "expected-gradients"):
        with pytest.raises(BundleError, match=f"method '{method}' cannot measure against {match}"):
            run(path, source, tmp_path / "out", explain=method, device="cpu", progress=quiet)
    assert not (tmp_path / "out").exists()
    # A method that measures against nothing needs none of them.
    assert run(path, source, tmp_path / "out", explain="gradient", device="cpu", progress=quiet).rows_out == 4


def quiet(done: int, total: int) -> None:
    """No progress is shown."""
