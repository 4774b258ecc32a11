"""The output folder of a run: empty or replaced at the start, `_SUCCESS` at the end."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from runtime.errors import UsageError

JOB_FILE = "_job.json"
SUCCESS_FILE = "_SUCCESS"
REJECTED_FOLDER = "_rejected"


def check_folder(out: Path, overwrite: bool) -> None:
    """Check that a run may write here; UsageError where it would mix with or destroy other files."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"expected a folder for the output, got the file {str(out)!r}")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / JOB_FILE).exists():
        raise UsageError(f"{str(out)!r} is not empty and holds no earlier run ({JOB_FILE}): choose another folder")
    if not overwrite:
        raise UsageError(f"{str(out)!r} holds an earlier run; --overwrite replaces it")


def clear_folder(out: Path) -> None:
    """Make the folder, or remove what an earlier run left in it and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    (out / SUCCESS_FILE).unlink(missing_ok=True)
    for path in (*out.glob("part-*.parquet"), *out.glob(".part-*.parquet.tmp")):
        path.unlink()
    shutil.rmtree(out / REJECTED_FOLDER, ignore_errors=True)
    (out / JOB_FILE).unlink(missing_ok=True)


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
