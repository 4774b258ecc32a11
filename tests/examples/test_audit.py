"""examples/audit: a known change in the second month is found and named, and the run is what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from whyport import Bundle

HERE = Path(__file__).parents[2] / "examples" / "audit"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder after run.sh, and what it printed."""
    pytest.importorskip("fairlearn")
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("audit")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", HERE / "run.sh", folder], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_the_change_that_was_made_is_found_and_named(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    compared = (folder / "compare.txt").read_text()
    before, after = (pq.read_table(folder / "data" / f"{month}.parquet") for month in ("january", "february"))
    ratio = after["loan_to_value"].to_numpy().mean() / before["loan_to_value"].to_numpy().mean()
    assert 1.05 < ratio < 1.2
    alarms = [line for line in compared.splitlines() if "psi" in line.lower() and "0.25" in line]
    assert any("loan_to_value" in line for line in alarms), compared
    others = set(before.column_names) - {"application_id", "loan_to_value"}
    assert not any(name in line for line in alarms for name in others), alarms


def test_the_model_does_not_know_who_is_asking(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    names = Bundle.read(folder / "bundle").sidecar.columns
    assert not {"black", "application_id", "denied"} & {column.name for column in names}
    page = (folder / "february.html").read_text(encoding="utf-8")
    assert "demographic parity" in page


def test_every_row_is_computed_again_and_led_back(ran: tuple[Path, str]) -> None:
    _, printed = ran
    assert "440 rows computed again, which are all" in printed
    assert len(re.findall(r"verified now", printed)) >= 1
