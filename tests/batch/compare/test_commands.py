"""The command: its formats, its alarms and its refusals."""

import json
import re
from pathlib import Path

import pytest

import whyport as library
from support.command import Whyport
from whyport.batch.compare.alarms import ALARMS, parse_limits
from whyport.runtime.errors import UsageError


def test_the_text_says_what_moved_and_what_is_not_matched(
    whyport: Whyport, first_night: Path, second_night: Path
) -> None:
    lines = whyport("compare", first_night, second_night, "--top", 2).output.splitlines()
    assert lines[0] == f"A           {first_night}, 600 rows"
    assert any("rows are not matched, only distributions are compared" in line for line in lines)
    inputs = lines.index("inputs, the one that moved most first")
    assert lines[inputs + 2].split()[0] == "b"
    assert "  the first 2 of 3" in lines
    matched = whyport("compare", first_night, second_night, "--key", "id", "--rows", 2).output
    assert "matched by  id: 550 rows in both" in matched
    assert "only distributions" not in matched


def test_json_has_every_figure(whyport: Whyport, first_night: Path, second_night: Path) -> None:
    told = whyport("compare", first_night, second_night, "--key", "id", "--top", 1, "--format", "json").stdout
    (found,) = json.loads(told)["comparisons"]
    assert [len(each["features"]) for each in found["explanations"]] == [3, 3]
    assert len(found["inputs"][0]["shares_a"]) == len(found["inputs"][0]["bins"]) == 11
    assert found["matched"]["pairs"] == 550
    assert found["matched"]["explanations"][0]["changed"][0]["reasons"][0].keys() == {"feature", "share_a", "share_b"}
    markdown = whyport("compare", first_night, second_night, "--format", "markdown").output
    assert "| b |" in markdown


def test_an_alarm_exits_with_3(whyport: Whyport, first_night: Path, second_night: Path) -> None:
    told = whyport("compare", first_night, second_night, "--fail-over", "psi-inputs=0.1", exit_code=3).output
    assert "psi-inputs" in told
    assert "inputs: b" in told
    whyport("compare", first_night, second_night, "--fail-over", "psi-inputs=0.9,changed=0,missing=0")
    several = f"psi=0.1,unmatched=5%,shift=100%,rank={10}"
    told = whyport("compare", first_night, second_night, "--key", "id", "--fail-over", several, exit_code=3).output
    assert "unmatched" in told
    assert "shift" not in told.split("predictions")[0]


def test_a_line_over_nights(whyport: Whyport, first_night: Path, second_night: Path) -> None:
    told = whyport("compare", first_night, first_night, second_night, "--fail-over", "psi=0.15", exit_code=3).output
    lines = told.splitlines()
    assert lines[0] == f"each run beside A, {first_night}"
    assert [line.split()[:3] for line in lines[2:4]] == [
        [str(first_night), "600", "0.0000"],
        [str(second_night), "580", lines[3].split()[2]],
    ]
    assert lines[3].endswith("psi")
    assert lines[2].endswith("-")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("psy=1", r"unknown alarm 'psy' \(did you mean 'psi'\?\); known: 'psi', 'psi-inputs'"),
        ("psi", "expected NAME=LIMIT, such as psi=0.25, got 'psi'"),
        ("psi=-1", "expected a limit of at least 0 for 'psi', got -1"),
        ("psi=x", "expected NAME=LIMIT"),
        ("psi=1,psi=2", "expected one limit for 'psi', got several"),
        ({"psi": "0.25"}, "expected a limit of at least 0 for 'psi', got '0.25'"),
        ({"psi": True}, "expected a limit of at least 0"),
    ],
)
def test_wrong_limits_are_refused(given: object, message: str) -> None:
    with pytest.raises(UsageError, match=f"fail_over: {message}"):
        parse_limits(given)  # type: ignore[arg-type]


def test_limits_are_read() -> None:
    assert parse_limits("psi=0.25, shift = 5%") == {"psi": 0.25, "shift": 0.05}
    assert parse_limits({"rank": 3}) == {"rank": 3.0}
    assert parse_limits(None) == {}


def test_wrong_sides_are_one_line(whyport: Whyport, first_night: Path, bundle: Path, tmp_path: Path) -> None:
    wrong = [
        ((tmp_path, first_night), "expected the output folder of a run, which has a _job.json, or a bundle"),
        ((first_night, tmp_path), "expected the output folder of a run, got "),
        ((first_night, bundle), "name it first"),
        ((first_night, first_night, "--fail-over", "psy=1"), "unknown alarm 'psy'"),
    ]
    for arguments, message in wrong:
        told = whyport("compare", *arguments, exit_code=2)
        assert message in told.stderr
        assert len(told.stderr.splitlines()) == 1
    whyport("compare", first_night, exit_code=2)


def test_every_alarm_is_in_the_table_of_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `whyport compare` \| `--fail-over ([a-z-]+)=` \|", page, re.MULTILINE)
    assert rows == list(ALARMS)


def test_one_side_is_refused(first_night: Path) -> None:
    with pytest.raises(UsageError, match="expected at least two sides to compare, got one"):
        library.compare(first_night)
