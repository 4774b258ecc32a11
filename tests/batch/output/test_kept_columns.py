"""Columns that are only passed through: every Arrow type that Parquet holds comes out as it went in."""

import datetime
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import ColumnError

ROWS = 90
TEXTS = ["", "a", None, "größe", "日付"]
DAY = datetime.date(2026, 1, 31)
NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


class Celsius(pa.ExtensionType):
    """A type of somebody else's, over float32, with a parameter."""

    def __init__(self, sensor: str) -> None:
        self.sensor = sensor
        super().__init__(pa.float32(), "whyport.tests.celsius")

    def __arrow_ext_serialize__(self) -> bytes:
        return self.sensor.encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> "Celsius":
        return cls(serialized.decode())


def cycled(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array([values[i % len(values)] for i in range(ROWS)], kind)


def dictionary(values: list[Any], index: pa.DataType, kind: pa.DataType, ordered: bool = False) -> pa.Array:
    """With an entry that no row has, and in an order that is not the rows'."""
    entries = pa.array([*dict.fromkeys(v for v in reversed(values) if v is not None), values[0]], kind).unique()
    places = pa.array([None if v is None else entries.to_pylist().index(v) for v in values], index)
    indices = places.take(pa.array(np.arange(ROWS) % len(values)))
    return pa.DictionaryArray.from_arrays(indices, entries, ordered=ordered)


POINT = pa.struct([pa.field("x", pa.float64()), pa.field("deep", pa.list_(pa.struct([("y.z", pa.float32())])))])
COLUMNS = {
    "decimal32": cycled([Decimal("1.10"), None, Decimal("-9.99")], pa.decimal32(3, 2)),
    "decimal64": cycled([Decimal("1.10"), None, Decimal("-9.99")], pa.decimal64(12, 2)),
    "decimal128": cycled([Decimal("1.10"), None, Decimal("-9.99")], pa.decimal128(38, 2)),
    "decimal256": cycled([Decimal("1.10"), None, Decimal(10) ** 60], pa.decimal256(76, 2)),
    "timestamp[s]": cycled([NOON, None], pa.timestamp("s", tz="UTC")),
    "timestamp[us, zone]": cycled([NOON, None], pa.timestamp("us", tz="Europe/Vienna")),
    "timestamp[ns, offset]": cycled([NOON, None], pa.timestamp("ns", tz="+05:30")),
    "timestamp[ms]": cycled([datetime.datetime(2026, 1, 31), None], pa.timestamp("ms")),
    "date32": cycled([DAY, None], pa.date32()),
    "date64": cycled([DAY, None], pa.date64()),
    "time32": cycled([datetime.time(1, 2, 3), None], pa.time32("s")),
    "time64": cycled([datetime.time(1, 2, 3), None], pa.time64("ns")),
    "duration[s]": cycled([datetime.timedelta(days=3), None], pa.duration("s")),
    "duration[ns]": cycled([datetime.timedelta(microseconds=3), None], pa.duration("ns")),
    "dictionary": dictionary(TEXTS, pa.int8(), pa.string()),
    "dictionary of large": dictionary(TEXTS, pa.int32(), pa.large_string()),
    "dictionary, ordered": dictionary(["low", "high", None], pa.int8(), pa.string(), ordered=True),
    "dictionary of numbers": dictionary([3, 1, None, 2], pa.uint16(), pa.int64()),
    "dictionary of floats": dictionary([3.5, 1.5, None], pa.int32(), pa.float64()),
    "dictionary of bytes": dictionary([b"x", None, b""], pa.int64(), pa.binary()),
    "dictionary of dates": dictionary([DAY, None], pa.int32(), pa.date32()),
    "list of lists": cycled([[["a"], None, []], None, []], pa.list_(pa.list_(pa.string()))),
    "list[2]": cycled([[1.0, None], [2.0, 3.0]], pa.list_(pa.float64(), 2)),
    "list[2] with nulls": cycled([[1.0, None], None, [2.0, 3.0]], pa.list_(pa.float64(), 2)),
    "large list": cycled([[1, None], None, []], pa.large_list(pa.int16())),
    "struct": cycled([{"x": 1.5, "deep": [{"y.z": None}, None]}, {"x": None, "deep": None}, None], POINT),
    "map": cycled([[("k", 1.5), ("l", None)], None, []], pa.map_(pa.string(), pa.float32())),
    "large string": cycled(TEXTS, pa.large_string()),
    "string view": cycled([*TEXTS, "longer than the twelve bytes of a view"], pa.string_view()),
    "binary": cycled([b"\0\xff", None, b""], pa.binary()),
    "binary[2]": cycled([b"\0\xff", None], pa.binary(2)),
    "large binary": cycled([b"\0\xff", None, b""], pa.large_binary()),
    "binary view": cycled([b"\0\xff", None, b"longer than the twelve bytes"], pa.binary_view()),
    "list of views": cycled([["a", None], None], pa.list_(pa.string_view())),
    "large list of views": cycled([["a", None], None], pa.large_list(pa.string_view())),
    "list[1] of views": cycled([["a"], None], pa.list_(pa.binary_view(), 1)),
    "struct of views": cycled([{"x": "a"}, None], pa.struct([("x", pa.string_view())])),
    "map of views": cycled([[("a", "b")], None], pa.map_(pa.string(), pa.string_view())),
    "list view": cycled([["a", None], None, []], pa.list_view(pa.string())),
    "large list view": cycled([[1, None], None, []], pa.large_list_view(pa.int8())),
    "json, view": pa.ExtensionArray.from_storage(pa.json_(pa.string_view()), cycled(["1", None], pa.string_view())),
    "float16": cycled([np.float16(1.5), None], pa.float16()),
    "null": pa.nulls(ROWS),
    "bool": cycled([True, None, False], pa.bool_()),
    "uint64": cycled([2**64 - 1, None], pa.uint64()),
    "uuid": pa.ExtensionArray.from_storage(
        pa.uuid(), cycled([uuid.UUID(int=i).bytes for i in range(3)] + [None], pa.binary(16))
    ),
    "json": pa.ExtensionArray.from_storage(pa.json_(), cycled(['{"a": 1}', None], pa.string())),
    "tensor": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [2]), cycled([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2))
    ),
    "celsius": pa.ExtensionArray.from_storage(Celsius("roof"), cycled([20.5, None], pa.float32())),
    "struct of extensions": pa.StructArray.from_arrays(
        [pa.ExtensionArray.from_storage(Celsius("roof"), cycled([20.5, None], pa.float32()))], ["t"]
    ),
}


