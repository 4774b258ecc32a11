"""docs/explanations.md says of every method what the catalogue says."""

import pytest

from support.pages import ROOT, table
from whyport.batch.methods.catalogue import METHODS

PAGE = ROOT / "docs" / "explanations.md"


def test_the_page_has_the_catalogues_methods_in_its_order() -> None:
    rows = table(PAGE, "method")
    assert [row[0] for row in rows] == [f"`{name}`" for name in METHODS]


@pytest.mark.parametrize("name", METHODS)
def test_the_page_says_what_the_catalogue_says(name: str) -> None:
    method = METHODS[name]
    said = {row[0]: row[1:] for row in table(PAGE, "method")}
    assert said[f"`{name}`"] == [method.unit_of("logits"), method.cost, method.guarantee, method.source]


def test_every_method_has_a_line_on_what_converged_means() -> None:
    text = PAGE.read_text(encoding="utf-8")
    second = text[text.index("| method | base value |") :].splitlines()[2:]
    named = [line.split("`")[1] for line in second[: len(METHODS)]]
    assert sorted(named) == sorted(METHODS)
