"""The README's lines, run as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.pages import ROOT, blocks, mask_numbers
from whyport.runtime.bundle.folder import Bundle

README = ROOT / "README.md"
LINES = blocks(README, "bash")[0]
SHOWN = next(block for block in blocks(README, "") if block.startswith("today.parquet, row 7"))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that the README's last line prints, after all the others, in a fresh folder."""
    commands = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": commands + os.pathsep + os.environ["PATH"]}
    *before, last = LINES.splitlines()
    folder = tmp_path_factory.mktemp("readme")
    subprocess.run(["bash", "-euc", "\n".join(before)], cwd=folder, env=environment, check=True)
    done = subprocess.run(
        ["bash", "-euc", last], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def test_there_are_six_lines() -> None:
    assert len(LINES.splitlines()) == 6


@pytest.mark.slow
def test_the_lines_print_what_the_readme_shows(printed: list[str]) -> None:
    head, reasons, others = SHOWN.splitlines()[:3], SHOWN.splitlines()[3:-3], SHOWN.splitlines()[-2]
    assert list(map(mask_numbers, printed[:3])) == list(map(mask_numbers, head))
    assert mask_numbers(printed[-2]) == mask_numbers(others)
    assert printed[-1] == SHOWN.splitlines()[-1]
    for line in (*reasons, *printed[3:-2]):
        assert re.fullmatch(r" +[+-]\d\S*  [a-z ]+ = \d\S*", line)


@pytest.mark.slow
def test_the_equation_in_the_output_holds(printed: list[str]) -> None:
    score, base_value, attributions, error = map(float, re.findall(r"[+-]?\d[\d.e-]*", printed[2]))
    assert abs(score - base_value - attributions) < 2e-3
    assert error < 1e-4


def test_the_numbers_that_the_readme_shows_add_up() -> None:
    score, base_value, attributions, _ = map(float, re.findall(r"[+-]?\d[\d.e-]*", SHOWN.splitlines()[2]))
    assert abs(score - base_value - attributions) < 2e-3
    for number in ("+5.826", "+1.682", "+4.145", "1.1e-06"):
        assert number in SHOWN
        assert README.read_text(encoding="utf-8").count(number) == 2  # once in the output, once with its word


def test_the_python_lines_run(reference_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bundle").symlink_to(reference_bundle)
    monkeypatch.chdir(tmp_path)
    features = Bundle.read(reference_bundle).sidecar.columns
    names = {"frame": {feature.name: np.full(5, feature.statistics.median) for feature in features}}
    (program,) = blocks(README, "python")
    exec(program, names)
    assert names["probabilities"].shape == (5, 2)
    assert names["reasons"].shape == (5, len(features))
