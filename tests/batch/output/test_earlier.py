"""The jobs below a folder, in any state: each counts, is named as unfinished, or is an error that names it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from whyport.batch.output.earlier import EarlierJobs
from whyport.runtime.errors import JobError, UsageError, WhyportError

OUT = Path("no-such-folder")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, reference_bundle: Path) -> Path:
    """A finished job of two inputs."""
    folder = tmp_path_factory.mktemp("made")
    names = whyport.Bundle.read(reference_bundle).sidecar.feature_names
    for name, rows in (("a", 2), ("b", 0)):
        table = pa.table({each: pa.array([1.0] * rows, pa.float64()) for each in names})
        pq.write_table(table, folder / f"{name}.parquet")
    whyport.run(reference_bundle, [folder / "a.parquet", folder / "b.parquet"], folder / "job")
    return folder / "job"


@pytest.fixture
def scored(made: Path, tmp_path: Path) -> Path:
    """A folder with two such jobs, one of them deeper."""
    for name in ("1", "year/2"):
        shutil.copytree(made, tmp_path / "scored" / name)
    return tmp_path / "scored"


def found(folder: Path, *more: Path, out: Path = OUT) -> tuple[list[str], list[str]]:
    """The finished and the unfinished jobs, as paths from the folder."""
    jobs = EarlierJobs.below([folder, *more], out)
    finished = [job.folder for job in jobs.finished]
    return [os.path.relpath(each, folder) for each in finished], [
        os.path.relpath(each, folder) for each in jobs.unfinished
    ]


def test_jobs_at_any_depth(scored: Path) -> None:
    assert found(scored) == (["1", "year/2"], [])
    assert found(scored / "1") == (["."], [])
    assert found(scored, scored / "1", scored) == (["1", "year/2"], [])
    jobs = EarlierJobs.below([scored], OUT)
    assert [[mark.rows for mark in job.scored] for job in jobs.finished] == [[2, 0]] * 2


def test_the_output_folder_is_never_counted(scored: Path) -> None:
    assert found(scored, out=scored / "1") == (["year/2"], [])
    (scored / "link").symlink_to(scored / "1")
    assert found(scored, out=scored / "link") == (["year/2"], [])
    assert found(scored / "1", out=scored / "1") == ([], [])


def test_a_folder_that_the_first_job_makes(tmp_path: Path) -> None:
    nothing = tmp_path / "scored"
    assert found(nothing, out=nothing / "2026" / "1") == ([], [])
    for out in (tmp_path / "other", tmp_path / "scored-too" / "1"):
        with pytest.raises(UsageError, match=r"got nothing, in .*/scored$"):
            found(nothing, out=out)
    nothing.symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"got what is no folder, in .*/scored$"):
        found(nothing, out=nothing / "1")


def test_links_are_followed_and_lead_to_each_job_once(scored: Path, tmp_path: Path) -> None:
    (scored / "latest").symlink_to(scored / "1")
    (scored / "up").symlink_to(scored)
    (scored / "gone").symlink_to(tmp_path / "nothing")
    (scored / "circle").symlink_to(scored / "circle")
    shutil.move(scored / "year", tmp_path / "archive")
    (scored / "year").symlink_to(tmp_path / "archive")
    assert found(scored) == (["1", "year/2"], [])


def test_other_entries_are_no_jobs(scored: Path) -> None:
    (scored / ".snapshot").mkdir()
    shutil.copytree(scored / "1", scored / ".snapshot" / "1")
    (scored / "notes.txt").touch()
    os.mkfifo(scored / "pipe")
    (scored / "spark").mkdir()
    (scored / "spark" / "_SUCCESS").touch()
    assert found(scored) == (["1", "year/2"], [])


def test_a_folder_that_cannot_be_read(scored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("year"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(JobError, match=r"cannot read: Permission denied, in .*/year$"):
        found(scored)


def without(*names: str) -> Callable[[Path], None]:
    """Remove documents of a job."""

    def remove(job: Path) -> None:
        for name in names:
            (job / name).unlink()

    return remove


def damaged(job: Path) -> None:
    (job / "_SUCCESS").unlink()
    (job / "_job.json").write_text("{")


def linked(path: Path, to: Path) -> None:
    path.unlink()
    path.symlink_to(to)


UNFINISHED: dict[str, Callable[[Path], object]] = {
    "no success": without("_SUCCESS"),
    "no success, and no report": without("_SUCCESS", "_report.json"),
    "no success, and a damaged description": damaged,
    "being replaced": lambda job: (job / "_job.json").write_text("{}"),
    "a success that is a broken link": lambda job: linked(job / "_SUCCESS", job / "nothing"),
}


@pytest.mark.parametrize("state", UNFINISHED)
def test_an_unfinished_job_is_named(scored: Path, state: str) -> None:
    UNFINISHED[state](scored / "1")
    assert found(scored) == (["year/2"], ["1"])


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "a list": lambda path: path.write_text("[]"),
    "another document": lambda path: path.write_text('{"a": 1}'),
    "another version": lambda path: path.write_text('{"format_version": 99, "files": 3}'),
    "a pipe": piped,
    "a folder": as_folder,
    "a link to nothing": lambda path: linked(path, path.parent / "nothing"),
    "a link to a pipe": lambda path: (os.mkfifo(path.parent / "pipe"), linked(path, path.parent / "pipe")),
    "a link to itself": lambda path: linked(path, path),
}


@pytest.mark.parametrize("name", ["_job.json", "_report.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_document_of_a_finished_job_is_an_error_that_names_it(scored: Path, name: str, damage: str) -> None:
    path = scored / "year" / "2" / name
    DAMAGES[damage](path)
    with pytest.raises(WhyportError) as error:
        found(scored)
    assert str(error.value).endswith(f", in {path}")


def test_a_link_to_a_document_is_read(scored: Path, tmp_path: Path) -> None:
    path = scored / "1" / "_job.json"
    shutil.move(path, tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert found(scored) == (["1", "year/2"], [])


def test_only_what_the_report_has_is_scored(scored: Path) -> None:
    path = scored / "1" / "_report.json"
    report = json.loads(path.read_text())
    skipped = report["files"].pop(0)["source_file"]
    report["skipped"] = [{"source_file": skipped, "reason": "broken"}]
    path.write_text(json.dumps(report))
    first, second = EarlierJobs.below([scored], OUT).finished
    assert [len(first.scored), len(second.scored)] == [1, 2]


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("_job.json", ("inputs", 0, "source_file"), "another"),
        ("_job.json", ("inputs", 0, "rows"), 7),
        ("_job.json", ("inputs",), []),
        ("_report.json", ("files", 0, "source_file"), "another"),
        ("_report.json", ("files", 0, "rows_in"), 7),
        ("_report.json", ("files",), []),
        ("_report.json", ("skipped",), [{"source_file": "another", "reason": "broken"}]),
    ],
)
def test_documents_of_different_inputs_are_an_error(
    scored: Path, name: str, place: tuple[Any, ...], value: object
) -> None:
    path = scored / "1" / name
    document = at = json.loads(path.read_text())
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    path.write_text(json.dumps(document))
    with pytest.raises(JobError, match=r"expected the inputs that _job.json has.* in .*/1/_report\.json$"):
        found(scored)
