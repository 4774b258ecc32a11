"""Files with truth that arrives later: keys and labels, as Parquet or CSV, one file or a folder of them."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from whyport.batch.source.names import HIDDEN
from whyport.batch.source.parquet import open_source
from whyport.runtime.errors import DataError, UsageError, listing, message_line
from whyport.runtime.paths import open_file
from whyport.runtime.store.path import Place, StorePath

SUFFIXES = (".parquet", ".csv")
BATCH_ROWS = 1 << 16
CSV_ROW_BYTES = 8
"""The fewest bytes of a row of a CSV file, from which the number of its rows is guessed."""


class LabelFiles:
    """The labels behind a path.

    Args:
        place: a Parquet or CSV file, or a folder of them, on this machine or in a store.

    Raises UsageError where there is none, DataError for one that cannot be read.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._files = _files(place)
        if not self._files:
            raise UsageError(f"labels: expected a file *.parquet or *.csv, or a folder of them, got {str(place)!r}")

    @property
    def names(self) -> list[str]:
        """The columns of the first file."""
        first = self._files[0]
        if not _is_csv(first):
            return list(open_source(first).schema.names)
        with _errors_of(first), open_file(first) as file, pyarrow.csv.open_csv(file) as reader:
            return list(reader.schema.names)

    @property
    def most_rows(self) -> int:
        """The number of rows at most; a guess for CSV files, by their size."""
        return sum(f.stat().st_size // CSV_ROW_BYTES if _is_csv(f) else open_source(f).rows for f in self._files)

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
        """All rows with these columns, each batch with its file's name; the columns of a CSV file are texts."""
        for path in self._files:
            if _is_csv(path):
                yield from ((str(path), batch) for batch in _csv_batches(path, columns))
                continue
            file = open_source(path)
            lacking = [name for name in columns if name not in file.schema.names]
            if lacking:
                raise _lacking(lacking, path)
            yield from ((str(path), batch) for _, batch in file.batches(columns, BATCH_ROWS))


def number_texts(column: pa.Array, name: str, place: str) -> pa.Array:
    """Numbers from the texts of a CSV file; raises DataError for a text that is none."""
    try:
        return pc.cast(pc.utf8_trim_whitespace(column), pa.float64())
    except pa.ArrowException as error:
        raise DataError(f"column {name!r}: expected numbers: {message_line(error)}, in {place}") from None


class _errors_of:  # noqa: N801
    """Errors of Arrow about a file as errors of ours."""

    def __init__(self, path: Place) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, pa.ArrowException | OSError | UnicodeDecodeError):
            raise DataError(f"cannot read: {message_line(error)}, in {self._path}") from None


def _csv_batches(path: Place, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    options = pyarrow.csv.ConvertOptions(
        include_columns=list(columns),
        column_types=dict.fromkeys(columns, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with _errors_of(path), open_file(path) as file:
        try:
            reader = pyarrow.csv.open_csv(file, parse_options=parsing, convert_options=options)
        except KeyError:
            raise _lacking(columns, path) from None
        with reader:
            yield from reader


def _lacking(columns: Sequence[str], path: Place) -> DataError:
    return DataError(f"expected the columns {listing(columns)}, got others, in {path}")


def _is_csv(path: Place) -> bool:
    return path.name.lower().endswith(".csv")


def _files(place: Place) -> list[Place]:
    if not place.is_dir():
        return [place] if place.name.lower().endswith(SUFFIXES) and place.is_file() else []
    in_store = isinstance(place, StorePath)
    inside = (path for path, _ in place.walk_files()) if isinstance(place, StorePath) else place.rglob("*")
    found: list[Place] = []
    for path in inside:
        is_hidden = any(part.startswith(HIDDEN) for part in path.relative_to(place).parts)
        if path.name.lower().endswith(SUFFIXES) and not is_hidden and (in_store or path.is_file()):
            found.append(path)
    return sorted(found)
