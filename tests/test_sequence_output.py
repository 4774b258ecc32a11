"""What a run over a sequence and a table writes."""

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
from support.sequence_bundles import CELLS, ROWS, STATIC, STEPS, VALUES, WIDTH
from support.shown import describe_row
from whyport.batch.output.layouts import positions_of
from whyport.runtime.errors import AuditError, UsageError


def table_of(out: Path) -> pa.Table:
    return pq.read_table(next(out.glob("part*.parquet")))


def cells_of(table: pa.Table) -> np.ndarray:
    """The cells of the sequence, [N, 6, 3], of a run with tensors."""
    values: np.ndarray = table["attribution.vitals"].combine_chunks().to_numpy_ndarray()
    return values


@pytest.fixture(scope="session")
def run(sequence_bundle: Path, sequence_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sequence_output") / "cells"
    whyport.run(sequence_bundle, sequence_rows, out, explain="deepshap")
    return out


def test_each_sequence_is_a_tensor_and_each_column_of_a_table_a_column(
    run: Path, sequence_bundle: Path, sequence_rows: Path, tmp_path: Path
) -> None:
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "list", explain="deepshap", layout="list")
    table, lists = table_of(run), np.array(table_of(tmp_path / "list")["attribution"].to_pylist(), dtype=np.float32)

    kind = table.schema.field("attribution.vitals").type
    assert kind == pa.fixed_shape_tensor(pa.float32(), (STEPS, WIDTH), dim_names=["time", "feature"])
    np.testing.assert_array_equal(cells_of(table), lists[:, :18].reshape(ROWS, STEPS, WIDTH))
    np.testing.assert_array_equal(table["attribution.age"].to_numpy(), lists[:, 18])
    assert positions_of(table.schema).names == (*CELLS, "age", "dose")
    whyport.audit(run)


def test_a_row_that_is_not_explained_has_no_tensor(sequence_bundle: Path, sequence_rows: Path, tmp_path: Path) -> None:
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "out", explain="deepshap", explain_fraction=0.3)
    table = table_of(tmp_path / "out")
    assert table["attribution.vitals"].is_null().to_pylist() == table["score"].is_null().to_pylist()
    assert 0 < table["score"].null_count < ROWS
    whyport.audit(tmp_path / "out")


def test_groups_of_cells_are_columns(sequence_bundle: Path, sequence_rows: Path, tmp_path: Path) -> None:
    options = {"explain": "deepshap", "players": {"course": ["vitals"]}}
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "out", **options)
    names = [name for name in table_of(tmp_path / "out").schema.names if name.startswith("attribution")]
    assert names == ["attribution.course", "attribution.age", "attribution.dose"]
    with pytest.raises(UsageError, match="layout: expected auto, wide or list, got 'tensor'"):
        whyport.run(sequence_bundle, sequence_rows, tmp_path / "other", layout="tensor", **options)


def test_the_memory_of_a_batch_counts_the_values_of_lists(sequence_bundle: Path, sequence_rows: Path) -> None:
    from whyport.batch.run.plan import Plan
    from whyport.batch.settings import JobSettings

    plan = Plan.make(
        whyport.Bundle.read(sequence_bundle), JobSettings((str(sequence_rows),), Path("out"), keep=("id",))
    )
    assert plan.values_per_row == STEPS * WIDTH + 2 + 1 + plan.output.values_per_row


@pytest.mark.parametrize("per", ["feature", "step"])
@pytest.mark.parametrize("reduction", ["sum", "abs"])
def test_sums_of_cells_are_exact_in_float64(
    run: Path, sequence_bundle: Path, sequence_rows: Path, tmp_path: Path, per: str, reduction: str
) -> None:
    out = tmp_path / "out"
    whyport.run(sequence_bundle, sequence_rows, out, explain="deepshap", per=per, reduction=reduction)
    table, cells = table_of(out), cells_of(table_of(run)).astype(np.float64)
    cells = np.abs(cells) if reduction == "abs" else cells
    axis, names = (1, ("hr", "bp", "t")) if per == "feature" else (2, tuple(f"vitals[{i}]" for i in range(STEPS)))

    kind = pa.fixed_shape_tensor(pa.float64(), (len(names),), dim_names=["feature" if per == "feature" else "time"])
    assert table.schema.field("attribution.vitals").type == kind
    got = table["attribution.vitals"].combine_chunks().to_numpy_ndarray()
    np.testing.assert_array_equal(got, cells.sum(axis=axis))
    # Each sum is right to the last bit.
    rows = np.moveaxis(cells, axis, 2).reshape(-1, cells.shape[axis])
    np.testing.assert_array_equal(got.ravel(), [math.fsum(row) for row in rows])
    assert positions_of(table.schema).names == (*names, "age", "dose")

    shares = got.sum(axis=1) + sum(table[f"attribution.{name}"].to_numpy() for name in ("age", "dose"))
    off = np.abs(shares - (table["score"].to_numpy() - table["base_value"].to_numpy()))
    if reduction == "sum":
        np.testing.assert_allclose(table["completeness_error"].to_numpy(), off, atol=1e-12)
    else:
        assert table["completeness_error"].null_count == ROWS
        assert off.max() > 0.01
    assert table["converged"].to_numpy().all()
    whyport.audit(out)


