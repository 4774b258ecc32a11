"""The functions `report` and `to_shap`, as a notebook calls them."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import pyarrow as pa
import pytest
from matplotlib import pyplot

import whyport as library
from support.command import Whyport

Write = Callable[..., Path]
Score = Callable[..., Path]


def test_a_report_is_the_command_s_and_leaves_the_caller_s_figures_alone(
    whyport: Whyport, score: Score, write: Write, table: pa.Table, tmp_path: Path
) -> None:
    out = score(write(table), methods=("gradient",))
    matplotlib.use("svg")  # as a notebook has a backend of its own
    try:
        drawn = pyplot.figure()
        page, pictures = tmp_path / "page.html", tmp_path / "pictures"
        files = library.report(str(out), page, row=3, images=pictures, format=["png", "svg", "png"], max_features=2)
        assert matplotlib.get_backend() == "svg"
        assert pyplot.get_fignums() == [drawn.number]
    finally:
        matplotlib.use("agg")
        pyplot.close("all")
    assert files[0] == page
    assert sorted(files[1:]) == sorted(pictures.iterdir())
    assert {file.suffix for file in files[1:]} == {".png", ".svg"}
    command = ["report", out, "--out", tmp_path / "other.html", "--row", 3, "--max-features", 2]
    whyport(*command)
    assert (tmp_path / "other.html").read_text() == page.read_text()


def test_what_cannot_be_meant_is_refused(score: Score, write: Write, table: pa.Table, tmp_path: Path) -> None:
    out = score(write(table))
    with pytest.raises(library.UsageError, match="unknown format 'gif'"):
        library.report(out, tmp_path / "page.html", format="gif")
    with pytest.raises(library.UsageError, match="expected a run with attributions"):
        library.to_shap(out)
