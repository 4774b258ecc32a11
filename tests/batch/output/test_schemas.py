"""Whatever the Arrow types, row groups and names of a file: every row comes out right, once, and a resumed run too."""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.bundles import linear_bundle, logits_of, softmax
from support.interruptions import StopAfter
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.batch.store.local import Disk
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import InterruptedJobError

# One name holds another, and a dot, as nested columns do in Parquet.
FEATURES = ("größe", "größe.cm", "a b'\"%")

NUMBERS = st.integers(0, 100)
REALS = st.one_of(NUMBERS.map(float), st.sampled_from([math.nan, math.inf, -math.inf, 0.5]), st.floats(-9, 9, width=16))
TRUTHS = st.booleans()
FEATURE_TYPES = {
    pa.int8(): NUMBERS,
    pa.uint8(): NUMBERS,
    pa.int16(): NUMBERS,
    pa.int64(): NUMBERS,
    pa.uint64(): NUMBERS,
    pa.float16(): REALS,
    pa.float32(): REALS,
    pa.float64(): REALS,
    pa.bool_(): TRUTHS,
    pa.decimal128(12, 2): NUMBERS,
    pa.null(): st.none(),
    pa.dictionary(pa.int8(), pa.int32()): NUMBERS,
    pa.dictionary(pa.int32(), pa.float64()): REALS,
}
TEXTS = st.text(alphabet="aäβ漢 .", max_size=4)
KEPT_TYPES = {
    pa.string(): TEXTS,
    pa.large_string(): TEXTS,
    pa.binary(): st.binary(max_size=3),
    pa.binary(2): st.binary(min_size=2, max_size=2),
    pa.int32(): NUMBERS,
    pa.float32(): st.floats(width=32, allow_nan=False),
    pa.bool_(): TRUTHS,
    pa.date32(): st.dates(),
    pa.timestamp("us", tz="Europe/Vienna"): st.integers(0, 2**40),
    pa.time64("us"): st.times(),
    pa.decimal128(9, 2): st.integers(0, 1000),
    pa.null(): st.none(),
    pa.list_(pa.string()): st.lists(TEXTS, max_size=2),
    pa.struct([("x", pa.float64()), ("y", pa.list_(pa.int8()))]): st.fixed_dictionaries(
        {"x": st.none() | st.floats(allow_nan=False), "y": st.lists(NUMBERS, max_size=2)}
    ),
    pa.dictionary(pa.int8(), pa.string()): TEXTS,
    pa.dictionary(pa.int32(), pa.string(), ordered=True): TEXTS,
    pa.dictionary(pa.int16(), pa.int64()): NUMBERS,
}
KEPT_NAMES = ("id", "id.x", "größe.x", "日付", "attribution", "Prediction")
MAX_ROWS = 40


