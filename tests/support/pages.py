"""The project's pages as tests read them: code blocks, tables, links."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d[\d.]*(e-?\d+)?")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Every page that a reader opens."""
    folders = ("", "docs", "models", "examples/browser", "examples/node")
    return sorted(page for folder in folders for page in (ROOT / folder).glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    """The contents of a page's fenced blocks in a language, "" for none."""
    return [text for found, text in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """The targets of a page's links, addresses included."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {_anchor(heading) for heading in _HEADING.findall(prose(page))}


def table(page: Path, first_column: str) -> list[list[str]]:
    """The cells of the first table whose header begins with a name, without its header."""
    lines = iter(page.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line.startswith(f"| {first_column} |"):
            next(lines)
            break
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def mask_numbers(line: str) -> str:
    """A line with every number replaced, and the columns' padding with it."""
    return " ".join(_NUMBER.sub("#", line).split())


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
