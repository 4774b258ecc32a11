"""Footers in windows say what pyarrow reads in them whole."""

import base64
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyport.batch.source import footer
from whyport.batch.source.footer import Footer, Window
from whyport.batch.source.parquet import open_source
from whyport.runtime.errors import DataError

Write = Callable[..., Path]

WINDOW_BYTES = 300
"""Less than most row groups take."""


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footer, "WINDOW_BYTES", WINDOW_BYTES)
    monkeypatch.setattr(footer, "HEADS_A_WINDOW", 0)


def table(rows: int) -> pa.Table:
    generator = np.random.default_rng(rows)
    return pa.table(
        {
            "x": generator.normal(size=rows),
            "größe.x": pa.array(["ä" * (i % 90) for i in range(rows)]),
            "kind": pa.array([None if i % 3 else "k" for i in range(rows)]).dictionary_encode(),
            "nested": pa.array([{"a": [i], "b": str(i)} for i in range(rows)], NESTED),
        }
    ).replace_schema_metadata({"note": "n" * 200})


NESTED = pa.struct([("a", pa.list_(pa.int64())), ("b", pa.string())])


def check_windows(path: Path) -> tuple[Window, ...]:
    """Compare what the windows say with pyarrow's own whole footer; returns them."""
    whole = pq.read_metadata(path)
    with pa.OSFile(str(path)) as file:
        cut, found = Footer.read(file), []
        for window in cut.windows:
            metadata = cut.metadata(file, window)
            assert metadata.num_row_groups == window.count
            assert window.first == len(found)
            assert (metadata.num_rows, metadata.created_by) == (whole.num_rows, whole.created_by)
            assert (metadata.metadata, metadata.schema) == (whole.metadata, whole.schema)
            found += [metadata.row_group(i).to_dict() for i in range(window.count)]
    assert repr(found) == repr([whole.row_group(i).to_dict() for i in range(whole.num_row_groups)])
    return cut.windows


@pytest.mark.parametrize("heads", [0, 1 << 20], ids=["small windows", "a large one after the first row group"])
@pytest.mark.parametrize("count", [1, 2, 14, 15, 16, 17, 18, 128, 129, 130])
def test_every_number_of_row_groups_comes_out(
    write: Write, monkeypatch: pytest.MonkeyPatch, count: int, heads: int
) -> None:
    monkeypatch.setattr(footer, "HEADS_A_WINDOW", heads)
    path = write(table(count), row_group_size=1)
    assert sum(window.count for window in check_windows(path)) == count
    assert read_all(path) == pq.read_table(path).to_pylist()


@pytest.mark.parametrize("window_bytes", [1, 5_000, 20_000, 10**6])
def test_windows_hold_about_as_many_bytes_as_they_may(
    write: Write, monkeypatch: pytest.MonkeyPatch, window_bytes: int
) -> None:
    monkeypatch.setattr(footer, "WINDOW_BYTES", window_bytes)
    path = write(table(200), row_group_size=1)
    windows = check_windows(path)
    if window_bytes == 1:
        assert [window.count for window in windows] == [1] * 200
    elif window_bytes == 10**6:
        assert [window.count for window in windows] == [200]
    else:
        assert max(window.size for window in windows) <= window_bytes
        assert 3 < len(windows) < 2 * 200 * 1000 / window_bytes + 10


def test_a_file_without_row_groups_is_read(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    pq.ParquetWriter(path, table(3).schema).close()
    assert pq.read_metadata(path).num_row_groups == 0
    assert sum(window.count for window in check_windows(path)) == 0
    assert (open_source(path).rows, read_all(path)) == (0, [])


def test_row_groups_keep_their_numbers(write: Write) -> None:
    path = write(table(400), row_group_size=10, compression="none")
    offset = pq.read_metadata(path).row_group(23).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 40] = b"\xff" * 40
    path.write_bytes(content)
    source = open_source(path)
    assert len(source.footer.windows) > 10
    assert [source.row_group(row) for row in (0, 229, 230, 399)] == [0, 22, 23, 39]
    with pytest.raises(DataError, match=r"cannot read: .*, in .*input\.parquet, row group 23$"):
        list(source.batches(["x"], 10))
    # Where the broken one is not asked for, it is not read.
    assert sum(batch.num_rows for _, batch in source.batches(["x"], 7, 240, 399)) == 159
    assert sum(batch.num_rows for _, batch in source.batches(["x"], 7, 13, 229)) == 216


def read_all(path: Path) -> list[dict[str, Any]]:
    source = open_source(path)
    batches = [batch for _, batch in source.batches(source.schema.names, 11)]
    return [row for batch in batches for row in batch.to_pylist()]


