"""Slow: the example of docs/python.md runs as it is."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import whyport

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.mark.slow
def test_the_example_runs_as_it_is(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    command = [sys.executable, "-W", "error", "-c", example]
    lines = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "0 of 400 rows" in lines
    assert "400 of 400 rows" in lines
    assert "kept        patient = 7" in lines
    assert any(re.fullmatch(r"rows +400 in = 400 out \+ 0 rejected, each once", line) for line in lines)
    scored = pq.read_table(tmp_path / "scored").to_pandas()
    assert (scored["prediction"] == scored["label"]).mean() > 0.9
    assert scored["converged"].all()
    assert "Attributions for sick" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_page_names_every_function() -> None:
    page = PAGE.read_text(encoding="utf-8")
    functions = [name for name in whyport.__all__ if name.islower()]
    assert len(functions) > 8
    for name in [*functions, "Session", "METHODS", "Bundle.read"]:
        assert f"`{name}" in page, name
