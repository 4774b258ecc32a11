from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from support.command import Whyport
from support.shown import describe_row
from whyport import audit
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError

Write = Callable[..., Path]


@pytest.fixture
def score(bundle: Path, tmp_path: Path) -> Callable[..., Path]:
    def score(*inputs: Path, **settings: Any) -> Path:
        job = JobSettings(inputs=tuple(map(str, inputs)), out=tmp_path / "out", device="cpu", **settings)
        Job(Bundle.read(bundle), job).run()
        return job.out

    return score


@pytest.fixture
def source(write: Write) -> Path:
    # f(x) = (x0 - 2 x1 + x2 / 2 + 0.5, x0 / 4 + 3 x1 - x2 - 0.25)
    return write(pa.table({"id": ["p", "q"], "a": [4.0, 1.0], "b": [1.0, None], "c": [-2.0, 1.0]}))


def test_reasons_stand_strongest_first(score: Callable[..., Path], source: Path) -> None:
    out = score(source, keep=("id",), methods=("input-x-gradient",))
    assert describe_row(out, 0, None, 2) == [
        f"{source.as_posix()}, row 0",
        "kept        id = p",
        f"prediction  yes (yes {describe_chances()})",
        "input-x-gradient, class yes: score +5.75 = base -0.25 + attributions +6 (off by 0 logits, converged)",
        "            +3  b = 1",
        "            +2  c = -2",
        "            +1  1 others together",
        "base value  the score where every number is 0",
    ]


def test_values_that_python_cannot_hold_are_shown_and_audited(score: Callable[..., Path], write: Write) -> None:
    days, spans = pa.array([10**7, None], pa.int32()).cast(pa.date32()), pa.array([10**18, 1], pa.duration("s"))
    numbers = {"a": [4.0, 1.0], "b": [1.0, 2.0], "c": [-2.0, 1.0]}
    out = score(write(pa.table({"day": days, "span": spans} | numbers)), keep=("day", "span"))
    assert describe_row(out, 0, None, 2)[1:3] == [
        "kept        day = date32[day] 10000000",
        "kept        span = duration[s] 1000000000000000000",
    ]
    assert describe_row(out, 1, None, 2)[1:3] == ["kept        day = None", "kept        span = 0:00:01"]
    audit(out)


def describe_chances() -> str:
    logits = np.array([4 - 2 - 1 + 0.5, 1 + 3 + 2 - 0.25])
    no, yes = np.exp(logits) / np.exp(logits).sum()
    return f"{yes:.4g}, no {no:.4g}"


def test_a_rejected_row_says_why(score: Callable[..., Path], source: Path) -> None:
    lines = describe_row(score(source), 1, None, 10)
    assert lines[1:] == ["rejected    column 'b': expected a finite number, got null"]


def test_a_method_that_does_not_add_up_claims_no_sum(score: Callable[..., Path], source: Path) -> None:
    lines = describe_row(score(source, methods=("gradient", "input-x-gradient"), explain_target="all"), 0, None, 10)
    assert [line.split(":")[0] for line in lines if "class" in line] == [
        "gradient, class no",
        "gradient, class yes",
        "input-x-gradient, class no",
        "input-x-gradient, class yes",
    ]
    assert "gradient, class yes: score +5.75" in lines
    assert lines[lines.index("gradient, class yes: score +5.75") + 1] == "            +3  b = 1"


def test_ranks_are_shown_by_their_targets(score: Callable[..., Path], source: Path) -> None:
    lines = describe_row(score(source, methods=("gradient",), explain_target="top:2"), 0, None, 10)
    assert [line for line in lines if "class" in line] == [
        "gradient, class yes: score +5.75",
        "gradient, class no: score +1.5",
    ]


def test_of_several_inputs_one_is_chosen(score: Callable[..., Path], write: Write, table: pa.Table) -> None:
    one, two = write(table, "day/one.parquet"), write(table.slice(500), "two.parquet")
    out = score(one, two, keep=("id",), part_rows=100, batch_rows=100)
    with pytest.raises(UsageError, match="the run has 2 inputs: choose one with --file"):
        describe_row(out, 0, None, 10)
    assert describe_row(out, 399, "two.parquet", 10)[1] == "kept        id = r899"
    assert describe_row(out, 399, one.as_posix(), 10)[1] == "kept        id = r399"
    with pytest.raises(UsageError, match=r"unknown input 'wo.parquet'; known: "):
        describe_row(out, 0, "wo.parquet", 10)
    with pytest.raises(UsageError, match=r"row: expected less than 500, got 500, in .*two\.parquet"):
        describe_row(out, 500, "two.parquet", 10)


def test_a_row_is_found_in_its_row_group(
    score: Callable[..., Path], write: Write, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whyport.batch.output.writer.ROW_GROUP_ROWS", 100)
    out = score(write(table), keep=("id",), batch_rows=50)
    assert {describe_row(out, row, None, 1)[1] for row in (0, 99, 100, 567, 999)} == {
        f"kept        id = r{row}" for row in (0, 99, 100, 567, 999)
    }


@pytest.mark.parametrize("settings", [{"layout": "list"}, {"top_k": 3}, {"top_k": 9}])
def test_every_layout_reads_the_same(score: Callable[..., Path], source: Path, settings: dict[str, Any]) -> None:
    wide = describe_row(score(source, methods=("input-x-gradient",)), 0, None, 2)
    assert describe_row(score(source, methods=("input-x-gradient",), overwrite=True, **settings), 0, None, 2) == wide


def test_what_was_not_kept_is_told_from_the_sum(score: Callable[..., Path], source: Path) -> None:
    out = score(source, methods=("input-x-gradient", "gradient"), top_k=1)
    assert describe_row(out, 0, None, 2)[2:] == [
        "input-x-gradient, class yes: score +5.75 = base -0.25 + attributions +6 (off by 0 logits, converged)",
        "            +3  b = 1",
        "            +3  2 others together",
        "gradient, class yes: score +5.75",
        "            +3  b = 1",
        "                2 others",
        "base value  the score where every number is 0, of input-x-gradient",
    ]


def test_a_row_that_was_not_explained_says_so(score: Callable[..., Path], source: Path) -> None:
    out = score(source, methods=("deepshap",), explain_where="probability.no > 0.5", explain_fraction=0.5)
    assert describe_row(out, 0, None, 2)[2:] == [
        "explained   not by deepshap: the run explained a share of 0.5 of the rows where probability.no > 0.5 alone"
    ]


def test_the_command_prints_a_row(whyport: Whyport, score: Callable[..., Path], source: Path) -> None:
    out = score(source, methods=("deepshap",))
    output = whyport("show", out, "--row", 0, "--top", 1).output
    assert "\nprediction  yes (yes 0.9" in output
    assert "2 others together" in output
    assert "error: row: expected less than 2" in whyport("show", out, "--row", 2, exit_code=2).output


def test_a_value_stands_with_its_standard_error(score: Callable[..., Path], source: Path) -> None:
    lines = describe_row(score(source, methods=("shapley",)), 0, None, 1)
    assert "          +2.8 ± 0  c = -2" in lines


def test_without_the_input_the_values_are_not_shown(score: Callable[..., Path], source: Path) -> None:
    out = score(source, methods=("input-x-gradient",))
    source.unlink()
    lines = describe_row(out, 0, None, 1)
    assert lines[-4:-2] == ["            +3  b", "            +3  2 others together"]
    assert lines[-1].startswith("values      not shown: expected a Parquet file")
