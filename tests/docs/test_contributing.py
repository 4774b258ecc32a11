"""CONTRIBUTING.md: ten lines for each addition, and the tests that they end in."""

import re

import pytest

from support.pages import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ADDITIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda text: text.splitlines()[0])
def test_ten_lines_end_in_a_test_that_exists(addition: str) -> None:
    assert re.findall(r"^(\d+)\. ", addition, re.MULTILINE) == [str(number) for number in range(1, 11)]
    file, name = NAMED_TEST.findall(addition[addition.index("10. ") :])[0]
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", sorted(path.stem for path in (ROOT / "exporter" / "kinds").glob("[a-z]*.py")))
def test_every_kind_has_a_test_file(kind: str) -> None:
    if kind == "kind":
        pytest.skip("what every kind is, not one of them")
    assert (ROOT / "tests" / "exporter" / "kinds" / f"test_{kind}.py").exists()
