"""A finished run and everything that may be done to it: an audit without a signature passes none of it."""

import shutil
from collections.abc import Iterator

import pytest

import whyport
from support.tampering import EDITS, Edit, Run, make_run
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
    shutil.rmtree(made.base)
    shutil.copytree(made.base.parent / "clean", made.base)


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
