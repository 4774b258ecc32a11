"""The command as a process: closed and broken standard streams, and its end."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

COMMAND = f"{sys.executable} -m whyport"


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sklearn.datasets import load_breast_cancer

    path = tmp_path_factory.mktemp("process") / "patients.csv"
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).data
    frame.to_csv(path, index=False)
    return path


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash; its exit code is the command's, not that of a reader behind it."""
    ended = f"set -o pipefail; {line}"
    return subprocess.run(["bash", "-c", ended], capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize(
    ("arguments", "streams", "exit_code", "error"),
    [
        ("inspect nowhere", "2>&-", 1, ""),
        ("inspect nowhere", "2>/dev/full", 1, ""),
        ("inspect nowhere", "0<&- 1>&- 2>&-", 1, ""),
        ("run --no-such-option", "2>&-", 2, ""),
        ("methods", "2>&-", 0, ""),
        ("methods", "1>&-", 0, ""),
        ("methods", "1>/dev/full", 1, "error: No space left on device\n"),
        ("--help", "1>/dev/full", 1, "error: No space left on device\n"),
        ("--help", "1>&- 2>&-", 0, ""),
    ],
)
def test_a_stream_that_is_closed_or_full_costs_no_traceback(
    arguments: str, streams: str, exit_code: int, error: str
) -> None:
    done = shell(f"{COMMAND} {arguments} {streams}")
    assert (done.returncode, done.stderr) == (exit_code, error)


def test_predictions_are_not_dropped_in_silence(reference_bundle: Path, patients: Path) -> None:
    predict = f"{COMMAND} predict {reference_bundle} {patients}"
    closed = shell(f"{predict} 1>&-")
    assert closed.returncode == 2
    assert closed.stderr == "error: stdout: expected an open stream, got a closed one; --out names a file instead\n"
    full = shell(f"{predict} 1>/dev/full")
    assert (full.returncode, full.stderr) == (1, "error: No space left on device\n")
    cut = shell(f"{predict} | head -2")  # far more than a pipe holds
    assert (cut.returncode, cut.stderr, cut.stdout.count("\n")) == (0, "", 2)


def test_a_file_of_the_run_is_never_taken_for_a_closed_stream(tmp_path: Path) -> None:
    """Whatever a library says on descriptor 2 would be written into it."""
    program = (
        "import os, sys; from whyport.process import prepare_streams; prepare_streams(); "
        "file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); assert file > 2, file"
    )
    for closed in ("2>&-", "1>&-", "0<&-", "0<&- 2>&-", "0<&- 1>&- 2>&-"):
        assert shell(f"{sys.executable} -c '{program}' {tmp_path / 'file'} {closed}").returncode == 0, closed


IMPORTED = """
import sys
from whyport.cli import main
try:
    main(sys.argv[1:], standalone_mode=False)
finally:
    print([name for name in ("torch", "onnx", "onnxruntime") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("run {bundle} {table} --out {out} --explain deepshap --keep id,zip", ["mean radius, ", "id, zip (2 of 2)"]),
        ("run {bundle} {table} --out {out} --explain deepshap --top-k 0", ["top_k"]),
        ("train {table} --target diagnosis --features age,size --out {out}", ["diagnosis, age, size (3 of 3)"]),
        ("train {table} --target x --dates week --out {out}", ["--dates: expected feature columns, got week"]),
        ("export model.onnx --sample {table} --exclude x --out {out}", ["text, day (2 of 2; string, date32[day])"]),
        ("export model:make --sample {table} --out {table}", ["exists; --overwrite replaces it"]),
    ],
)
def test_what_costs_nothing_is_checked_before_pytorch_starts(
    reference_bundle: Path, tmp_path: Path, command: str, named: list[str]
) -> None:
    table = tmp_path / "table.parquet"
    pq.write_table(pa.table({"x": [0, 1], "text": ["a", "b"], "day": [date(2026, 1, 1)] * 2}), table)
    arguments = command.format(bundle=reference_bundle, table=table, out=tmp_path / "out").split()
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode in (1, 2)
    assert done.stdout == "[]\n"
    assert all(each in done.stderr for each in named), done.stderr
    assert not (tmp_path / "out").exists()


ENDING = """
import os, sys
class Crash:
    def __del__(self):
        os.abort()  # as a destructor that meets a thread which is still at work
sys.crash = Crash()
from whyport.cli import main
main()
"""


@pytest.mark.parametrize(("arguments", "exit_code"), [(["methods"], 0), (["inspect", "nowhere"], 1), (["none"], 2)])
def test_no_destructor_ends_the_process_by_a_signal(arguments: list[str], exit_code: int) -> None:
    done = subprocess.run([sys.executable, "-c", ENDING, *arguments], capture_output=True, check=False)
    assert done.returncode == exit_code
    assert bool(done.stdout) == (exit_code == 0)


def test_a_character_that_the_terminal_lacks_is_escaped() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    program = "import sys; from whyport.process import run_command; run_command(lambda: print('M\\u00fcnchen'))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    assert done.stdout == b"M\\xfcnchen\n"
