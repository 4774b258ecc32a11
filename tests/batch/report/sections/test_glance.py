"""What a reader learns in a minute is what the run's own numbers say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from support.bundles import WEIGHTS
from whyport.batch.methods.positions import Block, Positions
from whyport.batch.report.gather.drivers import by_name, rank_correlation
from whyport.batch.report.gather.view import ReportSettings, gather
from whyport.batch.report.sections.glance import Line, glance_lines
from whyport.runtime.bundle.inputs import Axis

Write = Callable[..., Path]
Score = Callable[..., Path]


def lines_of(out: Path, **settings: object) -> dict[str, Line]:
    return {line.label: line for line in glance_lines(gather(ReportSettings(out=out, device="cpu", **settings)))}


def test_the_lines_say_what_the_run_did(score: Score, write: Write, labelled: pa.Table) -> None:
    holed = labelled.set_column(1, "a", pa.array([None, *labelled["a"].to_pylist()[1:]], pa.float64()))
    out = score(write(holed), methods=("deepshap",), keep=("truth",), explain_target="yes")
    lines = lines_of(out, label="truth")
    scored = pq.read_table(sorted(out.glob("*.parquet"))).to_pydict()
    rows, total = len(scored["prediction"]), labelled.num_rows
    assert lines["The model"].text == "linear tells 2 classes apart (no, yes) by 3 columns."
    assert lines["Rows"].text == f"{rows:,} scored, {rows:,} of them explained, from 1 file."
    assert lines["Rejected"].text.startswith(f"{total - rows} of {total:,} rows ({1 / total:.2%})")
    assert lines["Rejected"].is_watched
    shares = {name: scored["prediction"].count(name) / rows for name in ("no", "yes")}
    for name, share in shares.items():
        assert f"{name} {share:.1%}" in lines["Predicted"].text
    truth, predicted = np.array(scored["truth"]), np.array(scored["prediction"])
    known = np.isin(truth, ("no", "yes"))
    assert lines["Accuracy"].text.startswith(f"{(truth == predicted)[known].mean():.1%} of {known.sum():,} rows")
    assert "all rows converged" in lines["Do reasons add up?"].text
    assert not lines["Do reasons add up?"].is_watched
    means = {name: np.abs(scored[f"attribution.{name}"]).mean() for name in "abc"}
    ranked = sorted(means, key=lambda name: -means[name])
    items = lines["What drives it"].items
    assert [item.split(":")[0] for item in items] == ranked
    for name, item in zip(ranked, items, strict=True):
        way = "raise" if WEIGHTS[1]["abc".index(name)] > 0 else "lower"
        assert item == f"{name}: {means[name] / sum(means.values()):.0%}; higher values {way} yes"


@pytest.mark.parametrize("settings", [{}, {"methods": ("gradient",)}, {"methods": ("deepshap",), "top_k": 1}])
def test_runs_of_every_kind_have_lines(
    score: Score, write: Write, table: pa.Table, settings: dict[str, object]
) -> None:
    lines = lines_of(score(write(table.slice(0, 60)), **settings))
    if not settings:
        assert lines["What drives it"].text == "The run explained no row."
        assert lines["Do reasons add up?"].text == "No method of this run claims to."
    if settings.get("methods") == ("gradient",):
        assert not any("higher" in item for item in lines["What drives it"].items)


def test_an_input_that_is_gone_is_said(score: Score, write: Write, table: pa.Table) -> None:
    source = write(table.slice(0, 60))
    out = score(source, methods=("deepshap",))
    source.unlink()
    lines = lines_of(out)
    assert lines["Drift"].is_watched
    assert lines["Drift"].text.startswith("Cannot be told")
    assert all(item.endswith("%") for item in lines["What drives it"].items)


def test_the_cells_of_a_sequence_are_summed_up_by_feature() -> None:
    axes = (Axis("step", 3, None), Axis("feature", 2, ("hr", "bp")))
    positions = Positions(("age", *(f"s{i}" for i in range(6))), (Block("vitals", False, 1, axes),))
    found = by_name(positions, np.array([7.0, 1, 2, 3, 4, 5, 6]))
    assert found == {"age": 7, "vitals: hr": 9, "vitals: bp": 12}


@pytest.mark.parametrize("ties", [1, 5, 40])
def test_rank_correlations_are_spearman_s(ties: int) -> None:
    first, second = np.random.default_rng(0).integers(0, 200 // ties, size=(2, 150)).astype(float)
    second += first
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)
    assert np.isnan(rank_correlation(first, np.ones(150)))
