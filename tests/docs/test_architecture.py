"""docs/architecture.md names every source file, and no other."""

from support.pages import ROOT, table

PAGE = ROOT / "docs" / "architecture.md"
FOLDERS = ("whyport", "runtime", "exporter", "batch")


def test_every_source_file_is_named_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    sources = {path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert sorted(named) == sorted(set(named))
    assert sources - set(named) == set(), "files without a line"
    assert set(named) - sources == set(), "lines without a file"


def test_the_glossary_has_fifteen_words_in_order() -> None:
    words = [row[0] for row in table(PAGE, "word")]
    assert len(words) == 15
    assert words == sorted(words)
