import base64
import hashlib
import json
import re
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.bundles import linear_bundle
from support.command import Whyport

Write = Callable[..., Path]
Score = Callable[..., Path]

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """What a page holds, read strictly: every element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.labels: list[str] = []
        self.figures: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        self._attributes(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._attributes(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def _attributes(self, tag: str, attributes: dict[str, str | None]) -> None:
        if attributes.get("id"):
            self.ids.append(str(attributes["id"]))
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            value = attributes.get(name)
            if value is not None:
                (self.links if value.startswith("#") else self.references).append(value)
        if "data-figure" in attributes:
            self.figures.append(str(attributes["data-figure"]))
        if attributes.get("role") == "img":
            self.labels.append(str(attributes.get("aria-label")))


def check(path: Path) -> Page:
    """The page stands alone, and its parts fit together."""
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert all(reference.startswith("data:") for reference in page.references)
    assert "@import" not in text
    data, script = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    figures = json.loads(zlib.decompress(base64.b64decode(data)))["figures"]
    assert set(figures) == set(page.figures) <= set(page.ids)
    assert "url(http" not in text
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert page.tags.count("h1") == 1
    assert page.tags.count("figure") == page.tags.count("svg") == len(page.labels) > 0
    assert all(len(label) > 20 for label in page.labels)
    return page


def test_a_page_stands_alone(whyport: Whyport, score: Score, write: Write, labelled: pa.Table, tmp_path: Path) -> None:
    holed = labelled.set_column(1, "a", pa.array([None, *labelled["a"].to_pylist()[1:]], pa.float64()))
    out = score(write(holed), methods=("deepshap",), keep=("id", "truth"))
    command = ("report", out, "--out", tmp_path / "page.html", "--label", "truth", "--row", 3, "--device", "cpu")
    output = whyport(*command, "--images", tmp_path / "images", "--format", "png,svg,eps").output
    page = check(tmp_path / "page.html")
    images = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert len(images) == 3 * page.tags.count("figure")
    assert f"pictures  {len(images)} files in {tmp_path / 'images'}" in output
    assert "03-bar-deepshap.eps" in images
    for phrase in ("999", "expected a finite number, got null", "id r3", "Siddiqi"):
        assert phrase in page.text


@pytest.mark.parametrize("settings", [{}, {"top_k": 2}, {"layout": "list", "explain_target": "all"}])
def test_every_kind_of_run_has_a_page(
    whyport: Whyport, score: Score, write: Write, table: pa.Table, tmp_path: Path, settings: dict[str, object]
) -> None:
    out = score(write(table.slice(0, 60)), methods=("deepshap",) if settings else (), **settings)
    whyport("report", out, "--out", tmp_path / "page.html", "--row", 3, "--device", "cpu")
    text = check(tmp_path / "page.html").text
    assert ("explained no row" in text) == (not settings)
    assert ("the others count as 0" in text) == ("top_k" in settings)
    assert "row 3" in text


def test_names_of_any_kind_are_shown_as_they_are(whyport: Whyport, tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", "$x_1$ = y", "n" * 70)
    bundle = linear_bundle(tmp_path / "bundle", names=names, classes=("a&b", "$p$"))
    rows = np.random.default_rng(0).normal(size=(50, 3))
    pq.write_table(pa.table(dict(zip(names, rows.T, strict=True))), tmp_path / "rows.parquet")
    whyport("run", bundle, tmp_path / "rows.parquet", "--out", tmp_path / "out", "--explain", "deepshap")
    whyport("report", tmp_path / "out", "--out", tmp_path / "page.html", "--device", "cpu")
    page = check(tmp_path / "page.html")
    for name in (*names, "a&b", "$p$"):
        assert name in page.text


def test_names_that_differ_in_signs_alone_have_places_of_their_own(whyport: Whyport, tmp_path: Path) -> None:
    bundle = linear_bundle(tmp_path / "bundle", names=("a b", "a-b", "是"), classes=("+", "-"))
    rows = np.random.default_rng(0).normal(size=(50, 3))
    pq.write_table(pa.table(dict(zip(("a b", "a-b", "是"), rows.T, strict=True))), tmp_path / "rows.parquet")
    whyport("run", bundle, tmp_path / "rows.parquet", "--out", tmp_path / "out", "--explain", "deepshap")
    whyport("report", tmp_path / "out", "--out", tmp_path / "page.html", "--device", "cpu")
    page = check(tmp_path / "page.html")
    assert {"beeswarm-deepshap", "beeswarm-deepshap-2"} <= set(page.ids)


def test_a_page_among_the_data_is_refused(whyport: Whyport, score: Score, write: Write, table: pa.Table) -> None:
    out = score(write(table.slice(0, 20)))
    result = whyport("report", out, "--out", out / "page.html", exit_code=2)
    assert "readers would take it for data" in result.output
    whyport("report", out, "--out", out / "_page.html", "--device", "cpu")
    check(out / "_page.html")
    result = whyport("report", out, "--format", "gif", exit_code=2)
    assert "unknown format 'gif'" in result.output


def test_a_missing_extra_is_named(whyport: Whyport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    output = whyport("report", tmp_path, exit_code=1).output
    assert "pip install 'whyport[report]'" in output


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_rows_have_a_page(
    whyport: Whyport, score: Score, write: Write, table: pa.Table, tmp_path: Path, count: int
) -> None:
    out = score(write(table.slice(0, count)), methods=("deepshap", "gradient"), explain_target="all")
    whyport("report", out, "--out", tmp_path / "page.html", "--device", "cpu")
    text = check(tmp_path / "page.html").text
    assert f"{count} in = {count} out + 0 rejected" in text
    assert ("The run has no rows to show" in text) == (count == 0)
