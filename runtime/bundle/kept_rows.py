"""The rows of tables that a bundle keeps: its reference rows and its test vectors."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import PurePosixPath

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import CONFORMANCE, CONFORMANCE_JSON

PUBLIC_TABLE = "background_digest"
"""The setting, among a bundle's provenance, with the digest of the table that its rows are from."""


def kept_rows_line(bundle: Bundle) -> str:
    """How many rows a bundle keeps, in which files, and whose they are."""
    files = [f"{_counted(rows)} in {name}" for name, rows in _kept_rows(bundle)]
    origin = bundle.sidecar.provenance
    if origin.settings.get(PUBLIC_TABLE) not in (None, origin.data_digest):
        return f"{', '.join(files)}: of the table that was named for the background"
    return f"{', '.join(files)}: of the training data; every second test vector lies between two rows"


def _kept_rows(bundle: Bundle) -> Iterator[tuple[str, int | None]]:
    """The files with rows, each with how many it has; None where that is not known here."""
    sidecar = bundle.sidecar
    counted = {each.file: each.rows for each in sidecar.baselines if each.file is not None}
    yield from counted.items()
    for name in sidecar.files:
        if PurePosixPath(name).name.startswith(CONFORMANCE.partition(".")[0]) and name not in counted:
            yield name, None if name == CONFORMANCE_JSON else _rows_of(bundle.read_bytes(name))


def _rows_of(content: bytes) -> int | None:
    """The rows of a Parquet file; None where pyarrow is missing, or the file is none."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return None
    try:
        return int(pq.read_metadata(BytesIO(content)).num_rows)
    except (pa.ArrowException, OSError):
        return None


def _counted(rows: int | None) -> str:
    return "rows" if rows is None else f"{rows} rows" if rows != 1 else "1 row"