def test_the_errors_of_sums_and_the_strongest_of_them(
    sequence_bundle: Path, sequence_rows: Path, tmp_path: Path
) -> None:
    options = {"explain": "shapley", "explain_fraction": 0.1, "max_evaluations": 2000}
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "cells", **options)
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "out", per="feature", layout="wide", **options)
    cells, table = (table_of(tmp_path / name).drop_null() for name in ("cells", "out"))
    errors = cells["standard_error.vitals"].combine_chunks().to_numpy_ndarray().astype(np.float64)
    np.testing.assert_array_equal(table["standard_error.bp"].to_numpy(), errors[:, :, 1].sum(axis=1))
    whyport.audit(tmp_path / "out")

    whyport.run(sequence_bundle, sequence_rows, tmp_path / "top", per="feature", top_k=2, **options)
    top = table_of(tmp_path / "top").drop_null()
    names = ["hr", "bp", "t", "age", "dose"]
    shares = np.stack([table[f"attribution.{name}"].to_numpy() for name in names], axis=1)
    order = np.argsort(-np.abs(shares), axis=1)[:, :2]
    assert top["top_feature"].to_pylist() == [[names[i] for i in row] for row in order]
    np.testing.assert_array_equal(top["top_attribution"].to_pylist(), np.take_along_axis(shares, order, axis=1))
    whyport.audit(tmp_path / "top")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"per": "feature", "players": {"course": ["vitals"]}},
            "per: expected the cells of a sequence for 'feature', got groups",
        ),
        (
            {"per": "time"},
            "unknown kind of share 'time'; known: 'auto', 'cell', 'feature', 'step', 'patch', 'pixel', 'segment', "
            "'token', 'word', 'HEIGHTxWIDTH'",
        ),
        ({"per": "step", "reduction": "max"}, "unknown reduction 'max'; known: 'sum', 'abs'"),
        ({"reduction": "abs"}, "reduction: expected per 'feature' or 'step' beside 'abs', got 'auto'"),
        ({"per": "step", "explain": ()}, "per: expected an explanation method beside it, got none"),
    ],
)
def test_sums_that_are_not_there_are_refused(
    sequence_bundle: Path, sequence_rows: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        whyport.run(sequence_bundle, sequence_rows, tmp_path / "out", **{"explain": "deepshap", **options})


def test_a_model_of_tables_has_no_sums(reference_bundle: Path, tmp_path: Path) -> None:
    rows = reference_bundle / "background.parquet"
    with pytest.raises(UsageError, match="got one of tables; --players lets columns share one value"):
        whyport.run(reference_bundle, rows, tmp_path / "out", explain="deepshap", per="feature")


def test_a_row_is_shown_with_its_strongest_cells_and_both_sums(run: Path) -> None:
    table = table_of(run)
    cells = cells_of(table)[3].astype(np.float64)
    lines = describe_row(run, 3, None, 2)

    flat = np.concatenate([cells.ravel(), [table["attribution.age"][3].as_py(), table["attribution.dose"][3].as_py()]])
    values = np.concatenate([VALUES[3].ravel(), STATIC[3]])
    names = (*CELLS, "age", "dose")
    for line, i in zip(lines[3:5], np.argsort(-np.abs(flat)), strict=False):
        assert line == f"  {flat[i]:+12.5g}  {names[i]} = {values[i]:.4g}"
    by_feature = lines.index("  vitals by feature: what spoke for it, and against")
    sums = cells.sum(axis=0)
    first, _, third = np.argsort(-np.abs(sums))
    assert lines[by_feature + 1] == (
        f"  {sums[first]:+12.5g} = {cells[cells[:, first] > 0, first].sum():+.4g} "
        f"{cells[cells[:, first] < 0, first].sum():+.4g}  {('hr', 'bp', 't')[first]}"
    )
    assert lines[by_feature + 3].startswith(f"  {sums[third]:+12.5g}")
    assert lines[by_feature + 3].endswith("1 others together")
    by_step = lines.index("  vitals by step: what spoke for it, and against")
    strongest = int(np.abs(cells.sum(axis=1)).argmax())
    assert lines[by_step + 1].endswith(f"  step {strongest}")


def test_sensitivities_speak_for_nothing(sequence_bundle: Path, sequence_rows: Path, tmp_path: Path) -> None:
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "out", explain="gradient")
    lines = describe_row(tmp_path / "out", 3, None, 2)
    assert "  vitals by step: its positive and its negative part" in lines
    assert not any("spoke" in line for line in lines)


def test_magnitudes_are_shown_without_a_sum(sequence_bundle: Path, sequence_rows: Path, tmp_path: Path) -> None:
    options = {"per": "feature", "reduction": "abs", "explain_target": "all"}
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "out", explain="deepshap", **options)
    lines = describe_row(tmp_path / "out", 3, None, 9)
    assert not any("base" in line or "step" in line for line in lines)
    assert sum(line.endswith("  bp") for line in lines) == 2


def test_an_audit_finds_a_sum_that_is_not_the_cells(sequence_bundle: Path, sequence_rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whyport.run(sequence_bundle, sequence_rows, out, explain="deepshap", per="step", reduction="abs", layout="list")
    (part,) = out.glob("part*.parquet")
    forge(out, with_column("attribution", elements(lambda shares: [shares[0] + 0.01, *shares[1:]])), part.name)
    with pytest.raises(AuditError, match="deepshap: attributions: computed again it comes out different"):
        whyport.audit(out)


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    sequence_bundle: Path, sequence_rows: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"explain": "deepshap", "engine": "onnx", "batch_rows": 8, "part_rows": 16}
    check_resumed_bytes(sequence_bundle, sequence_rows, tmp_path, killed_after=20, **options)