OPTIONS: list[dict[str, Any]] = [
    {"version": "1.0"},
    {"data_page_version": "2.0", "compression": "zstd"},
    {"write_statistics": False},
    {"write_page_index": True, "write_page_checksum": True},
    {"store_schema": False, "use_dictionary": False, "compression": "none"},
    {"sorting_columns": [pq.SortingColumn(0, descending=True, nulls_first=True)]},
    {"bloom_filter_options": {"x": {"ndv": 4}}},
    {"column_encoding": {"x": "BYTE_STREAM_SPLIT"}, "use_dictionary": ["kind"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: next(iter(options)))
def test_whatever_pyarrow_writes(write: Write, options: dict[str, Any]) -> None:
    path = write(table(90), row_group_size=4, **options)
    assert len(check_windows(path)) > 3
    assert read_all(path) == pq.read_table(path).to_pylist()


def test_what_polars_writes(tmp_path: Path) -> None:
    path = tmp_path / "polars.parquet"
    frame = pl.from_arrow(table(90))
    assert isinstance(frame, pl.DataFrame)
    frame.write_parquet(path, row_group_size=4, statistics="full")
    assert len(check_windows(path)) > 3
    assert read_all(path) == pq.read_table(path).to_pylist()


LEAVES = {
    pa.int64(): st.integers(-9, 9),
    pa.string(): st.text(max_size=40),
    pa.float32(): st.floats(width=32),
    pa.list_(pa.int8()): st.lists(st.integers(0, 9), max_size=3),
    pa.decimal128(9, 2): st.integers(0, 99),
    pa.timestamp("us", "UTC"): st.integers(0, 2**40),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 30))
    names = draw(st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=5, unique=True))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(list(LEAVES)))
        columns[name] = pa.array(draw(st.lists(st.none() | LEAVES[kind], min_size=rows, max_size=rows)), kind)
    notes = draw(st.dictionaries(st.text(max_size=9), st.text(max_size=300), max_size=3))
    return pa.table(columns).replace_schema_metadata(notes)


@settings(deadline=None, max_examples=60)
@given(data=tables(), row_group_rows=st.integers(1, 9), options=st.sampled_from([{}, *OPTIONS[:4]]))
def test_a_window_says_what_pyarrow_does(data: pa.Table, row_group_rows: int, options: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.parquet"
        pq.write_table(data, path, row_group_size=row_group_rows, **options)
        groups = pq.read_metadata(path).num_row_groups
        assert sum(window.count for window in check_windows(path)) == groups


def whole_error(path: Path) -> str:
    """What is said of a file whose footer pyarrow reads whole."""
    with pytest.raises((pa.ArrowException, OSError)) as caught:
        pq.ParquetFile(path)
    return str(caught.value).splitlines()[0]


@pytest.mark.parametrize("place", [0, 1, 3, 40, 0.25, 0.5, 0.75, 0.999])
def test_a_broken_footer_is_refused_as_pyarrow_does_or_read_as_pyarrow_does(write: Write, place: float) -> None:
    path = write(table(60), row_group_size=2)
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    at = len(content) - 8 - length + int(place if place >= 1 else place * length)
    for value in (0x00, 0x0F, 0x7F, 0xFF, content[at] ^ 1, content[at] ^ 16):
        path.write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
        try:
            whole = pq.ParquetFile(path).metadata
        except (pa.ArrowException, OSError):
            with pytest.raises(DataError, match=r"expected a Parquet file, .* cannot be read .*input"):
                open_source(path)
        else:
            counts = [whole.row_group(i).num_rows for i in range(whole.num_row_groups)]
            if sum(counts) != whole.num_rows:
                said = f"expected {whole.num_rows} rows, got row groups of {sum(counts)}, in"
                with pytest.raises(DataError, match=said):
                    open_source(path)
                continue
            source = open_source(path)
            assert source.rows == whole.num_rows
            np.testing.assert_array_equal(np.diff([0, *source.row_group_ends]), counts)


@pytest.mark.parametrize("cut", [1, 8, 9, 500, 5000])
def test_a_file_without_its_end_is_refused_as_pyarrow_does(write: Write, cut: int) -> None:
    path = write(table(60), row_group_size=2)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError) as caught:
        open_source(path)
    assert whole_error(path) in str(caught.value)


class Keys(pe.KmsClient):
    """Keeps the keys of a test where it can be read by all."""

    def __init__(self, _: Any) -> None:
        super().__init__()

    def wrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64decode(key)


def encrypt(path: Path, is_footer_plain: bool) -> None:
    """A file of which one column is encrypted and, unless it is plain, the footer too."""
    connection = pe.KmsConnectionConfig()
    settings = pe.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["x"]}, plaintext_footer=is_footer_plain, double_wrapping=False
    )
    properties = pe.CryptoFactory(Keys).file_encryption_properties(connection, settings)
    rows = table(60).drop_columns(["nested"])
    with pq.ParquetWriter(path, rows.schema, encryption_properties=properties) as writer:
        writer.write_table(rows, row_group_size=2)


def test_an_encrypted_footer_is_refused_as_pyarrow_does(tmp_path: Path) -> None:
    path = tmp_path / "secret.parquet"
    encrypt(path, is_footer_plain=False)
    with pytest.raises(DataError, match=r"cannot be read \(.*encrypted.*secret\.parquet") as caught:
        open_source(path)
    assert whole_error(path) in str(caught.value)


def test_what_is_not_encrypted_is_read(tmp_path: Path) -> None:
    path = tmp_path / "half.parquet"
    encrypt(path, is_footer_plain=True)
    source = open_source(path)
    assert len(source.footer.windows) > 3
    kinds = [kind for _, batch in source.batches(["kind"], 7) for kind in batch["kind"].to_pylist()]
    assert kinds == table(60)["kind"].to_pylist()
    with pq.ParquetFile(path) as file, pytest.raises(OSError, match="Cannot decrypt") as caught:
        file.read(["x"])
    with pytest.raises(DataError, match=r"half\.parquet, row group") as ours:
        list(source.batches(["x"], 7))
    assert str(caught.value).splitlines()[0] in str(ours.value)
