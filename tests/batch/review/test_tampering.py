"""A finished run and everything that may be done to it: an audit without a signature passes none of it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import whyport
from support.forging import edit_json, forge
from support.tampering import (
    ALONE,
    EDITS,
    EVERYWHERE,
    FILLED,
    FIRST,
    PROVIDER,
    Edit,
    Run,
    column_edits,
    edited,
    leaves,
    make_run,
    place,
    set_value,
)
from whyport.runtime.errors import WhyportError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run, and a copy of it that nobody touches."""
    run = make_run(tmp_path_factory.mktemp("tampering") / "run")
    shutil.copytree(run.base, run.base.parent / "clean")
    return run


@pytest.fixture
def run(made: Run) -> Iterator[Run]:
    """The run, in its own place, as it was whatever a test before has done to it."""
    yield made
    restore(made)


def restore(run: Run) -> None:
    """Make the run what it was."""
    shutil.rmtree(run.base)
    shutil.copytree(run.base.parent / "clean", run.base)


def test_a_run_that_nobody_touched_passes(run: Run) -> None:
    assert whyport.audit(run.out, device="cpu")[-1].startswith("sample    88 rows computed again")
    run.digests()  # forging as such is not what is found
    assert whyport.audit(run.out, device="cpu")[-1].startswith("sample    88 rows computed again")


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.what)
def test_no_edit_passes(run: Run, edit: Edit) -> None:
    edit.act(run)
    with pytest.raises(WhyportError) as caught:
        whyport.audit(run.out, device="cpu")
    assert edit.says in str(caught.value)


def test_every_column_is_known(run: Run) -> None:
    table = pq.read_table(run.out / FIRST, partitioning=None)
    kept = {path: path.read_bytes() for path in run.out.rglob("*") if path.is_file()}
    passed = []
    for name in table.column_names:
        if name.startswith(("attribution", "standard_error")) and not name.endswith((".age", ".region")):
            continue  # as their neighbours
        for what, change in column_edits(table, name):
            forge(run.out, change, FIRST)
            if passes(run):
                passed.append((name, what))
            for path, content in kept.items():
                path.write_bytes(content)
    assert not passed


def told(keys: tuple[Any, ...]) -> str:
    """The place of a leaf as the lists of tampering have it."""
    return re.sub(r"(seconds|rows_per_second)\.\w+$", r"\1.<stage>", place(keys))


@pytest.mark.parametrize("name", ["_job.json", "_report.json"])
def test_every_value_of_a_document_is_known_but_what_only_a_signature_vouches_for(run: Run, name: str) -> None:
    content = (run.out / name).read_text()
    passed = set()
    for keys in leaves(json.loads(content)):
        edit_json(run.out / name, lambda document, keys=keys: set_value(document, keys, edited_at(keys)))
        if passes(run):
            passed.add(told(keys))
        (run.out / name).write_text(content)
    assert passed == set(ALONE[name])


def test_every_value_that_the_footers_have_too(run: Run) -> None:
    document = json.loads((run.out / "_job.json").read_text())
    common = {key: document[key] for key in ("bundle", "settings", "provider", "versions")}
    passed = set()
    for keys in leaves(common):
        if keys == ("bundle", "path"):  # no footer has it
            continue
        run.everywhere(lambda document, keys=keys: set_value(document, keys, edited_at(keys)))
        if keys == ("provider",):
            run.report(lambda document: document.update(provider=PROVIDER))
        if passes(run):
            passed.add(told(keys))
        restore(run)
    assert passed == set(EVERYWHERE)


def edited_at(keys: tuple[Any, ...]) -> Any:
    """The edit of a value at a place."""
    return lambda value: FILLED[keys[-1]] if value is None and keys[-1] in FILLED else edited(value)


def passes(run: Run) -> bool:
    try:
        whyport.audit(run.out, device="cpu", sample=100)
    except WhyportError:
        return False
    return True


def test_the_page_has_the_same_tables() -> None:
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    rows = [f"| {edit.what} | `{edit.says}` |" for edit in EDITS]
    first = page.index(rows[0])
    assert page[first:].split("\n\n")[0].splitlines() == rows
    signed = page[page.index("## What only a signature") :]
    named = {name for leaf in (*ALONE["_report.json"], *EVERYWHERE) for name in [leaf.split(".")[0]]}
    assert all(f"`{name}`" in signed or name in ("settings", "versions") for name in named)
