"""An audit of every row: what it finds beyond a sample, and that it goes on where it was killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.forging import edit_json, forge, with_column
from whyport.batch.review.checks import full, state
from whyport.batch.review.recompute import Recomputer
from whyport.runtime.errors import AuditError, OutputError, UsageError

ROWS = 400
PART = "part-00000-000000000100-000000000200.parquet"


@pytest.fixture(scope="module")
def made(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run over two inputs, with rejected rows in some batches."""
    folder = tmp_path_factory.mktemp("full")
    for name, seed in (("a", 0), ("b", 1)):
        values = np.random.default_rng(seed).normal(size=(3, ROWS))
        values[1, 5::40] = np.nan
        pq.write_table(pa.table(dict(zip("abc", values, strict=True))), folder / f"{name}.parquet")
    inputs = [folder / "a.parquet", folder / "b.parquet"]
    options: dict[str, Any] = {"explain": ["integrated-gradients", "gradient"], "explain_where": "source_row > 20"}
    whyport.run(bundle, inputs, folder / "out", batch_rows=50, part_rows=100, device="cpu", **options)
    return folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of the output."""
    return shutil.copytree(made, tmp_path / "out")


def audit(out: Path, **options: Any) -> str:
    """The last line of an audit of every row."""
    return whyport.audit(out, device="cpu", full=True, **options)[-1]


def test_every_row_is_computed_and_has_the_same_bits(out: Path, tmp_path: Path) -> None:
    said = audit(out)
    assert said.startswith("full      780 rows computed again, which are all, and 20 judged: probabilities within 0, ")
    assert "attributions of 1480 explanations within 0 logits, 0 logits per unit of the feature" in said
    assert audit(out, threads=1, state=tmp_path / "state.json") == said


def test_a_last_bit_is_found_where_the_arithmetic_is_the_same(out: Path) -> None:
    def moved(values: list[float]) -> list[float]:
        return [float(np.nextafter(np.float32(values[0]), np.float32(1))), *values[1:]]

    forge(out, with_column("probability.yes", moved), PART)
    whyport.audit(out, device="cpu", sample=1000)  # far below any tolerance
    with pytest.raises(AuditError, match="probability.yes: this machine's very bits: computed again it comes out"):
        audit(out)
    # By another arithmetic, rounding may separate them.
    other = {"outputs": "0", "integrated-gradients": "0", "gradient": "0"}
    edit_json(out / "_job.json", lambda job: job.update(arithmetic=[other]))
    for path in out.rglob("part-*.parquet"):
        metadata = dict(pq.read_metadata(path).metadata)
        description = json.loads(metadata[b"whyport"]) | {"arithmetic": other}
        table = pq.read_table(path, partitioning=None)
        own = {key: value for key, value in metadata.items() if key != b"ARROW:schema"}
        own[b"whyport"] = json.dumps(description).encode()
        pq.write_table(table.replace_schema_metadata(own), path)
    forge(out, lambda table: table, PART)
    assert "probabilities within 6e-08" in audit(out)


def test_the_one_row_that_a_sample_has_not_is_found(out: Path) -> None:
    forge(out, _other_share, PART)
    whyport.audit(out, device="cpu", sample=5)
    with pytest.raises(AuditError, match="computed again it comes out different, rows '150', in .*000000000100-"):
        audit(out)


def _other_share(table: pa.Table) -> pa.Table:
    """Row 150 with two shares exchanged, so that they still add up."""
    names = ("integrated-gradients.attribution.a", "integrated-gradients.attribution.c")
    at = table["source_row"].to_pylist().index(150)
    one, other = (table[name][at].as_py() for name in names)
    for name, value in zip(names, (other, one), strict=True):
        table = with_column(name, lambda v, value=value: [*v[:at], value, *v[at + 1 :]])(table)
    return table


class Killed(BaseException):
    """A kill, wherever it comes."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first row of every batch that is computed."""
    rows: list[int] = []
    scored = Recomputer.scored

    def recorded(self: Recomputer, batch: Any) -> Any:
        rows.append(batch.first_row)
        return scored(self, batch)

    monkeypatch.setattr(Recomputer, "scored", recorded)
    monkeypatch.setattr(state, "SECONDS", 0.0)
    return rows


@pytest.mark.parametrize("batches", [1, 2, 7, 8, 9, 15])
def test_it_goes_on_where_it_ended(
    out: Path, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    place = tmp_path / "state.json"
    whole = audit(out, state=tmp_path / "other.json")
    assert len(counted) == 2 * ROWS // 50
    counted.clear()
    compare = full._Part.compare

    def killed(self: Any, batch: Any, **options: Any) -> Any:
        if len(counted) == batches:
            raise Killed
        return compare(self, batch, **options)

    with monkeypatch.context() as once:
        once.setattr(full._Part, "compare", killed)
        with pytest.raises(Killed):
            audit(out, state=place)
    before = counted.copy()
    counted.clear()
    assert audit(out, state=place) == whole
    assert before + counted == [*range(0, ROWS, 50)] * 2
    counted.clear()
    assert audit(out, state=place) == whole  # and is then done
    assert not counted


def test_a_process_that_is_killed_leaves_a_whole_state(out: Path, tmp_path: Path) -> None:
    place = tmp_path / "state.json"
    program = (
        "import os, signal, whyport\n"
        "from whyport.batch.review.checks import state\n"
        "state.SECONDS, write, times = 0.0, state.StateFile.write, []\n"
        "def killing(self, position, **options):\n"
        "    write(self, position, **options)\n"
        "    times.append(1)\n"
        "    if len(times) == 6: os.kill(os.getpid(), signal.SIGKILL)\n"
        "state.StateFile.write = killing\n"
        f"whyport.audit({str(out)!r}, device='cpu', full=True, state={str(place)!r})\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, env=os.environ, cwd=Path.cwd())
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert json.loads(place.read_text())["done"] == 250
    assert audit(out, state=place) == audit(out)


def test_a_state_is_of_one_run_as_it_is(out: Path, tmp_path: Path) -> None:
    place = tmp_path / "state.json"
    audit(out, state=place)
    edit_json(out / "_report.json", lambda report: report["performance"].update(resumed_parts=1))
    with pytest.raises(UsageError, match="state: expected that of this run, as it is now, got that of another"):
        audit(out, state=place)
    place.write_text("{}")
    with pytest.raises(UsageError, match="state: expected what an audit has kept, got"):
        audit(out, state=place)


def test_where_a_state_may_be(out: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(out)
    for place in (out / "state.json", tmp_path / "link" / "state.json", out / "_rejected" / ".." / "state.json"):
        with pytest.raises(UsageError, match="state: expected a file outside .*, which has the run alone, got"):
            audit(out, state=place)
    with pytest.raises(OutputError, match="cannot write: No such file or directory"):
        audit(out, state=tmp_path / "nowhere" / "state.json")
    with pytest.raises(UsageError, match="state: it is for an audit of every row, expected full beside it"):
        whyport.audit(out, state=tmp_path / "state.json")
    with pytest.raises(UsageError, match="threads: expected at least 1, got 0"):
        audit(out, threads=0)


def test_a_rejected_row_that_can_be_scored_is_found(out: Path) -> None:
    forge(out, with_column("reason", lambda v: ["too old", *v[1:]]), f"_rejected/{PART}")
    with pytest.raises(AuditError, match="expected the reason \"column 'b': expected a finite number, got NaN\", got"):
        audit(out)
