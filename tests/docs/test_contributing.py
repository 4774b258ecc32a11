"""CONTRIBUTING.md: ten lines for each addition, and the tests that they end in."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from support.pages import ROOT
from whyport.exporter.kinds import KINDS
from whyport.exporter.kinds.kind import Kind
from whyport.runtime import task

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ADDITIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda text: text.splitlines()[0])
def test_ten_lines_end_in_a_test_that_exists(addition: str) -> None:
    assert re.findall(r"^(\d+)\. ", addition, re.MULTILINE) == [str(number) for number in range(1, 11)]
    file, name = NAMED_TEST.findall(addition[addition.index("10. ") :])[0]
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "exporter" / "kinds").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_kind_is_tested(path: Path) -> None:
    """A file with a kind that is not in the table, or without tests, fails here."""
    module = import_module(f"whyport.exporter.kinds.{path.stem}")
    kinds = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]
    for kind in kinds:
        if issubclass(kind, Kind) and kind is not Kind:
            assert f"{module.__name__}:{kind.__name__}" in [name for _, name in KINDS.values()]
            tests = ROOT / "tests" / "exporter" / "kinds" / f"test_{path.stem}.py"
            assert "def test_" in tests.read_text(encoding="utf-8")


def test_every_kind_of_the_table_is_there() -> None:
    assert KINDS
    for _, name in KINDS.values():
        module, _, attribute = name.partition(":")
        assert issubclass(getattr(import_module(module), attribute), Kind)


def test_every_task_is_in_the_table_and_described() -> None:
    every = [each for each in vars(task).values() if isinstance(each, type) and issubclass(each, task.Task)]
    # A task is final; the classes that they extend are not.
    tasks = [each for each in every if not any(other is not each and issubclass(other, each) for other in every)]
    assert all(getattr(each, "__final__", False) for each in tasks)
    assert tasks == list(task.TASKS.values())
    page = (ROOT / "models" / "README.md").read_text(encoding="utf-8")
    for each in tasks:
        assert task.TASKS[each.name] is each
        assert f'"{each.name}"' in page or f"`{each.name}`" in page
