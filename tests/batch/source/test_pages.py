"""Sizes of pages that a file does not have are refused before memory is reserved for them; legal pages never are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parquet_mutants import OPTIONS, legal_files
from whyport.batch.source import decoding, pages
from whyport.batch.source.compact import Compact
from whyport.batch.source.pages import Pages
from whyport.batch.source.parquet import open_source
from whyport.runtime.errors import DataError

Write = Callable[..., Path]
HUGE = bytes.fromhex("feffffff0f")  # 2**31 - 1, as Thrift writes it


@pytest.fixture(params=["whole", "streamed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Row groups decoded whole, or a page at a time, as large ones are."""
    if request.param == "streamed":
        monkeypatch.setattr(decoding, "DECODED_ROWS", 10)
    return str(request.param)


def with_huge_page(path: Path) -> None:
    """Give the first data page of the column a compressed size of 2 GB, over its checksum and its number of values."""
    content = bytearray(path.read_bytes())
    at = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    # Type, uncompressed size and compressed size: a byte for the field, then the number.
    size = at + 2
    assert content[size] == 0x15
    while content[size + 1] & 128:
        size += 1
    size += 2
    assert content[size] == 0x15
    content[size + 1 : size + 6] = HUGE
    path.write_bytes(content)


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "brotli"])
def test_a_page_of_two_gigabytes_costs_no_memory(write: Write, way: str, compression: str) -> None:
    table = pa.table({"n": np.random.default_rng(0).normal(size=5000)})
    path = write(table, compression=compression, use_dictionary=False)
    with_huge_page(path)
    with pytest.raises(DataError, match=r"cannot read: .*, in .*input\.parquet, row group 0"):
        list(open_source(path).batches(["n"], 100))
    assert pa.default_memory_pool().max_memory() < 1_500_000_000


def test_a_path_in_the_footer_that_is_not_utf8_is_no_fault_of_the_pages(write: Write, way: str) -> None:
    path = write(pa.table({"number": np.arange(5000.0)}))
    content = path.read_bytes()
    place = content.rindex(b"number")  # after the schema's own
    path.write_bytes(content[:place] + b"\xe9" + content[place + 1 :])
    assert sum(batch.num_rows for _, batch in open_source(path).batches(["number"], 100)) == 5000


@pytest.mark.parametrize("name", OPTIONS)
def test_legal_files_are_read_either_way(tmp_path: Path, way: str, name: str) -> None:
    (file,) = (file for file in legal_files(("a", "b"), 1) if file.name == name)
    path = tmp_path / "legal.parquet"
    path.write_bytes(file.content)
    source = open_source(path, int96_unit="ns")
    columns = [*file.keep, "a"]
    got = pa.Table.from_batches([batch for _, batch in source.batches(columns, 64)])
    assert got.to_pylist() == pq.ParquetFile(path).read().select(columns).to_pylist()


def test_headers_of_any_length_are_walked(write: Write) -> None:
    """Statistics are in a page's header; every page of the column is seen."""
    texts = pa.table({"text": [f"{i:020}" * 60 for i in range(400)], "other": range(400)})
    options = {"use_dictionary": False, "data_page_size": 5000, "write_batch_size": 4, "compression": "none"}
    path = write(texts, **options)
    metadata = pq.read_metadata(path)
    found = []
    read = pages._page

    def watched(header: Compact) -> pages._Page:
        page = read(header)
        found.append(page)
        return page

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "_page", watched)
        patch.setattr(pages, "HEADER_BYTES", 16)
        with pa.OSFile(str(path)) as file:
            Pages(file, metadata).check(0, ["text"])
    assert sum(page.values for page in found) == 400
    chunk = metadata.row_group(0).column(0)
    assert sum(page.header + page.size for page in found) == chunk.total_compressed_size
    assert len(found) == 50


def test_damaged_size_statistics_end_no_process(write: Write, way: str) -> None:
    """pyarrow's view of such a column's chunk aborts; its reader has an error."""
    path = write(pa.table({"list": [[1.5], None, [], [None]] * 50}))
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    data, footer = content[: -8 - length], content[-8 - length : -8]
    histogram = footer.index(b"\x19\x46")  # a list of four integers, by definition level
    footer = footer[: histogram + 1] + b"\x56\x00" + footer[histogram + 2 :]
    path.write_bytes(data + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(DataError, match=r"histogram size mismatch.*, in .*input\.parquet, row group 0"):
        list(open_source(path).batches(["list"], 100))


@pytest.mark.parametrize("name", OPTIONS)
def test_chunks_are_those_that_pyarrow_sees(tmp_path: Path, name: str) -> None:
    (file,) = (file for file in legal_files(("a", "b"), 1) if file.name == name)
    metadata = pq.read_metadata(pa.BufferReader(file.content))
    for group, chunks in enumerate(pages._row_groups(metadata)):
        seen = [metadata.row_group(group).column(i) for i in range(metadata.num_columns)]
        offsets = [min(each.dictionary_page_offset or each.data_page_offset, each.data_page_offset) for each in seen]
        assert chunks == [
            pages.Chunk(offset, each.total_compressed_size, each.num_values)
            for offset, each in zip(offsets, seen, strict=True)
        ]
    assert group == metadata.num_row_groups - 1


def test_columns_are_read_together_as_the_bytes_allow(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"a": np.arange(50), "a.b": np.arange(50) * 2, "c": [[i] for i in range(50)], "d": ["x"] * 50})
    path = write(table)
    monkeypatch.setattr(decoding, "READ_BYTES", 1)
    asked = []
    read_row_groups = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda self, groups, names: asked.append(names) or read_row_groups(self, groups, names),
    )
    ((_, batch),) = open_source(path).batches(["d", "a", "c"], 100)
    assert asked == [["d"], ["a"], ["c"]]
    assert batch.to_pylist() == table.select(["d", "a", "c"]).to_pylist()
