"""Runs of versions that named the explained class alone are audited, shown and reported as before."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.forging import forge
from support.shown import describe_row
from whyport.batch.output.job_file import JobFile
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle

PART = "part-00000-000000000000-000000000100.parquet"
NEWER = ("on_unseen", "per", "reduction")


def as_before(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as version 3 wrote them."""
    kept = {name: value for name, value in settings.items() if name not in NEWER}
    return {"explain_class" if name == "explain_target" else name: value for name, value in kept.items()}


@pytest.fixture
def older(bundle: Path, table: pa.Table, write: Callable[..., Path], tmp_path: Path) -> Path:
    """A finished run, rewritten as version 3 would have left it."""
    source, out = write(table.slice(0, 100)), tmp_path / "out"
    Job(Bundle.read(bundle), JobSettings((str(source),), out, ("gradient",), part_rows=100, device="cpu")).run()
    job = json.loads((out / "_job.json").read_text())
    for name in ("units", "target_columns"):
        del job[name]
    job |= {"format_version": 3, "settings": as_before(job["settings"])}
    (out / "_job.json").write_text(json.dumps(job))
    path = out / PART
    metadata = dict(pq.read_metadata(path).metadata)
    description = json.loads(metadata[b"whyport"])
    description["settings"] = as_before(description["settings"])
    metadata[b"whyport"] = json.dumps(description).encode()
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    forge(out, lambda part: part.drop_columns(["explained_target"]), PART)
    return out


def test_it_is_audited_and_shown(older: Path) -> None:
    lines = whyport.audit(older, sample=20, device="cpu")
    assert lines[-1].startswith("sample    20 rows computed again")
    (explanation,) = [line for line in describe_row(older, 3, None, 3) if line.startswith("gradient, class ")]
    assert "score" in explanation


def test_its_columns_are_those_it_has(older: Path) -> None:
    run = FinishedRun.read(older)
    assert run.settings.explain_target == "predicted"
    assert run.columns.explanation_schema.names[0] == "explained_class"
    assert "explained_target" not in run.columns.explanation_schema.names
    assert {each.explained_target for each in run.explanations} == {"explained_class"}


def test_a_new_run_has_both_names(older: Path) -> None:
    job = JobFile.build(json.loads((older / "_job.json").read_text()), older)
    assert job.target_columns == ("explained_class",)
    assert job.meaning.target_columns == ("explained_target", "explained_class")
