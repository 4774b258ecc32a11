"""What docs/sequences.md says of rows of varying length, done."""

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

import whyport
from support.pages import ROOT
from support.varying_bundle import ROWS, lengths
from whyport.exporter.data.input_choice import InputChoice

SECTION = (
    (ROOT / "docs" / "sequences.md").read_text(encoding="utf-8").split("## Rows of varying length")[1].split("\n## ")[0]
)
PYTHON = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)


def test_padding_changes_nothing_that_the_module_says() -> None:
    made: dict[str, Any] = {}
    exec(PYTHON[0], made)
    torch.manual_seed(0)
    module, visits, static = made["make"]().eval(), torch.randn(3, 4, 2), torch.randn(3, 2)
    short = module(visits, torch.ones(3, 4, dtype=torch.uint8), static)
    padded = torch.cat([visits, torch.randn(3, 4, 2)], 1)
    mask = torch.tensor([1] * 4 + [0] * 4, dtype=torch.uint8).expand(3, 8)
    torch.testing.assert_close(module(padded, mask, static), short)


def test_the_inputs_of_the_command_are_what_the_module_takes() -> None:
    visits, static = (InputChoice.parse(text) for text in re.findall(r'--input "([^"]*)"', SECTION))
    assert (visits.name, visits.counts("buckets")) == ("visits", (8, 32, 128))
    assert (static.name, static.columns) == ("static", ("age", "dose"))


def test_the_snippet_reads_every_row_with_its_own_steps(
    varying_bundle: Path,
    varying_rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    whyport.run(varying_bundle, varying_rows, "scored", explain="gradient")
    exec(PYTHON[1], {"pyarrow": __import__("pyarrow.parquet")})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(int(row), int(step)) for row, step, *_ in lines] == [
        (row, step) for row, steps in enumerate(lengths(ROWS)) for step in range(steps)
    ]
    (part,) = Path("scored").glob("part*.parquet")
    expected = pq.read_table(part)["attribution.visits"].to_pylist()
    assert [list(map(float, shares)) for _, _, *shares in lines] == [shares for row in expected for shares in row]
