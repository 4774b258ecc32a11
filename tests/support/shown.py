"""Rows of a run in words."""

from pathlib import Path

from whyport import show


def describe_row(out: Path, row: int, file: str | None, top: int) -> list[str]:
    """One row of a run, as `whyport show` prints it."""
    return show(out, row, file=file, top=top)
