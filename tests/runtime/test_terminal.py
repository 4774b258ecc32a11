"""Foreign text on a terminal: nothing in it steers the terminal, or passes for a line of its own."""

import json
import logging
import sys
import unicodedata
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.bundles import linear_bundle
from support.command import Whyport
from whyport.batch.run.watch import JsonFormatter
from whyport.runtime.terminal import LineFormatter, escaped, escaped_json

HOSTILE = [
    "\x1b[31mred",
    "\x9b31mred",
    "\x1b]0;title\x07",
    "a\nerror: none",
    "a\n  error: none",
    "a\rerror",
    "\u202eevil",
    "\u2066evil\u2069",
    "a\u2028b",
    "a\u2029b",
    "\x7f\x08\x00",
    "\udcff",
    "a\u200bb",
]
FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def assert_harmless(text: str) -> None:
    bad = [each for each in text if unicodedata.category(each) in FORBIDDEN and each != "\n"]
    assert not bad, (bad, text)


def test_every_character_that_is_not_printed_is_escaped_and_no_other() -> None:
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        if unicodedata.category(character) in FORBIDDEN:
            assert escaped(character).isascii(), hex(number)
            assert escaped(character).startswith("\\"), hex(number)
    for text in ("Müller \\ 'a' \"b\"", "日本語", "√2 ≤ x", "mean radius"):
        assert escaped(text) == text
    assert escaped("a\x1b[31m\n\u202e\udcff") == r"a\x1b[31m\n\u202e\udcff"


@pytest.mark.parametrize("text", [*HOSTILE, "Müller", "\U000e0041 tag", 'quote " \\ and \t'])
def test_escaped_json_says_the_same(text: str) -> None:
    document = json.dumps({text: [text, {"a": text}]}, ensure_ascii=False, indent=2)
    shown = escaped_json(document)
    assert json.loads(shown) == json.loads(document)
    assert_harmless(shown)
    assert escaped_json('{"ä": "日本"}') == '{"ä": "日本"}'


@pytest.mark.parametrize("text", HOSTILE)
def test_a_log_record_is_one_line(text: str) -> None:
    record = logging.makeLogRecord({"msg": "column %s", "args": (text,), "levelname": "INFO"})
    for formatter in (LineFormatter("%(levelname)s %(message)s"), JsonFormatter()):
        shown = formatter.format(record)
        assert_harmless(shown)
        assert "\n" not in shown


def test_a_traceback_in_the_log_keeps_its_lines() -> None:
    try:
        raise ValueError("a defect")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    assert LineFormatter("%(message)s").format(record).splitlines()[:2] == [
        "failed",
        "Traceback (most recent call last):",
    ]


def test_no_command_passes_foreign_text_on(whyport: Whyport, tmp_path: Path) -> None:
    bundle = linear_bundle(tmp_path / "bundle\x1b[35m")
    features = {name: [float(i), 1.0, None] for i, name in enumerate("abc")}
    others = {"k\x1b[1m": ["v\x07", "\r", ""], "\u202eb\nerror: b": [1, 2, 3]}
    table = pa.table(features | others)
    pq.write_table(table, tmp_path / "in\x1b[32m.parquet")
    pq.write_table(table.drop_columns("b"), tmp_path / "lacks.parquet")
    pd.DataFrame({"\x1b[1mother": [1.0]}).to_csv(tmp_path / "other.csv", index=False)
    source, out = tmp_path / "in\x1b[32m.parquet", tmp_path / "out\x1b[33m"
    keep = ["--keep", "k\x1b[1m", "--keep", "\u202eb\nerror: b"]
    results = [
        whyport("inspect", bundle),
        whyport("inspect", bundle, "--json"),
        whyport("verify", bundle),
        whyport("run", bundle, source, "--out", out, "--explain", "shapley", *keep, "--dry-run"),
        whyport("run", bundle, source, "--out", out, "--explain", "shapley", *keep),
        whyport("run", bundle, source, "--out", out, "--log-format", "json", exit_code=2),
        whyport("run", bundle, source, "--out", out, exit_code=2),
        whyport("run", bundle, tmp_path / "lacks.parquet", "--out", tmp_path / "2", exit_code=1),
        whyport("audit", out),
        whyport("show", out, "--row", "0"),
        whyport("show", out, "--row", "7", exit_code=2),
        whyport("predict", bundle, tmp_path / "other.csv", exit_code=1),
        whyport("inspect", tmp_path / "no\x1b[0m\nbundle", exit_code=1),
    ]
    for result in results:
        assert_harmless(result.output)
        assert "error: b" not in result.output.splitlines()