class UnsyncedDisk(Disk):
    """Faster, and no power is cut here."""

    def sync(self, descriptor: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


def column(draw: st.DrawFn, kind: pa.DataType, values: st.SearchStrategy[Any], rows: int) -> pa.Array:
    drawn = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
    if isinstance(kind, pa.DictionaryType):
        # Not every way of making an array makes a dictionary of it.
        encoded = pa.array(drawn, kind.value_type).dictionary_encode()
        indices = encoded.indices.cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, encoded.dictionary, ordered=kind.ordered)
    if kind == pa.float16():
        return pa.array([None if value is None else np.float16(value) for value in drawn], kind)
    return pa.array(drawn, kind)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table with the features, kept columns, and others of which two have the same name."""
    rows = draw(st.integers(0, MAX_ROWS))
    names: list[str] = []
    arrays = []
    for name in draw(st.permutations([*FEATURES, *draw(st.sets(st.sampled_from(KEPT_NAMES), max_size=3))])):
        kind = draw(st.sampled_from(list(FEATURE_TYPES if name in FEATURES else KEPT_TYPES)))
        names.append(name)
        arrays.append(column(draw, kind, (FEATURE_TYPES if name in FEATURES else KEPT_TYPES)[kind], rows))
    twice = draw(st.booleans())
    return pa.table([*arrays, *([pa.array([0] * rows)] * 2 if twice else [])], [*names, *(["twice"] * 2 * twice)])


def write(table: pa.Table, path: Path, groups: list[int]) -> None:
    """Row groups of these lengths, of which some may be 0, and at last the rest."""
    with pq.ParquetWriter(path, table.schema) as writer:
        start = 0
        for length in groups:
            writer.write_table(table.slice(start, length), row_group_size=MAX_ROWS)
            start += length
        if start < table.num_rows:
            writer.write_table(table.slice(start), row_group_size=MAX_ROWS)


def matrix_of(table: pa.Table) -> np.ndarray[Any, Any]:
    """The features as Python gives them, NaN for null."""
    columns = [table[name].to_pylist() for name in FEATURES]
    return np.array([[math.nan if v is None else float(v) for v in column] for column in columns], dtype=np.float64).T


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.read(linear_bundle(tmp_path_factory.mktemp("schemas") / "bundle", names=FEATURES))


def read(out: Path) -> tuple[list[pa.Table], list[pa.Table]]:
    return tuple([pq.read_table(p) for p in sorted(out.glob(f"{n}part-*"))] for n in ("", "_rejected/"))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    table=tables(),
    groups=st.lists(st.integers(0, 9), max_size=6),
    batch_rows=st.integers(1, 9),
    part_rows=st.integers(1, 30),
    stop_after=st.integers(0, 3),
)
@example(pa.table({name: pa.array([], pa.int8()) for name in FEATURES}), [], 1, 1, 0)
@example(pa.table({name: pa.array([], pa.int8()) for name in FEATURES}), [0, 0], 1, 1, 0)
def test_any_file_of_numbers_is_scored_row_by_row(
    model: Bundle, table: pa.Table, groups: list[int], batch_rows: int, part_rows: int, stop_after: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "in.parquet", Path(folder) / "out"
        write(table, path, groups)
        kept = tuple(name for name in table.column_names if name in KEPT_NAMES)
        options: dict[str, Any] = {"keep": kept, "batch_rows": batch_rows, "part_rows": part_rows, "threads": 1}
        job = JobSettings(inputs=(str(path),), out=out, device="cpu", **options)
        report = Job(model, job, UnsyncedDisk()).run()
        parts, rejected = read(out)

        matrix = matrix_of(table).reshape(-1, len(FEATURES))
        is_good = np.isfinite(matrix).all(axis=1)
        rows = [row for part in parts for row in part["source_row"].to_pylist()]
        bad_rows = [row for part in rejected for row in part["source_row"].to_pylist()]
        assert (rows, bad_rows) == (np.flatnonzero(is_good).tolist(), np.flatnonzero(~is_good).tolist())
        assert (report.rows_in, report.rows_out) == (table.num_rows, len(rows))
        stored = pq.ParquetFile(path).read(columns=list(kept))
        for name in kept:
            assert {part.schema.field(name).type for part in (*parts, *rejected)} == {stored.schema.field(name).type}
            values = stored[name].to_pylist()
            assert [v for part in parts for v in part[name].to_pylist()] == [values[row] for row in rows]
            assert [v for part in rejected for v in part[name].to_pylist()] == [values[row] for row in bad_rows]
        got = np.array([v for part in parts for v in part["probability.yes"].to_pylist()])
        np.testing.assert_allclose(got, softmax(logits_of(matrix[is_good]))[:, 1], atol=1e-4)

        resumed = JobSettings(inputs=(str(path),), out=Path(folder) / "resumed", device="cpu", **options)
        try:
            Job(model, resumed, UnsyncedDisk()).run(StopAfter(stop_after))
        except InterruptedJobError:
            Job(model, resumed, UnsyncedDisk()).run()
        names = sorted(path.relative_to(out) for path in out.rglob("part-*"))
        assert names == sorted(path.relative_to(resumed.out) for path in resumed.out.rglob("part-*"))
        for name in names:
            assert (resumed.out / name).read_bytes() == (out / name).read_bytes()
