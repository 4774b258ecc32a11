"""A finished run passes; a forger who also corrects the digests does not."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.bundles import linear_bundle
from support.command import Whyport
from support.forging import Forge, elements, forge, with_column
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.review.checks.audited import Asked, Audited
from whyport.batch.review.checks.sample import check_sample
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import AuditError, UsageError


@pytest.fixture(scope="module")
def finished(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An input and the output of its run."""
    folder = tmp_path_factory.mktemp("audit")
    source = folder / "year=2026" / "input.parquet"
    source.parent.mkdir()
    values = np.random.default_rng(3).normal(size=(3, 1000))
    values[1, ::50] = np.nan
    columns = dict(zip("abc", values, strict=True))
    kept = {"id": [f"r{i}" for i in range(1000)], "weight": [float("nan"), 1.5] * 500, "truth": ["no", "yes"] * 500}
    pq.write_table(pa.table(kept | columns), source)
    settings: dict[str, Any] = {"keep": ("id", "year", "weight"), "methods": ("deepshap",), "device": "cpu"}
    job = JobSettings(inputs=(str(source),), out=folder / "out", batch_rows=100, part_rows=300, **settings)
    Job(Bundle.read(bundle), job).run()
    return source, job.out


@pytest.fixture
def source(finished: tuple[Path, Path]) -> Iterator[Path]:
    """The input, as it was whatever a test does to it."""
    content = finished[0].read_bytes()
    yield finished[0]
    finished[0].write_bytes(content)


