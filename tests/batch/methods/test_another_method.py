"""A method with an option and two extra columns is one file and one entry: nobody else has to know of it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import whyport as library
from support.command import Whyport
from whyport.batch.methods.catalogue import METHODS
from whyport.batch.methods.method import ONNX, Extra, Implementation, Method, Option

ENTRY = Method(
    engines={ONNX: Implementation("support.loudest:Loudest", None)},
    unit="decibels",
    cost="nothing",
    guarantee="none: it is loud",
    source="this test",
    extras=(
        Extra("loudness", per_feature=True, is_error_bar=True),
        Extra("heard", option="with_heard"),
    ),
    options=(
        Option("gain", float, "How much louder.", default=2.0, above=0),
        Option("with_heard", bool, "Write what was heard.", default=False),
    ),
)


@pytest.fixture
def source(table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(METHODS, "loudest", ENTRY)
    path = tmp_path / "rows.parquet"
    pq.write_table(table.slice(0, 60), path)
    return path


def test_it_is_run_with_its_option_and_written_with_its_columns(
    bundle: Path, source: Path, rows: NDArray[np.float64], whyport: Whyport, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    whyport("run", bundle, source, "--out", out, "--explain", "loudest", "--gain", 3, "--with-heard")
    table = pq.read_table(out)
    expected = rows[:60].astype(np.float32)
    loud = np.abs(expected)
    got = np.stack([table[f"attribution.{name}"].to_numpy() for name in "abc"], axis=1)
    np.testing.assert_allclose(got, np.where(loud == loud.max(axis=1, keepdims=True), 3 * expected, 0), rtol=1e-6)
    np.testing.assert_allclose(np.stack([table[f"loudness.{name}"].to_numpy() for name in "abc"], axis=1), loud)
    np.testing.assert_allclose(np.array(table["heard"].to_pylist()), expected)
    assert table["base_value"].null_count == 60
    assert "60 rows computed again" in whyport("audit", out).output
    strongest = float(loud[7].max())
    assert f" ± {strongest:.2g}  " in whyport("show", out, "--row", 7).output
    whyport("report", out, "--out", tmp_path / "page.html")
    assert "(decibels)" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_its_option_has_help_a_default_and_a_check(
    bundle: Path, source: Path, whyport: Whyport, tmp_path: Path
) -> None:
    text = " ".join(whyport("run", "--help").output.split())
    assert "--gain FLOAT loudest: How much louder. [default: 2.0]" in text
    assert "options    --gain, --with-heard" in whyport("methods").output
    refused = whyport("run", bundle, source, "--out", tmp_path / "x", "--explain", "loudest", "--gain", 0, exit_code=2)
    assert "gain: expected a number above 0, got 0" in refused.output
    report = library.run(bundle, source, tmp_path / "y", explain="loudest", gain=5.0)
    assert report.explained == {"loudest": 60}
    assert '"gain": 5.0' in (tmp_path / "y" / "_job.json").read_text()
    assert "heard" not in pq.read_schema(next((tmp_path / "y").glob("part-*"))).names
