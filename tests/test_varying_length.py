"""Sequences of varying length, from a run's output to everything that reads it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.forging import elements, forge, with_column
from support.killed_runs import check_resumed_bytes
from support.shown import describe_row
from support.varying_bundle import ROWS, STEPS, WIDTH, lengths, rows_of
from whyport.batch.output.folder import REJECTED_FOLDER
from whyport.batch.output.layouts import positions_of
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.sections.by_target import without_step
from whyport.batch.report.sections.sequences import heat_blocks, row_pictures
from whyport.batch.report.sections.trust import trust_section
from whyport.runtime.errors import AuditError, DataError, UsageError

OPTIONS: dict[str, Any] = {"explain": "deepshap", "keep": ("id",)}
LENGTHS = lengths(ROWS)


def table_of(out: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(out.glob("part*.parquet"))])


def cells_of(table: pa.Table) -> list[np.ndarray]:
    """The cells of each row, [steps, 2]."""
    return [np.array(row, dtype=np.float64) for row in table["attribution.visits"].to_pylist()]


def of_table(table: pa.Table) -> np.ndarray:
    """The shares of the columns of the table, [N, 2]."""
    return np.stack([table[f"attribution.{name}"].to_numpy() for name in ("age", "dose")], axis=1).astype(np.float64)


@pytest.fixture(scope="session")
def run(varying_bundle: Path, varying_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("varying_output") / "cells"
    whyport.run(varying_bundle, varying_rows, out, **OPTIONS)
    return out


def test_each_row_has_a_list_of_its_own_steps(run: Path) -> None:
    table = table_of(run)
    assert table.schema.field("attribution.visits").type == pa.list_(pa.list_(pa.float32(), WIDTH))
    cells = cells_of(table)
    assert [len(row) for row in cells] == LENGTHS
    assert all((row != 0).all() for row in cells)
    names = tuple(f"visits[{step}].{name}" for step in range(STEPS) for name in ("hr", "bp"))
    assert positions_of(table.schema).names == (*names, "age", "dose")

    # The row's own cells are all that its score is made of.
    sums = [math.fsum([*row.ravel(), *rest]) for row, rest in zip(cells, of_table(table), strict=True)]
    off = np.abs(np.array(sums) - (table["score"].to_numpy() - table["base_value"].to_numpy()))
    np.testing.assert_allclose(table["completeness_error"].to_numpy(), off, atol=1e-12)
    assert table["converged"].to_numpy().all()
    whyport.audit(run)


@pytest.mark.parametrize("reduction", ["sum", "abs"])
def test_sums_by_step_are_lists_and_by_feature_numbers(
    run: Path, varying_bundle: Path, varying_rows: Path, tmp_path: Path, reduction: str
) -> None:
    cells = cells_of(table_of(run))
    if reduction == "abs":
        cells = [np.abs(row) for row in cells]
    whyport.run(varying_bundle, varying_rows, tmp_path / "step", per="step", reduction=reduction, **OPTIONS)
    table = table_of(tmp_path / "step")
    assert table.schema.field("attribution.visits").type == pa.list_(pa.float64())
    assert table["attribution.visits"].to_pylist() == [row.sum(axis=1).tolist() for row in cells]
    whyport.audit(tmp_path / "step")

    whyport.run(
        varying_bundle, varying_rows, tmp_path / "feature", per="feature", reduction=reduction, layout="wide", **OPTIONS
    )
    table = table_of(tmp_path / "feature")
    for j, name in enumerate(("hr", "bp")):
        assert table[f"attribution.{name}"].to_pylist() == [math.fsum(row[:, j]) for row in cells]
    whyport.audit(tmp_path / "feature")


def test_extras_of_methods_have_the_form_of_the_shares(
    varying_bundle: Path, varying_rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = {"explain": "shapley", "explain_fraction": 0.2, "max_evaluations": 400}
    whyport.run(varying_bundle, varying_rows, out, **options)
    table = table_of(out)
    is_explained = table["score"].is_valid().to_pylist()
    assert 0 < sum(is_explained) < ROWS
    for name in ("attribution.visits", "standard_error.visits"):
        found = [None if row is None else len(row) for row in table[name].to_pylist()]
        assert found == [length if own else None for length, own in zip(LENGTHS, is_explained, strict=True)]
    whyport.audit(out)


def test_every_target_of_the_rows_that_a_condition_chooses_has_their_own_steps(
    varying_bundle: Path, varying_rows: Path, tmp_path: Path
) -> None:
    options = {"explain": ("gradient", "deepshap"), "explain_target": "all", "explain_where": "id >= 7 and id < 30"}
    whyport.run(varying_bundle, varying_rows, tmp_path / "out", keep=("id",), **options)
    table = table_of(tmp_path / "out")
    expected = [steps if 7 <= i < 30 else None for i, steps in enumerate(LENGTHS)]
    for method in ("gradient", "deepshap"):
        for target in ("class 0", "class 1"):
            lists = table[f"{method}.attribution.{target}.visits"].to_pylist()
            assert [None if row is None else len(row) for row in lists] == expected
    whyport.audit(tmp_path / "out")


def test_the_strongest_cells_are_the_rows_own(
    run: Path, varying_bundle: Path, varying_rows: Path, tmp_path: Path
) -> None:
    whyport.run(varying_bundle, varying_rows, tmp_path / "top", top_k=6, **OPTIONS)
    full, top = table_of(run), table_of(tmp_path / "top")
    names = positions_of(full.schema).names
    for cells, rest, kept, shares in zip(
        cells_of(full), of_table(full), top["top_feature"].to_pylist(), top["top_attribution"].to_pylist(), strict=True
    ):
        own = dict(zip([*names[: cells.size], "age", "dose"], [*cells.ravel(), *rest], strict=True))
        assert kept == sorted(own, key=lambda name: -abs(own[name]))[:6]
        assert shares == [own[name] for name in kept]
    whyport.audit(tmp_path / "top")
    for steps, text in ((1, "1 others together"), (5, "all others together")):  # one step: 2 cells, and 2 columns
        lines = describe_row(tmp_path / "top", LENGTHS.index(steps), None, 3)
        assert any(line.endswith(f"  {text}") for line in lines)


def test_a_length_is_no_players_name(varying_bundle: Path, varying_rows: Path, tmp_path: Path) -> None:
    groups = {"course": ["visits"], "table": ["age", "dose"]}
    whyport.run(varying_bundle, varying_rows, tmp_path / "out", players=groups, **OPTIONS)
    table = table_of(tmp_path / "out")
    assert [name for name in table.schema.names if name.startswith("attribution")] == [
        "attribution.course",
        "attribution.table",
    ]
    assert table["converged"].to_numpy().all()
    with pytest.raises(UsageError, match=r"unknown column 'visits\[length\]'"):
        whyport.run(varying_bundle, varying_rows, tmp_path / "a", players={"n": ["visits[length]"]}, **OPTIONS)
    with pytest.raises(UsageError, match=r"every step of 'visits' in a group.*got none for 'visits\[0\].hr'"):
        whyport.run(varying_bundle, varying_rows, tmp_path / "b", players={"both": ["age", "dose"]}, **OPTIONS)


@pytest.mark.parametrize("layout", ["wide", "tensor"])
def test_columns_of_a_fixed_number_of_cells_are_refused(
    varying_bundle: Path, varying_rows: Path, tmp_path: Path, layout: str
) -> None:
    with pytest.raises(UsageError, match=f"layout: expected auto or list, got '{layout}', which has a fixed number"):
        whyport.run(varying_bundle, varying_rows, tmp_path / "out", layout=layout, **OPTIONS)


def test_an_audit_finds_a_step_that_is_not_the_rows(
    run: Path, varying_bundle: Path, varying_rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    whyport.run(varying_bundle, varying_rows, out, **OPTIONS)
    (part,) = out.glob("part*.parquet")
    longer = elements(lambda steps: steps if len(steps) == STEPS else [*steps, [0.0, 0.0]])
    forge(out, with_column("attribution.visits", longer), part.name)
    with pytest.raises(AuditError, match="deepshap: the number of steps: computed again"):
        whyport.audit(out)


def test_a_row_is_shown_with_its_own_steps(run: Path) -> None:
    row = LENGTHS.index(2)
    table = table_of(run)
    cells, values = cells_of(table)[row], rows_of(LENGTHS, 1)["visits"][row].as_py()
    lines = describe_row(run, row, None, 3)
    names = {
        f"visits[{t}].{name}": (cells[t, j], values[t][j]) for t in range(2) for j, name in enumerate(("hr", "bp"))
    }
    shown = [line for line in lines if " = " in line and "visits[" in line]
    assert shown
    for line in shown:
        name, value = line.split()[1], line.split(" = ")[1]
        assert line.split()[0] == f"{names[name][0]:+.5g}"
        assert value == f"{names[name][1]:.4g}"
    assert any(line.endswith("3 others together") for line in lines)  # of 2 x 2 cells and 2 columns
    by_step = lines.index("  visits by step: what spoke for it, and against")
    *steps, base = lines[by_step + 1 :]
    assert sorted(line.split()[-1] for line in steps) == ["0", "1"]
    assert base.startswith("base value  ")


def test_rows_that_cannot_be_scored_are_rejected_with_their_reasons(varying_bundle: Path, tmp_path: Path) -> None:
    good = rows_of([2] * 7, 3).to_pydict()
    good["age"][6] = None
    good["visits"][1:6] = [None, [], [[0.0, 1.0]] * (STEPS + 1), [[0.0]], [[0.0, math.nan]]]
    rows = tmp_path / "rows.parquet"
    pq.write_table(pa.table({**good, "visits": pa.array(good["visits"], pa.list_(pa.list_(pa.float64())))}), rows)
    for rule in ("reject", "impute"):
        out = tmp_path / rule
        whyport.run(varying_bundle, rows, out, on_bad_row=rule, **OPTIONS)
        rejected = pq.read_table(next((out / REJECTED_FOLDER).glob("*.parquet")))
        lists = [row for row in rejected["source_row"].to_pylist() if row < 6]
        assert lists == [1, 2, 3, 4, 5]
        wanted = "expected a list of 1 to 5 steps of 2 numbers, got"
        expected = [
            f"{wanted} null",
            f"{wanted} 0",
            f"{wanted} 6",
            f"{wanted} 1 numbers at step 0",
            "finite number at [0].bp, got NaN",
        ]
        for reason, text in zip(rejected["reason"].to_pylist()[:5], expected, strict=True):
            assert text in reason
            assert "visits" in reason
        imputed = {0: 0} if rule == "reject" else {0: 0, 6: 1}  # a number of the table is imputed, never a step
        table = table_of(out)
        assert dict(zip(table["source_row"].to_pylist(), table["imputed_count"].to_pylist(), strict=True)) == imputed
        whyport.audit(out)
    with pytest.raises(DataError, match="expected a list of 1 to 5 steps of 2 numbers, got null, .*row 1"):
        whyport.run(varying_bundle, rows, tmp_path / "fail", on_bad_row="fail", **OPTIONS)


def test_the_same_rows_give_the_same_bytes_whatever_stops_the_run(
    varying_bundle: Path, varying_rows: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"explain": "deepshap", "engine": "onnx", "batch_rows": 8, "part_rows": 8}
    check_resumed_bytes(varying_bundle, varying_rows, tmp_path, killed_after=10, **options)


def test_objects_of_shap_have_no_values_beyond_the_last_step(run: Path) -> None:
    for each in whyport.to_shap(run).values():
        assert len(each.feature_names) == STEPS * WIDTH + 2
        lacking = np.isnan(each.data)
        assert not each.values[lacking].any()
        assert set((~lacking).sum(axis=1)) <= {WIDTH * steps + 2 for steps in LENGTHS}
        assert lacking.any()


@pytest.fixture(scope="module")
def view(run: Path) -> View:
    return gather(ReportSettings(run, rows=(LENGTHS.index(2), LENGTHS.index(5))))


def test_a_report_has_means_over_the_rows_that_have_a_step(run: Path, view: View) -> None:
    explained = view.collected.attributions
    assert sum(each.rows for each in explained) == ROWS
    cells = cells_of(table_of(run))
    (picture,) = heat_blocks(view, explained, 10)
    above, corner, main, beside, rows, *_ = picture.draw().axes
    means = np.array(
        [[np.mean([abs(row[t, j]) for row in cells if len(row) > t]) for t in range(STEPS)] for j in (0, 1)]
    )
    np.testing.assert_allclose(main.images[0].get_array(), means, rtol=1e-12)
    np.testing.assert_allclose([bar.get_height() for bar in above.patches], means.sum(axis=0), rtol=1e-12)
    of_rows = np.mean([np.abs(row).sum(axis=0) for row in cells], axis=0)
    np.testing.assert_allclose([bar.get_width() for bar in beside.patches], of_rows, rtol=1e-12)
    having = [np.mean(np.array(LENGTHS) > t) for t in range(STEPS)]
    np.testing.assert_allclose([bar.get_height() for bar in rows.patches], having, rtol=1e-12)
    assert not corner.patches
    assert "over the explained rows that have the step" in picture.caption
    assert "lacks a step counts 0" in without_step(view, ["visits[4].hr"])
    assert without_step(view, ["age"]) == ""


def test_a_report_draws_single_rows_up_to_their_own_last_step(view: View) -> None:
    for case, steps in zip(view.cases, (2, 5), strict=True):
        heat, series = row_pictures(view, "0", case, case.explanations[0], 10)
        assert heat.draw().axes[2].images[0].get_array().shape == (WIDTH, steps)
        values = rows_of(LENGTHS, 1)["visits"][case.choice.row].as_py()
        drawn = [axes.lines[0].get_ydata() for axes in series.draw().axes[:WIDTH]]
        np.testing.assert_allclose(np.array(drawn).T, values, rtol=1e-6)


def test_padding_is_no_value_in_the_drift_of_inputs(view: View) -> None:
    assert view.inputs is not None
    found = {each.name: each for each in view.inputs.features}
    assert found.keys() == {"hr", "bp", "age", "dose"}
    assert not any(each.missing_after for each in found.values())
    values = np.concatenate([np.array(row) for row in rows_of(LENGTHS, 1)["visits"].to_pylist()]).astype(np.float32)
    column = view.bundle.sidecar.features[1]
    low, high = np.float32([column.statistics.minimum, column.statistics.maximum])
    outside = np.mean((values[:, 1] < low) | (values[:, 1] > high))
    np.testing.assert_allclose(found["bp"].outside, outside)

    counted = np.sort(LENGTHS)
    quartiles = [f"{counted[int(np.ceil(share * ROWS)) - 1]}" for share in (0.25, 0.5, 0.75)]
    assert view.steps == (("visits", f"{ROWS}", "1", *quartiles, "5", f"{np.mean(LENGTHS):.1f}"),)
    blocks = trust_section(view, 10).blocks
    assert any("Steps of rows" in getattr(block, "title", "") for block in blocks)
    assert any("the references have the most steps" in getattr(block, "caption", "") for block in blocks)


def test_the_function_explain_has_no_share_of_a_length(varying_bundle: Path, varying_rows: Path, run: Path) -> None:
    explained = whyport.Session(varying_bundle).explain(pq.read_table(varying_rows))
    assert explained.feature_names == positions_of(table_of(run).schema).names
    assert explained.values.shape == (ROWS, len(explained.feature_names))
    for steps, row in zip(LENGTHS, explained.values, strict=True):
        assert row[: steps * WIDTH].all()
        assert not row[steps * WIDTH : STEPS * WIDTH].any()
    assert explained.converged is not None
    assert explained.converged.all()