@pytest.fixture
def out(finished: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the output."""
    return shutil.copytree(finished[1], tmp_path / "out")


def audit(out: Path, bundle: Path | None = None, sample: int = 50) -> list[str]:
    return whyport.audit(out, bundle=bundle, sample=sample, device="cpu")


def test_a_run_that_nobody_touched_passes(out: Path) -> None:
    digests, folder, skipped, job, schema, rows, unseen, report, rejected, sample = audit(out)
    assert digests == "digests   8 files are the ones that were written"
    assert schema.startswith("schema    4 parts have the columns")
    assert folder == "folder    nothing is there but what a run writes"
    assert job == "job       the bundle and 1 inputs are those that _job.json describes"
    assert skipped == "skipped   no input was left out"
    assert rows == "rows      1000 in = 980 out + 20 rejected, each once"
    assert unseen.startswith("unseen    0 rows have 0 values")
    assert report == "report    16 figures are those of the parts"
    assert rejected == "rejected  20 of 20 rejected rows judged again: each has the reason that is given"
    assert sample.startswith("sample    50 rows computed again (seed 0): probabilities within ")


def test_forging_as_such_is_not_what_is_found(out: Path) -> None:
    forge(out, lambda table: table)
    assert audit(out)[-1].startswith("sample")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"methods": ("integrated-gradients", "gradient"), "explain_target": "all"},
        {"methods": ("expected-gradients",), "explain_target": "label:truth"},
        {"on_bad_row": "impute", "methods": ("input-x-gradient",)},
        {"methods": ("gradient", "deepshap"), "explain_target": "top:2", "explain_where": "`score.2` < 0"},
        {"methods": ("deepshap",), "explain_target": "yes,no", "top_k": 1},
        {"methods": ("integrated-gradients", "gradient"), "explain_target": "all", "layout": "list"},
        {"methods": ("integrated-gradients", "gradient"), "explain_target": "all", "top_k": 2},
        {
            "methods": ("deepshap",),
            "explain_fraction": 0.1,
            "explain_where": "score > 1 and year == 2026",
            "keep": ("year",),
        },
    ],
)
def test_every_kind_of_run_passes(bundle: Path, source: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    job = JobSettings(inputs=(str(source),), out=tmp_path / "run", device="cpu", part_rows=400, **options)
    Job(Bundle.read(bundle), job).run()
    assert audit(job.out)[-1].startswith("sample")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_column("attribution.b", lambda v: [x + 0.05 for x in v]), "completeness_error: computed again"),
        (with_column("attribution.b", lambda v: [-x for x in v]), "computed again it comes out different, rows"),
        (with_column("probability.yes", lambda v: [x + 0.001 for x in v]), "'probability.yes': computed again"),
        (with_column("prediction", lambda v: ["no"] * len(v)), "prediction: computed again"),
        (with_column("score", lambda v: [x + 0.01 for x in v]), "'score', 'base_value': computed again"),
        (with_column("id", lambda v: [*v[1:], "x"]), "kept column 'id': expected the input's values"),
        (with_column("year", lambda v: [2027] * len(v)), "kept column 'year': expected the input's values"),
        (
            with_column("source_row", lambda v: [v[1], *v[1:]]),
            "order, each once, got row 302 too late",
        ),
        (with_column("source_row", lambda v: [x - 300 for x in v]), "expected the rows 300 to 600 once each"),
        (with_column("source_file", lambda v: ["x", *v[1:]]), r"expected rows of .*input\.parquet, got 'x'"),
        (lambda table: table.slice(1), r"expected 300 rows out or rejected, got 293 \+ 6"),
        (lambda table: table.drop_columns(["converged"]), "expected the columns that the settings give"),
    ],
)
def test_a_forged_part_is_found(out: Path, change: Forge, message: str) -> None:
    forge(out, change)
    with pytest.raises(AuditError, match=message):
        audit(out, sample=1000)


def test_two_attributions_exchanged_are_found(out: Path) -> None:
    def exchanged(table: pa.Table) -> pa.Table:
        a, b = table["attribution.a"], table["attribution.b"]
        i, j = table.column_names.index("attribution.a"), table.column_names.index("attribution.b")
        return table.set_column(i, "attribution.a", b).set_column(j, "attribution.b", a)

    forge(out, exchanged)
    with pytest.raises(AuditError, match="deepshap: attributions: computed again"):
        audit(out)


def first_emptied(values: list[Any]) -> list[Any]:
    first = next((i for i, v in enumerate(values) if v is not None), None)
    return [None if i == first else v for i, v in enumerate(values)]


LISTS: dict[str, Any] = {"layout": "list"}
TOP: dict[str, Any] = {"top_k": 2}
SOME: dict[str, Any] = {"explain_fraction": 0.5, "explain_where": "probability.yes > 0.3"}


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        (LISTS, with_column("attribution", elements(lambda v: v[::-1])), "deepshap: attributions: computed again"),
        (LISTS, with_column("attribution", elements(lambda v: [x + 0.1 for x in v])), "completeness_error: computed"),
        (LISTS, with_column("attribution", elements(lambda v: [None, *v[1:]])), "completeness_error: computed again"),
        (LISTS, with_column("attribution", first_emptied), "attribution: computed again"),
        (TOP, with_column("top_attribution", elements(lambda v: [x * 1.1 for x in v])), "deepshap: attributions: comp"),
        (TOP, with_column("top_attribution", elements(lambda v: v[::-1])), "deepshap: the strongest attributions"),
        (TOP, with_column("top_feature", elements(lambda v: v[::-1])), "deepshap: attributions: computed again"),
        (TOP, with_column("top_feature", elements(lambda v: [v[0]] * 2)), "deepshap: the strongest attributions"),
        (TOP, with_column("top_feature", elements(lambda v: ["x", v[1]])), "deepshap: features: computed again"),
        (TOP, with_column("top_feature", elements(lambda v: [None, v[1]])), "deepshap: features: computed again"),
        (SOME, with_column("attribution.a", first_emptied), "attribution.a: computed again"),
        (SOME, with_column("converged", lambda v: [True] * len(v)), "converged: computed again"),
    ],
)
def test_a_forged_part_of_another_layout_is_found(
    bundle: Path, source: Path, tmp_path: Path, settings: dict[str, Any], change: Forge, message: str
) -> None:
    options: dict[str, Any] = {"methods": ("deepshap",), "device": "cpu", "part_rows": 300, "batch_rows": 100}
    job = JobSettings(inputs=(str(source),), out=tmp_path / "run", **options, **settings)
    Job(Bundle.read(bundle), job).run()
    audit(job.out, sample=1000)
    forge(job.out, change)
    with pytest.raises(AuditError, match=message):
        audit(job.out, sample=1000)


def test_the_sample_says_how_many_explanations_it_found(bundle: Path, source: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"methods": ("gradient", "deepshap"), "explain_target": "all", "device": "cpu"}
    job = JobSettings(inputs=(str(source),), out=tmp_path / "run", explain_where="source_row < 10", **settings)
    Job(Bundle.read(bundle), job).run()
    # Row 0 is rejected; two methods, two classes.
    assert "980 rows computed again (seed 0): " in audit(job.out, sample=1000)[-1]
    said = audit(job.out, sample=1000)[-1]
    assert "attributions of 36 explanations within " in said
    assert re.search(r"within \S+ logits per unit of the feature, \S+ logits$", said)


def test_a_row_that_should_have_been_explained_is_found(bundle: Path, source: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"methods": ("gradient",), "device": "cpu", "part_rows": 300, "batch_rows": 100}
    job = JobSettings(inputs=(str(source),), out=tmp_path / "run", explain_where="probability.yes > 0.3", **options)
    Job(Bundle.read(bundle), job).run()

    def without_the_first(table: pa.Table) -> pa.Table:
        for name in table.column_names[table.column_names.index("explained_target") : -1]:
            table = with_column(name, first_emptied)(table)
        return table

    forge(job.out, without_the_first)
    with pytest.raises(AuditError, match="which rows are explained: computed again it comes out different, rows '"):
        audit(job.out, sample=1000)


def test_a_changed_byte_is_found(out: Path) -> None:
    path = next(out.glob("part-*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(AuditError, match="expected sha256 .*, got .*, in .*part-"):
        audit(out)


@pytest.mark.parametrize("folder", ["", "_rejected"])
def test_a_part_that_is_missing_or_added_is_found(out: Path, folder: str) -> None:
    path = sorted((out / folder).glob("part-*"))[0]
    shutil.copy(path, path.with_name("part-00009-000000000000-000000000300.parquet"))
    with pytest.raises(AuditError, match="that were added: '.*part-00009"):
        audit(out)
    path.rename(path.with_name("part-00009-000000000000-000000000300.parquet"))
    with pytest.raises(AuditError, match="files that are missing: '.*part-00000-0"):
        audit(out)


def test_counts_that_are_not_the_parts_are_found(out: Path) -> None:
    report = json.loads((out / "_report.json").read_text())
    report["predictions"]["no"] += 1
    (out / "_report.json").write_text(json.dumps(report))
    with pytest.raises(AuditError, match="predictions: expected .*, as the parts have, got"):
        audit(out)


def test_another_input_or_bundle_is_found(out: Path, source: Path, tmp_path: Path) -> None:
    other = linear_bundle(tmp_path / "other", imputes=False)
    with pytest.raises(AuditError, match="expected the bundle with digest"):
        audit(out, other)
    moved = shutil.copytree(json.loads((out / "_job.json").read_text())["bundle"]["path"], tmp_path / "moved")
    audit(out, moved)
    pq.write_table(pq.ParquetFile(source).read().slice(1), source)
    with pytest.raises(AuditError, match="expected the input that was scored, with footer"):
        audit(out)
    source.unlink()
    assert audit(out, sample=0)[-1].startswith("sample    0 rows")


def test_a_run_that_is_not_finished_is_not_audited(out: Path, tmp_path: Path) -> None:
    (out / "_SUCCESS").unlink()
    with pytest.raises(AuditError, match="expected a finished run, got one without _SUCCESS"):
        audit(out)
    with pytest.raises(UsageError, match="expected the output folder of a run"):
        audit(tmp_path)


def test_the_command_prints_what_was_found(whyport: Whyport, out: Path) -> None:
    output = whyport("audit", out, "--sample", "7", "--device", "cpu").output
    assert "rows      1000 in = 980 out + 20 rejected, each once\n" in output
    assert "\nsample    7 rows computed again" in output
    next(out.glob("part-*")).unlink()
    output = whyport("audit", out, exit_code=1).output
    assert output.startswith("error: files that are missing: 'part-00000-")


def test_the_sample_is_read_in_one_pass_a_part_and_in_the_runs_batches(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    batches = SourceFile.batches

    def recorded(self: SourceFile, columns: list[str], batch_rows: int, start: int, stop: int) -> Any:
        passes.append((batch_rows, start // 300, (stop - 1) // 300))
        return batches(self, columns, batch_rows, start, stop)

    monkeypatch.setattr(SourceFile, "batches", recorded)
    check_sample(Audited(out, None, Asked(200, device="cpu")))
    assert passes == [(100, part, part) for part in range(4)]


def test_a_forged_standard_error_is_found(bundle: Path, source: Path, tmp_path: Path) -> None:
    explain = ExplainSettings.of(permutations=4, absolute_tolerance=0.01)
    options: dict[str, Any] = {"methods": ("shapley",), "device": "cpu", "part_rows": 300, "batch_rows": 100}
    job = JobSettings(inputs=(str(source),), out=tmp_path / "run", explain=explain, **options)
    Job(Bundle.read(bundle), job).run()
    audit(job.out, sample=1000)
    forge(job.out, with_column("standard_error.b", lambda v: [x + 1.0 for x in v]))
    with pytest.raises(AuditError, match=r"standard_error: computed again it comes out different, rows"):
        audit(job.out, sample=1000)