@pytest.fixture
def registered() -> Iterator[None]:
    pa.register_extension_type(Celsius(""))
    yield
    pa.unregister_extension_type("whyport.tests.celsius")


def features() -> list[pa.Array]:
    """Every fifth row is rejected."""
    return [
        pa.array([None if i % 5 == 0 else 1.0 for i in range(ROWS)]),
        pa.array([1.0] * ROWS),
        pa.array([2.0] * ROWS),
    ]


@pytest.fixture
def keep(bundle: Path, write: Callable[..., Path], tmp_path: Path) -> Callable[[pa.Table], pa.Table]:
    """Run over a table of one column, check that it comes out as it is read from the input, and give it so."""

    def keep(table: pa.Table) -> pa.Table:
        (name,) = table.column_names
        fields = [*((feature, pa.float64()) for feature in "abc"), *table.schema]
        # pyarrow cannot write a slice of a struct of views.
        rows = ROWS if name == "struct of views" else 35
        source = write(pa.table([*features(), *table.columns], schema=pa.schema(fields)), row_group_size=rows)
        stored = pq.ParquetFile(source).read(columns=[name])
        options: dict[str, Any] = {"keep": (name,), "batch_rows": 10, "part_rows": 40, "device": "cpu"}
        job = JobSettings(inputs=(str(source),), out=tmp_path / "out", **options)
        report = Job(Bundle.read(bundle), job).run()
        assert (report.rows_out, report.rows_rejected) == (72, 18)
        whyport.audit(job.out, sample=ROWS, device="cpu")
        parts = [*job.out.glob("part-*"), *(job.out / "_rejected").glob("part-*")]
        found: dict[int, Any] = {}
        for path in parts:
            part = pq.ParquetFile(path).read()
            # What Parquet itself makes of a type is not the run's doing: the output equals the input as it is read.
            assert part.schema.field(name).equals(stored.schema.field(name), check_metadata=True)
            found |= zip(part["source_row"].to_pylist(), part[name].to_pylist(), strict=True)
        assert [found[row] for row in range(ROWS)] == stored[name].to_pylist()
        return stored

    return keep


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", COLUMNS)
def test_a_kept_column_comes_out_as_it_went_in(keep: Callable[[pa.Table], pa.Table], name: str) -> None:
    given = pa.table({name: COLUMNS[name]})
    assert keep(given)[name].to_pylist() == given[name].to_pylist()


@pytest.mark.usefixtures("registered")
def test_parquet_keeps_nearly_every_type() -> None:
    """Otherwise the test above would show less than it says."""
    sink = pa.BufferOutputStream()
    table = pa.table(COLUMNS)
    pq.write_table(table, sink)
    stored = pq.read_table(pa.BufferReader(sink.getvalue()))
    changed = {name for name in COLUMNS if stored.schema.field(name).type != table.schema.field(name).type}
    dictionaries = {name for name in COLUMNS if name.startswith("dictionary of ")}
    assert changed <= {"date64", "time32", "timestamp[s]", "json, view", *dictionaries}


def test_an_extension_that_nobody_knows_is_kept_by_its_storage_and_metadata(
    keep: Callable[[pa.Table], pa.Table],
) -> None:
    metadata = {b"ARROW:extension:name": b"somebody.celsius", b"ARROW:extension:metadata": b"roof", b"unit": b"K"}
    field = pa.field("t", pa.float32(), metadata=metadata)
    stored = keep(pa.table([cycled([20.5, None], pa.float32())], schema=pa.schema([field])))
    assert stored.schema.field("t").type == pa.float32()
    assert metadata.items() <= stored.schema.field("t").metadata.items()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.list_view(pa.string_view()), r"x \(1 of 1; list_view<"),
        (pa.list_(pa.dictionary(pa.int8(), pa.string())), r"x \(1 of 1; list<.*, with dictionaries inside\)"),
    ],
)
def test_what_cannot_be_copied_is_refused_before_a_row_is_read(
    keep: Callable[[pa.Table], pa.Table], tmp_path: Path, kind: pa.DataType, message: str
) -> None:
    with pytest.raises(ColumnError, match=f"kept columns whose rows cannot be copied: {message}"):
        keep(pa.table({"x": pa.nulls(ROWS, kind)}))
    assert not (tmp_path / "out").exists()
