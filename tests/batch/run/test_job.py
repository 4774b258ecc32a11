"""The output of a run, as a user sees it: columns, order, values, metadata, and what becomes of bad input."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from support.bundles import IMPUTATION, WEIGHTS, linear_bundle, logits_of, softmax
from support.command import Whyport
from whyport.batch.methods.catalogue import method_options
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.rows import CleanRows
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.batch.source.cleaning import RowCleaner
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import Capability
from whyport.runtime.errors import (
    BundleError,
    ColumnError,
    DataError,
    JobError,
    MissingValueError,
    ParityError,
    UsageError,
    ValueRangeError,
)

Write = Callable[..., Path]
METHODS = ("gradient", "input-x-gradient", "integrated-gradients")


def run(bundle: Path, source: Path | list[Path], out: Path, **settings: Any) -> pa.Table:
    """Run a job and read its whole output."""
    inputs = tuple(map(str, source if isinstance(source, list) else [source]))
    Job(Bundle.read(bundle), JobSettings(inputs=inputs, out=out, **settings)).run()
    return pa.concat_tables([pq.read_table(path) for path in sorted(out.glob("part-*.parquet"))])


def values(table: pa.Table, *names: str) -> NDArray[np.float64]:
    return np.stack([table[name].to_numpy() for name in names], axis=1)


def test_predictions_without_explanations(
    bundle: Path, table: pa.Table, rows: NDArray[np.float64], write: Write, tmp_path: Path
) -> None:
    out = run(bundle, write(table), tmp_path / "out", keep=("id",))
    assert out.column_names == [
        "source_file",
        "source_row",
        "id",
        "prediction",
        "probability.no",
        "probability.yes",
        "imputed_count",
    ]
    expected = softmax(logits_of(rows))
    np.testing.assert_allclose(values(out, "probability.no", "probability.yes"), expected, atol=1e-6)
    assert out["prediction"].to_pylist() == [("no", "yes")[i] for i in expected.argmax(axis=1)]
    assert out["source_row"].to_pylist() == list(range(1000))
    assert set(out["source_file"].to_pylist()) == {(tmp_path / "input.parquet").as_posix()}
    assert out["id"].equals(table["id"])


def test_one_method_explains_the_predicted_class(
    bundle: Path, table: pa.Table, rows: NDArray[np.float64], write: Write, tmp_path: Path
) -> None:
    out = run(bundle, write(table), tmp_path / "out", methods=("input-x-gradient",))
    assert out.column_names == [
        "source_file",
        "source_row",
        "prediction",
        "probability.no",
        "probability.yes",
        "explained_target",
        "explained_class",
        "base_value",
        "score",
        "attribution.a",
        "attribution.b",
        "attribution.c",
        "completeness_error",
        "evaluations",
        "converged",
        "imputed_count",
    ]
    assert out["explained_class"].equals(out["prediction"])
    logits = logits_of(rows)
    np.testing.assert_allclose(out["score"].to_numpy(), logits.max(axis=1), atol=1e-5)
    attributions = values(out, "attribution.a", "attribution.b", "attribution.c")
    np.testing.assert_allclose(attributions, WEIGHTS[logits.argmax(axis=1)] * rows, atol=1e-5)
    assert out.schema.field("attribution.a").type == pa.float32()


@pytest.mark.parametrize("method", ["input-x-gradient", "integrated-gradients"])
def test_the_completeness_error_can_be_recomputed_from_the_output(
    reference_bundle: Path, write: Write, tmp_path: Path, method: str
) -> None:
    source = write(reference_table(reference_bundle, 300))
    explain = ExplainSettings.of(**{"steps": 20} if method == "integrated-gradients" else {})
    out = run(reference_bundle, source, tmp_path / "out", methods=(method,), explain=explain)
    names = [name for name in out.column_names if name.startswith("attribution.")]
    total = values(out, *names).astype(np.float64).sum(axis=1)
    difference = out["score"].to_numpy().astype(np.float64) - out["base_value"].to_numpy()
    np.testing.assert_allclose(out["completeness_error"].to_numpy(), np.abs(total - difference), atol=1e-6)
    within = out["completeness_error"].to_numpy() <= np.maximum(0.01 * np.abs(difference), 0.001)
    np.testing.assert_array_equal(out["converged"].to_numpy(), within)


def reference_table(bundle: Path, rows: int) -> pa.Table:
    """Rows like the training data of the reference bundle."""
    features = Bundle.read(bundle).sidecar.columns
    generator = np.random.default_rng(5)
    return pa.table(
        {f.name: generator.uniform(f.statistics.minimum, f.statistics.maximum, size=rows) for f in features}
    )


def test_several_methods_carry_their_names_in_front(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    out = run(bundle, write(table), tmp_path / "out", methods=("gradient", "input-x-gradient"))
    assert out.column_names[5:] == [
        "explained_target",
        "explained_class",
        "gradient.base_value",
        "score",
        "gradient.attribution.a",
        "gradient.attribution.b",
        "gradient.attribution.c",
        "gradient.completeness_error",
        "gradient.evaluations",
        "gradient.converged",
        "input-x-gradient.base_value",
        "input-x-gradient.attribution.a",
        "input-x-gradient.attribution.b",
        "input-x-gradient.attribution.c",
        "input-x-gradient.completeness_error",
        "input-x-gradient.evaluations",
        "input-x-gradient.converged",
        "imputed_count",
    ]
    # A gradient makes no claim to add up.
    for name in ("base_value", "completeness_error", "converged"):
        assert out[f"gradient.{name}"].null_count == out.num_rows
        assert out[f"input-x-gradient.{name}"].null_count == 0


def test_all_classes_stand_before_the_feature(
    bundle: Path, table: pa.Table, rows: NDArray[np.float64], write: Write, tmp_path: Path
) -> None:
    out = run(bundle, write(table), tmp_path / "out", methods=("input-x-gradient",), explain_target="all")
    assert "explained_class" not in out.column_names
    logits = logits_of(rows)
    for k, name in enumerate(("no", "yes")):
        got = values(out, *(f"attribution.{name}.{feature}" for feature in "abc"))
        np.testing.assert_allclose(got, WEIGHTS[k] * rows, atol=1e-5)
        np.testing.assert_allclose(out[f"score.{name}"].to_numpy(), logits[:, k], atol=1e-5)
        assert out[f"completeness_error.{name}"].to_numpy().max() < 1e-5
        assert all(out[f"converged.{name}"].to_pylist())


@pytest.mark.parametrize("choice", ["yes", "label:truth"])
def test_a_chosen_class_is_explained(
    bundle: Path, table: pa.Table, rows: NDArray[np.float64], write: Write, tmp_path: Path, choice: str
) -> None:
    truth = np.arange(1000) % 2 if choice.startswith("label") else np.ones(1000, dtype=np.int64)
    table = table.append_column("truth", pa.array(["no", "yes"]).take(pa.array(truth)))
    out = run(bundle, write(table), tmp_path / "out", methods=("gradient",), explain_target=choice)
    assert out["explained_class"].equals(table["truth"])
    np.testing.assert_allclose(values(out, *(f"attribution.{f}" for f in "abc")), WEIGHTS[truth], atol=1e-6)


@pytest.mark.parametrize("batch_rows", [1, 7, 64, 5000])
@pytest.mark.parametrize("row_group_rows", [3, 1000])
def test_batches_and_row_groups_do_not_show(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path, batch_rows: int, row_group_rows: int
) -> None:
    source = write(table.slice(0, 200), row_group_size=row_group_rows)
    out = run(
        bundle,
        source,
        tmp_path / "out",
        methods=("integrated-gradients",),
        batch_rows=batch_rows,
        explain=ExplainSettings.of(steps=5),
    )
    expected = run(
        bundle, source, tmp_path / "expected", methods=("integrated-gradients",), explain=ExplainSettings.of(steps=5)
    )
    assert out.drop_columns(["source_file"]).num_rows == 200
    for name in expected.column_names:
        if pa.types.is_floating(expected[name].type):
            np.testing.assert_allclose(out[name].to_numpy(), expected[name].to_numpy(), atol=2e-6)
        else:
            assert out[name].equals(expected[name])


BAD = {"a": [1.0, None, 3.0, 4.0], "b": [1.0, 2.0, float("nan"), 4.0], "c": [1.0, 2.0, float("inf"), 4.0]}


def test_bad_rows_are_set_aside_and_shift_nothing(bundle: Path, write: Write, tmp_path: Path) -> None:
    source = write(pa.table(BAD | {"id": ["w", "x", "y", "z"]}))
    out = run(bundle, source, tmp_path / "out", keep=("id",), methods=("gradient",))
    assert out["source_row"].to_pylist() == [0, 3]
    assert out["id"].to_pylist() == ["w", "z"]
    rejected = pq.read_table(tmp_path / "out" / "_rejected")
    assert rejected.to_pylist() == [
        {
            "source_file": source.as_posix(),
            "source_row": 1,
            "reason": "column 'a': expected a finite number, got null",
            "id": "x",
        },
        {
            "source_file": source.as_posix(),
            "source_row": 2,
            "reason": "column 'b': expected a finite number, got NaN",
            "id": "y",
        },
    ]


def test_imputed_rows_are_explained_as_imputed(bundle: Path, write: Write, tmp_path: Path) -> None:
    out = run(bundle, write(pa.table(BAD)), tmp_path / "out", methods=("input-x-gradient",), on_bad_row="impute")
    assert out["imputed_count"].to_pylist() == [0, 1, 2, 0]
    imputed = np.array([[1, 1, 1], [IMPUTATION[0], 2, 2], [3, *IMPUTATION[1:]], [4, 4, 4]], dtype=np.float64)
    predicted = logits_of(imputed).argmax(axis=1)
    got = values(out, "attribution.a", "attribution.b", "attribution.c")
    np.testing.assert_allclose(got, WEIGHTS[predicted] * imputed, rtol=1e-5)
    assert out["completeness_error"].to_numpy().max() < 1e-4
    assert not (tmp_path / "out" / "_rejected").exists()


def test_a_bad_row_can_fail_the_run(bundle: Path, write: Write, tmp_path: Path) -> None:
    source = write(pa.table(BAD), row_group_size=1)
    with pytest.raises(MissingValueError, match=r"column 'a': .* got null, row 1, in .*input\.parquet$"):
        run(bundle, source, tmp_path / "out", on_bad_row="fail")
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    assert not list((tmp_path / "out").glob("*part-*"))


@pytest.mark.parametrize("value", [1e39, 1e9])
def test_a_value_that_float32_cannot_hold_fails_the_run(
    bundle: Path, table: pa.Table, rows: NDArray[np.float64], write: Write, tmp_path: Path, value: float
) -> None:
    rows[613, 1] = value
    source = write(table.set_column(2, "b", pa.array(rows[:, 1])))
    with pytest.raises(ValueRangeError, match=r"column 'b', row 613: .*, in .*input\.parquet"):
        run(bundle, source, tmp_path / "out", batch_rows=100)


def test_an_engine_that_disagrees_fails_the_run_and_names_the_rows(
    table: pa.Table, write: Write, tmp_path: Path
) -> None:
    path = linear_bundle(tmp_path / "bundle", torchscript_bias=0.5)
    source = write(table.slice(0, 3))
    with pytest.raises(
        ParityError, match=r"TorchScript's scores differ from .* rows '0', '1', '2', in .*input\.parquet"
    ):
        run(path, source, tmp_path / "out", methods=("gradient",))
    run(path, source, tmp_path / "unexplained")  # predictions need no TorchScript


def test_several_files_keep_their_order_and_identity(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    sources = [write(table.slice(0, 5), "z.parquet"), write(table.slice(5, 0), "e.parquet"), write(table.slice(5, 4))]
    out = run(bundle, sources, tmp_path / "out", keep=("id",))
    assert out["id"].to_pylist() == table["id"].to_pylist()[:9]
    assert out["source_row"].to_pylist() == [*range(5), *range(4)]
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) == 3


def test_a_large_file_becomes_parts_of_a_fixed_row_range(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    out = run(bundle, write(table), tmp_path / "out", batch_rows=100, part_rows=250)
    assert out["source_row"].to_pylist() == list(range(1000))
    names = [path.name for path in sorted((tmp_path / "out").glob("part-*"))]
    assert names == [f"part-00000-{start:012d}-{min(start + 300, 1000):012d}.parquet" for start in range(0, 1000, 300)]


def test_no_rows_at_all_leave_an_empty_part_with_its_schema(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    out = run(bundle, write(table.slice(0, 0)), tmp_path / "out", methods=METHODS, keep=("id",))
    assert out.num_rows == 0
    assert "gradient.attribution.a" in out.column_names


def test_every_part_says_what_made_it(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    source = write(table, row_group_size=300)
    run(bundle, source, tmp_path / "out", methods=("gradient",))
    (part,) = (tmp_path / "out").glob("part-*.parquet")
    metadata = json.loads(pq.read_schema(part).metadata[b"whyport"])
    assert metadata["bundle"] == {"name": "linear", "digest": Bundle.read(bundle).digest}
    assert metadata["settings"]["methods"] == ["gradient"]
    assert metadata["source_file"] == source.as_posix()
    assert (metadata["source_rows"], metadata["source_row_groups"]) == ([0, 1000], [0, 3])
    assert set(metadata["versions"]) == {"whyport", "numpy", "pyarrow", "onnxruntime", "torch", "numba"}


def test_floats_are_split_by_byte_and_compressed_with_zstd(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    run(bundle, write(table), tmp_path / "out", methods=("gradient",))
    (part,) = (tmp_path / "out").glob("part-*.parquet")
    group = pq.read_metadata(part).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    for name in ("attribution.a", "probability.no", "base_value"):
        assert "BYTE_STREAM_SPLIT" in columns[name].encodings


def test_the_report_counts_and_success_is_last(bundle: Path, write: Write, tmp_path: Path) -> None:
    out = tmp_path / "out"
    source = write(pa.table(BAD))
    run(bundle, source, out, methods=("input-x-gradient",))
    report = json.loads((out / "_report.json").read_text())
    assert (report["rows_in"], report["rows_out"], sum(report["rejected"].values())) == (4, 2, 2)
    assert report["files"] == [{"source_file": source.as_posix(), "rows_in": 4, "rows_out": 2, "rows_rejected": 2}]
    assert sum(report["predictions"].values()) == 2
    assert report["methods"]["input-x-gradient"]["not_converged"] == 0
    paths = [*out.glob("part-*.parquet"), *out.glob("_rejected/part-*.parquet")]
    digests = {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    assert report["parts"] == digests
    assert (out / "_SUCCESS").stat().st_mtime_ns >= (out / "_report.json").stat().st_mtime_ns


def test_the_job_file_says_what_the_run_was_of(bundle: Path, write: Write, tmp_path: Path) -> None:
    source = write(pa.table(BAD))
    run(bundle, source, tmp_path / "out")
    job = json.loads((tmp_path / "out" / "_job.json").read_text())
    assert job["bundle"] == {"name": "linear", "digest": Bundle.read(bundle).digest, "path": str(bundle.resolve())}
    (file,) = job["inputs"]
    footer = source.read_bytes()[-int.from_bytes(source.read_bytes()[-8:-4], "little") - 8 :]
    assert file == {
        "source_file": source.as_posix(),
        "path": str(source.resolve()),
        "rows": 4,
        "size": source.stat().st_size,
        "modified_ns": source.stat().st_mtime_ns,
        "footer_sha256": hashlib.sha256(footer).hexdigest(),
    }


def test_the_same_run_gives_the_same_bytes(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    source = write(table)
    parts = []
    for out in (tmp_path / "one", tmp_path / "two"):
        run(bundle, source, out, methods=METHODS)
        parts.append(next(out.glob("part-*.parquet")).read_bytes())
    assert parts[0] == parts[1]


def test_kept_columns_keep_their_types(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    fields = {
        "when": pa.array([0] * 1000, pa.timestamp("us", tz="Europe/Vienna")),
        "price": pa.array([None] * 1000, pa.decimal128(12, 3)),
        "tags": pa.array([["x", None]] * 1000, pa.list_(pa.string())),
        "kind": pa.array(["k"] * 1000).dictionary_encode(),
        "point": pa.array([{"x": 1.5, "y": None}] * 1000, pa.struct([("x", pa.float64()), ("y", pa.int8())])),
        "b.c": pa.array(["long"] * 1000, pa.large_string()),
        "größe": pa.array([1.5] * 1000),
    }
    for name, array in fields.items():
        table = table.append_column(name, array)
    bad = pa.array([None, *([1.0] * 999)])
    out = run(bundle, write(table.set_column(1, "a", bad)), tmp_path / "out", keep=tuple(fields))
    assert out.num_rows == 999
    for name in fields:
        assert out.schema.field(name).type == table.schema.field(name).type
        assert out[name].to_pylist() == table[name].to_pylist()[1:]


def test_schemas_may_drift_between_files(bundle: Path, write: Write, tmp_path: Path) -> None:
    one = write(pa.table({"a": [1.0], "b": [2.0], "c": [3.0]}), "one.parquet")
    two = write(pa.table({"c": pa.array([3], pa.int8()), "x": ["-"], "a": [True], "b": [2]}), "two.parquet")
    out = run(bundle, [one, two], tmp_path / "out")
    np.testing.assert_array_equal(values(out, "probability.no")[0], values(out, "probability.no")[1])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"keep": ("nowhere",)},
            ColumnError,
            r"missing kept columns: nowhere \(1 of 1\); the file has: .*, in .*input\.parquet",
        ),
        ({"keep": ("prediction",)}, ColumnError, "columns 'prediction' would appear twice in the output"),
        ({"keep": ("attribution.a",), "methods": ("gradient",)}, ColumnError, "'attribution.a' would appear twice"),
        ({"keep": ("id", "id")}, ColumnError, "columns 'id' would appear twice"),
        ({"explain_target": "label:nowhere"}, ColumnError, "missing label columns: nowhere "),
        ({"explain_target": "maybe"}, UsageError, "unknown class 'maybe'"),
        ({"methods": ("limes",)}, UsageError, "unknown explanation method 'limes'"),
        ({"methods": ("gradient", "gradient")}, UsageError, "methods named twice"),
        ({"batch_rows": 0}, UsageError, "batch_rows: expected at least 1, got 0"),
        ({"threads": 0}, UsageError, "threads: expected at least 1, got 0"),
        ({"device": "tpu"}, UsageError, "unknown device 'tpu'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_scored(
    bundle: Path,
    table: pa.Table,
    write: Write,
    tmp_path: Path,
    settings: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    table = table.append_column("prediction", table["id"]).append_column("attribution.a", table["id"])
    with pytest.raises(error, match=message):
        run(bundle, write(table), tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_the_last_of_many_files_is_checked_before_the_first_is_scored(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    sources = [write(table, "1.parquet"), write(table.set_column(2, "b", table["id"]), "2.parquet")]
    with pytest.raises(ColumnError, match=r"feature columns that are not numeric or boolean: b .*, in .*2\.parquet"):
        run(bundle, sources, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_classes_and_features_whose_columns_would_collide_are_refused(
    table: pa.Table, write: Write, tmp_path: Path
) -> None:
    path = linear_bundle(tmp_path / "bundle", names=("x", "y", "b.x"), classes=("a", "a.b"))
    source = write(pa.table({"x": [1.0], "y": [1.0], "b.x": [1.0]}))
    with pytest.raises(ColumnError, match=r"'attribution\.a\.b\.x' would appear twice"):
        run(path, source, tmp_path / "out", methods=("gradient",), explain_target="all")


def test_a_bundle_that_cannot_serve_a_method_says_why(
    table: pa.Table, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path
) -> None:
    read = Bundle.read(bundle)
    monkeypatch.setitem(read.sidecar.capabilities, "gradients", Capability(False, "made from an ONNX file"))
    with pytest.raises(BundleError, match="bundle 'linear' cannot serve 'gradient': made from an ONNX file"):
        Job(read, JobSettings(inputs=(str(write(table)),), out=tmp_path / "out", methods=("gradient",)))


def test_a_folder_is_not_overwritten_unless_asked(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    source, out = write(table), tmp_path / "out"
    run(bundle, source, out)
    other = write(pa.table(BAD), "other.parquet")
    changed = r"\n  2 of 2 inputs have changed: .*input.parquet' \(gone\)"
    with pytest.raises(UsageError, match=f"holds another job; --overwrite replaces it, .*{changed}"):
        run(bundle, other, out)
    (out / "mine.txt").write_text("not whyport's")
    again = run(bundle, other, out, overwrite=True)
    assert again.num_rows == 2
    assert (out / "mine.txt").exists()


def test_a_folder_of_something_else_is_never_touched(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    source = write(table, "elsewhere/input.parquet")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "part-1.parquet").write_text("precious")
    with pytest.raises(UsageError, match="is not empty and holds no earlier run"):
        run(bundle, source, tmp_path / "mine", overwrite=True)
    with pytest.raises(UsageError, match="expected a folder for the output, got the file"):
        run(bundle, source, source)
    assert (tmp_path / "mine" / "part-1.parquet").read_text() == "precious"


def test_inputs_in_the_output_folder_are_refused(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    source = write(table)
    run(bundle, source, tmp_path / "out")
    part = next((tmp_path / "out").glob("part-*.parquet"))
    with pytest.raises(UsageError, match="inputs are in the output folder"):
        run(bundle, part, tmp_path / "out", overwrite=True)
    assert part.exists()


def test_a_file_that_breaks_in_the_middle_leaves_no_half_part(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    good, bad = write(table, "good.parquet"), write(table, "bad.parquet", row_group_size=100)
    content = bytearray(bad.read_bytes())
    content[len(content) // 2 :][:2000] = bytes(2000)
    middle = len(content) // 2
    bad.write_bytes(content[:middle] + bytes(2000) + content[middle + 2000 :])
    with pytest.raises(DataError, match=r"cannot read: .*, in .*bad\.parquet, row group \d"):
        run(bundle, [good, bad], tmp_path / "out", batch_rows=100)
    assert [p.name[:10] for p in (tmp_path / "out").iterdir() if "part" in p.name] == ["part-00000"]
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_a_row_that_is_lost_fails_the_run(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = RowCleaner.clean

    def lose_the_first(cleaner: RowCleaner, batch: pa.RecordBatch, first_row: int) -> CleanRows:
        rows = clean(cleaner, batch, first_row)
        return dataclasses.replace(
            rows, matrix=rows.matrix[1:], kept=rows.kept[1:], imputed_count=rows.imputed_count[1:]
        )

    monkeypatch.setattr(RowCleaner, "clean", lose_the_first)
    message = r"expected 1000 rows out or rejected, got 999 \+ 0, in .*input\.parquet"
    with pytest.raises(JobError, match=message):
        run(bundle, write(table), tmp_path / "out")
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    assert not list((tmp_path / "out").glob("*part-*"))


def test_predicting_needs_no_torch(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from whyport.cli import main; "
        "main(['run', *sys.argv[1:]], standalone_mode=False)"
    )
    command = [sys.executable, "-c", program, bundle, write(table), "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "rows      1000 in = 1000 out + 0 rejected" in done.stdout
    failed = subprocess.run([*command, "--overwrite", "--explain", "gradient"], capture_output=True, text=True)
    assert failed.stderr == "error: this needs the package 'torch': pip install 'whyport[explain]'\n"


def test_the_command_prints_the_report(whyport: Whyport, bundle: Path, write: Write, tmp_path: Path) -> None:
    source = write(pa.table(BAD))
    output = whyport("run", bundle, source, "--out", tmp_path / "out", "--explain", "integrated-gradients").output
    assert "rows      4 in = 2 out + 2 rejected" in output
    assert "1 x column 'a': expected a finite number, got null" in output
    assert "integrated-gradients: worst completeness error" in output


def test_the_command_names_bad_input_in_one_line(whyport: Whyport, bundle: Path, write: Write, tmp_path: Path) -> None:
    source = write(pa.table({"a": [1.0], "b": [1.0]}))
    result = whyport("run", bundle, source, "--out", tmp_path / "out", exit_code=1)
    assert result.output == f"error: missing feature columns: c (1 of 3); the file has: a, b, in {source.as_posix()}\n"


def test_the_methods_are_listed(whyport: Whyport) -> None:
    output = whyport("methods").output
    for name in METHODS:
        assert name in output
    assert "arXiv:1703.01365" in output


def test_the_command_and_the_library_have_the_same_defaults(tmp_path: Path) -> None:
    from whyport.batch.commands import run as command

    settings = dataclasses.asdict(JobSettings(inputs=(), out=tmp_path))
    settings["explain"] = ExplainSettings()
    settings |= settings.pop("explain").record()
    context = command.make_context("run", ["bundle", "input", "--out", str(tmp_path)])
    shared = [option for option in command.get_params(context) if option.name in settings and not option.required]
    assert {option.name for option in shared} >= {"batch_rows", "steps", "tolerance", "on_bad_row", "device", "threads"}
    defaults = context.params
    own = method_options()
    for option in shared:
        # These are parsed: "none", "" and no file are nothing. An option of methods has its default where it is read.
        if option.name not in ("methods", "keep", "players", "reason_texts", *own):
            assert defaults[option.name] == settings[option.name], option.name
    given = ExplainSettings.of(**{name: defaults[name] for name in own})
    assert {name: given.record()[name] for name in own} == {name: settings[name] for name in own}
    assert (defaults["players"], settings["players"]) == (None, {})


def test_columns_of_a_hive_path_can_be_kept(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    for month in ("01", "02"):
        write(table.slice(0, 3).set_column(1, "a", pa.array([1.0, None, 2.0])), f"in/year=2026/month={month}/x.parquet")
    out = run(bundle, tmp_path / "in", tmp_path / "out", keep=("month", "id"))
    assert out.schema.field("month").type == pa.int32()
    assert out["month"].to_pylist() == [1, 1, 2, 2]
    assert out["id"].to_pylist() == ["r0", "r2", "r0", "r2"]
    rejected = pa.concat_tables(pq.read_table(path) for path in sorted((tmp_path / "out" / "_rejected").iterdir()))
    assert rejected.select(["month", "id"]).to_pylist() == [{"month": m, "id": "r1"} for m in (1, 2)]
