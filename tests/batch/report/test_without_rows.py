"""A report without rows: nothing of a single row is in the page, in its figures, its texts or its data."""

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import whyport as library
from support.command import Whyport

Write = Callable[..., Path]
Score = Callable[..., Path]

PACKED = re.compile(r'id="figure-data"[^>]*>\s*([A-Za-z0-9+/=]+)\s*<')
NUMBER = re.compile(r"-?\d+\.\d{4,}(?:e-?\d+)?")


def texts_of(page: Path) -> Iterator[str]:
    """All that a page says: its own text, and the data that its readers can save."""
    text = page.read_text(encoding="utf-8")
    packed = PACKED.search(text)
    assert packed is not None
    yield re.sub(r"<(?:path|use|clipPath)\b[^>]*>", "", text.replace(packed[1], ""))  # places on the paper
    yield zlib.decompress(base64.b64decode(packed[1])).decode()


def told(page: Path, values: NDArray[np.float64]) -> set[float]:
    """The values that the page has to six digits, as its data have them."""
    numbers = {f"{float(number):.6g}" for text in texts_of(page) for number in NUMBER.findall(text)}
    return {value for value in values.tolist() if f"{value:.6g}" in numbers}


@pytest.fixture
def run(labelled: pa.Table, score: Score, write: Write) -> Path:
    """A run with reasons, kept names and labels, and a rejected row; few enough for numbers of six digits."""
    labelled = labelled.slice(0, 150)
    names = pa.array([f"person-{i:04d}" for i in range(labelled.num_rows)])
    table = labelled.set_column(0, "id", names)
    missing = [None, *table["a"].to_pylist()[1:]]
    table = table.set_column(table.column_names.index("a"), "a", pa.array(missing, pa.float64()))
    return score(write(table), methods=("deepshap",), keep=("id", "truth"))


def test_no_value_and_no_name_of_a_row_is_in_the_page(run: Path, whyport: Whyport, tmp_path: Path) -> None:
    with_rows, without = tmp_path / "with.html", tmp_path / "without.html"
    library.report(run, with_rows)
    whyport("report", run, "--out", without, "--no-rows", "--images", tmp_path / "pictures")
    output = pq.read_table(run)
    columns = [name for name in output.column_names if name.startswith(("attribution.", "score", "probability."))]
    inputs = pq.read_table(tmp_path / "input.parquet")
    values = np.concatenate(
        [*(output[name].to_numpy() for name in columns), *(inputs[name].to_numpy()[1:] for name in "abc")]
    )
    assert len(told(with_rows, values)) > 500
    assert told(without, values) == set()
    assert "person-" in "".join(texts_of(with_rows))
    said = "".join(texts_of(without))
    assert "person-" not in said
    assert "This page shows no single rows" in said
    drawn = {path.stem.partition("-")[2] for path in (tmp_path / "pictures").iterdir()}
    assert {"bar-deepshap", "errors", "drift-inputs"} <= drawn
    assert not any(name.startswith(("beeswarm", "dependence", "waterfall", "force", "rejected")) for name in drawn)


def test_no_heading_is_left_alone(run: Path, tmp_path: Path) -> None:
    library.report(run, tmp_path / "page.html", no_rows=True)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"<h3[^>]*>[^<]*</h3>\s*(?:<p[^>]*>[^<]*</p>\s*)?</(?:section|details)>", text)
    assert "Rows that could not be scored" not in text
    assert "How the score depends on a column" not in text
    data = json.loads([*texts_of(tmp_path / "page.html")][1])
    heads: set[Any] = {head for figure in data["figures"].values() for head in figure["head"]}
    assert not heads & {"row", "file", "value of a"}


def test_rows_and_groups_are_refused_beside_it(run: Path, tmp_path: Path, whyport: Whyport) -> None:
    for option, got in ((("--row", 3), "row"), (("--by", "truth"), "by: a group may be a single row")):
        result = whyport("report", run, "--out", tmp_path / "page.html", "--no-rows", *option, exit_code=2)
        assert result.output == f"error: no_rows: expected neither row nor by beside it, got {got}\n"
