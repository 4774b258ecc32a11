"""The nightly script of docs/operations.md does what it says: it is taken from the page, and run night after night."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import whyport
from support.bundles import linear_bundle

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
(SCRIPT,) = [
    each for each in re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if "nightly.sh" in each
]


class Machine:
    """The script's folders, its clock, and its mail."""

    def __init__(self, folder: Path) -> None:
        self.incoming, self.scored, self.mail = folder / "incoming", folder / "scored", folder / "mail.txt"
        self.incoming.mkdir()
        linear_bundle(folder / "bundle")
        self._folder = folder
        self.tool("mail", f'cat >> "{self.mail}"')
        self.tool("sleep", "true")
        self.tool("whyport", f'exec "{Path(sys.executable).parent / "whyport"}" "$@"')
        self._rows = 0

    def tool(self, name: str, script: str) -> None:
        """Put a program before this machine's own of that name."""
        path = self._folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{script}\n")
        path.chmod(0o755)

    def come(self, name: str, rows: int = 9) -> bytes:
        """A file of rows that nobody has seen before."""
        ids = np.arange(self._rows, self._rows + rows)
        self._rows += rows
        columns = dict(zip("abc", np.random.default_rng(self._rows).normal(size=(rows, 3)).T, strict=True))
        path = self.incoming / name
        pq.write_table(pa.table({"customer_id": ids, **columns}), path)
        return path.read_bytes()

    def night(self, day: str) -> int:
        """Run the script; returns its exit code."""
        self.tool("date", f"echo {day}")
        script = SCRIPT.replace("/opt/scoring/venv/bin", str(self._folder / "bin"))
        script = script.replace("/opt/scoring", str(self._folder)).replace("/data", str(self._folder))
        script = script.replace("--explain deepshap", "--explain gradient --batch-rows 4 --part-rows 4")
        path = os.pathsep.join([str(self._folder / "bin"), os.environ["PATH"]])
        environment = os.environ | {"PATH": path, "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.run(["bash", "-c", script], env=environment, capture_output=True).returncode

    def ids(self) -> Counter[int]:
        """How often each row is in the folders with _SUCCESS."""
        folders = [success.parent for success in self.scored.glob("*/_SUCCESS")]
        tables = [pq.read_table(part, columns=["customer_id"]) for each in folders for part in each.rglob("part-*")]
        return Counter(number for table in tables for number in table["customer_id"].to_pylist())


def test_nights(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.come("a.parquet")
    assert machine.night("2026-11-25") == 0
    whole = machine.come("b.parquet")
    (machine.incoming / "b.parquet").write_bytes(whole[:-9])  # still being written
    machine.come("c.parquet", 40)
    assert machine.night("2026-11-26") == 4
    assert machine.mail.read_text() == "scoring of 2026-11-26: exit code 4\n"
    whyport.audit(machine.scored / "2026-11-26")
    (machine.incoming / "b.parquet").write_bytes(whole)
    (machine.incoming / "a.parquet").rename(machine.incoming / "old-a.parquet")
    assert machine.night("2026-11-27") == 0
    assert machine.night("2026-11-28") == 0
    assert not (machine.scored / "2026-11-28").exists()
    assert machine.ids() == Counter(range(58))


KILLED = """
import os, signal
from whyport.batch.output.writer import PartWriter
from whyport.cli import main

publish = PartWriter.publish

def publish_and_die(self):
    publish(self)
    os.rename({late!r}, {incoming!r})
    os.kill(os.getpid(), signal.SIGKILL)

if os.path.exists({late!r}):
    PartWriter.publish = publish_and_die
main()
"""


def test_a_night_that_is_killed_is_tried_again(tmp_path: Path) -> None:
    """The first attempt leaves one part, and a file comes before the second."""
    machine = Machine(tmp_path)
    machine.come("a.parquet", 40)
    machine.come("b.parquet")
    (machine.incoming / "b.parquet").rename(tmp_path / "late.parquet")
    program = tmp_path / "killed.py"
    program.write_text(KILLED.format(late=str(tmp_path / "late.parquet"), incoming=str(machine.incoming / "b.parquet")))
    machine.tool("whyport", f'exec "{sys.executable}" "{program}" "$@"')
    assert machine.night("2026-11-25") == 0
    report = json.loads((machine.scored / "2026-11-25" / "_report.json").read_text())
    assert (report["rows_in"], report["performance"]["resumed_parts"]) == (40, 1)
    assert machine.night("2026-11-26") == 0
    assert machine.ids() == Counter(range(49))
    assert not machine.mail.exists()
