"""Tables that cannot be read or written are told in one line, with what to do."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest

from support.bundles import linear_bundle
from support.columns import category_column, time_column
from support.command import Whyport
from whyport.exporter.data.table import check_header, read_frame
from whyport.runtime.errors import ColumnError, DataError
from whyport.runtime.inputs.table import Columns
from whyport.runtime.tables import read_table, text_columns, typed_columns

FAR = dt.datetime(9999, 12, 31)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows() -> pa.Table:
    return pa.table({"a": [1.0, 2.0] * 50, "b": [1.0, 2.0] * 50, "c": [0.5, 1.0] * 50})


def encrypted(path: Path) -> None:
    class Plain(encryption.KmsClient):
        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
            return key_bytes.hex().encode()

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
            return bytes.fromhex(wrapped_key.decode())

    factory = encryption.CryptoFactory(lambda _: Plain())
    config = encryption.EncryptionConfiguration(footer_key="k", column_keys={"k": ["a"]})
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
    with pq.ParquetWriter(path, rows().schema, encryption_properties=properties) as writer:
        writer.write_table(rows())


def test_parquet_that_cannot_be_read_is_one_line(whyport: Whyport, folder: Path) -> None:
    linear_bundle(folder / "bundle")
    pq.write_table(rows(), "good.parquet", use_dictionary=False, compression="zstd", write_page_checksum=True)
    content = Path("good.parquet").read_bytes()
    damaged = {
        "short": content[:-20],
        "empty": b"",
        "pages": content[:4] + bytes(400) + content[404:],
        "checksum": content[:100] + bytes([content[100] ^ 1]) + content[101:],
        "footer": content[:-60] + b"\xff" * 40 + content[-20:],
        "name": content.replace(b"\x01a", b"\x01\xe9"),
    }
    for name, changed in damaged.items():
        Path(f"{name}.parquet").write_bytes(changed)
    Path("folder.parquet").mkdir()
    encrypted(Path("encrypted.parquet"))
    for name in (*damaged, "folder", "encrypted"):
        for command in (["predict", "bundle", f"{name}.parquet"], ["run", "bundle", f"{name}.parquet", "--out", "o"]):
            output = whyport(*command, exit_code=1 if command[0] == "predict" or name != "folder" else 2).output
            assert output.startswith("error: "), (command, output)
            assert len(output.splitlines()) == 1
    assert not Path("o/_SUCCESS").exists()


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_other_separators_are_named(whyport: Whyport, folder: Path, separator: str, decimal: str) -> None:
    linear_bundle(folder / "bundle")
    rows().to_pandas().to_csv("day.csv", sep=separator, decimal=decimal, index=False)
    hint = f"its values are separated by {separator!r}, expected commas: pandas.read_csv('day.csv', sep={separator!r}"
    assert hint.replace("\\", "") in whyport("predict", "bundle", "day.csv", exit_code=1).output.replace("\\", "")
    with pytest.raises(DataError, match="its values are separated by"):
        read_frame(Path("day.csv"))


def test_a_column_with_a_semicolon_is_a_column(folder: Path) -> None:
    Path("day.csv").write_text("a;b,c\n1,2\n")
    assert read_table("day.csv").column_names == ["a;b", "c"]
    assert list(read_frame(Path("day.csv"))) == ["a;b", "c"]


def test_kept_int96_times_are_right(whyport: Whyport, folder: Path) -> None:
    linear_bundle(folder / "bundle")
    for values, unit in (([FAR, FAR], "us"), ([pd.Timestamp("2024-06-01 00:00:00.000000001")] * 2, "ns")):
        table = rows().slice(0, 2).append_column("t", pa.array(values, pa.timestamp(unit)))
        pq.write_table(table, "day.parquet", use_deprecated_int96_timestamps=True)
        whyport("predict", "bundle", "day.parquet", "--keep", "t", "--out", "out.parquet", "--overwrite")
        assert pq.read_table("out.parquet")["t"].to_pylist() == values


def test_what_a_csv_file_cannot_hold_is_named(whyport: Whyport, folder: Path) -> None:
    linear_bundle(folder / "bundle")
    table = rows().slice(0, 2).append_column("x", pa.array([[1], [2]])).append_column("y", pa.array([{"z": 1}] * 2))
    pq.write_table(table, "day.parquet")
    command = ["predict", "bundle", "day.parquet", "--keep", "x", "--keep", "y"]
    assert "columns 'x', 'y': a CSV file holds no lists" in whyport(*command, exit_code=1).output
    whyport(*command, "--out", "out.parquet")
    assert pq.read_table("out.parquet")["x"].to_pylist() == [[1], [2]]


@pytest.mark.parametrize("bad", ["header", "cell"])
def test_csv_that_is_not_utf8_is_one_line(whyport: Whyport, folder: Path, bad: str) -> None:
    linear_bundle(folder / "bundle")
    names = {"header": "caf\xe9", "cell": "note"}
    Path("day.csv").write_bytes(f"{names[bad]},a,b,c\ncaf\xe9,1,2,3\n".encode("latin-1"))
    output = whyport("predict", "bundle", "day.csv", "--keep", "note", exit_code=1).output
    assert "expected text in UTF-8" in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("read", [read_frame, lambda path: check_header(path, (), ())], ids=["frame", "header"])
@pytest.mark.parametrize("name", ["pipe.parquet", "pipe.csv"])
def test_a_training_table_that_is_a_pipe_is_refused(folder: Path, read: Callable[[Path], object], name: str) -> None:
    os.mkfifo(name)
    with pytest.raises(DataError, match="expected a file, got something else"):
        read(Path(name))


def test_a_training_tables_checksums_are_verified(folder: Path) -> None:
    pq.write_table(rows(), "day.parquet", use_dictionary=False, compression=None, write_page_checksum=True)
    content = bytearray(Path("day.parquet").read_bytes())
    content[100] ^= 1
    Path("day.parquet").write_bytes(content)
    with pytest.raises(DataError, match="CRC"):
        read_frame(Path("day.parquet"))


def test_a_header_with_other_separators_is_told(folder: Path) -> None:
    Path("day.csv").write_text("a;b;c\n1;2;3\n")
    with pytest.raises(ColumnError, match="its values are separated by ';'"):
        check_header(Path("day.csv"), (), (), "c")


@pytest.mark.parametrize("strange", [[], ["x"]], ids=["plain", "with a strange value"])
def test_one_strange_value_of_a_csv_file_changes_no_other(strange: list[str], tmp_path: Path) -> None:
    columns = [
        category_column("code", ("1", "20"), "number"),
        category_column("paid", ("false", "true"), "boolean"),
        time_column("day"),
    ]
    absent = ["NA", "", "null", "None", "<NA>", "#N/A", " "]
    values = {"code": ["1", "2e1", "1000"], "paid": ["true", "FALSE", "true"], "day": ["2024-02-29"] * 3}
    table = pd.DataFrame({name: own + absent + strange for name, own in values.items()})
    table.to_csv(path := tmp_path / "rows.csv", index=False)
    read = typed_columns(read_table(path, texts=text_columns(columns)), columns)
    encoded = Columns.of(columns).encode(read)
    assert encoded.matrix[:3, :2].tolist() == [[0, 1], [1, 0], [2, 1]]
    assert (encoded.matrix[3:10, :2] == 3).all()
    counts = {name: rows.tolist() for name, rows in encoded.unseen.rows.items()}
    last = [10] * len(strange)
    assert counts == {"code": [2, *last]} | {name: last for name in ("paid", "day") if strange}


def test_a_number_of_a_csv_file_is_written_as_one(tmp_path: Path) -> None:
    columns = [category_column("code", ("1000",), "number")]
    (path := tmp_path / "rows.csv").write_text(
        "code\n1000\n1_000\n\u0661\u0660\u0660\u0660\n1e3\ninf\n", encoding="utf-8"
    )
    codes = Columns.of(columns).encode(typed_columns(read_table(path), columns)).matrix[:, 0]
    assert codes.tolist() == [0, 1, 1, 0, 1]
