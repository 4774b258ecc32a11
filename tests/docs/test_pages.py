"""Links, and the files that the pages name."""

import re
from pathlib import Path

import pytest

from support.pages import ROOT, anchors, links, pages, prose

SOURCES = re.compile(r"`((?:runtime|exporter|batch|whyport|tests|benchmarks|scripts|docs|models|examples)/[\w./*-]+)`")
OLD_NAMES = re.compile(
    r"from (runtime|batch|exporter)[ .]|import (runtime|batch|exporter)\b|`(runtime|batch)\.[a-zA-Z_]+"
)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name_of(page)}: {link}"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    for path in SOURCES.findall(prose(page)):
        assert list(ROOT.glob(path.rstrip("/"))), f"{name_of(page)}: {path}"


@pytest.mark.parametrize("page", [page for page in pages() if page.name != "CHANGELOG.md"], ids=name_of)
def test_imports_are_of_the_one_package(page: Path) -> None:
    assert not OLD_NAMES.search(page.read_text(encoding="utf-8"))


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(ROOT / "README.md")}
    assert {page for page in (ROOT / "docs").glob("*.md") if page.resolve() not in linked} == set()
