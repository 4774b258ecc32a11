import datetime as dt
import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.exporter.data.table import check_header, choose_features, digest, feature_arrays, read_frame
from whyport.runtime.errors import ColumnError, DataError, TrainingError, UsageError, ValueRangeError

FRAME = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, None], "text": ["x", "y"], "y": [0, 1]})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_reads_csv_and_parquet(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    FRAME.to_csv(path, index=False) if suffix == "csv" else FRAME.to_parquet(path)
    columns = feature_arrays(read_frame(path), ["c", "a", "b"])
    np.testing.assert_array_equal(np.array(columns, dtype=float), [[0.5, np.nan], [1, 2], [1, 0]])


def test_the_values_of_a_csv_file_have_types(tmp_path):
    path = tmp_path / "table.csv"
    whole = "\n".join(f"{i},0{i % 7},,true,2024-01-31,NA" for i in range(60_000))
    path.write_text(f"a,b,c,d,e,f\n{whole}\n0.5,x,y,,,7\n")
    frame = read_frame(path, ["b"])
    assert frame.iloc[[0, -1]].to_numpy(dtype=object).tolist()[1][:3] == [0.5, "x", "y"]
    assert frame["a"].iloc[-2:].tolist() == [59_999, 0.5]  # the last value decides that it is no column of integers
    assert frame["b"].iloc[:2].tolist() == ["00", "01"]
    assert frame["c"].isna().sum() == 60_000
    assert frame["d"].iloc[0] is True
    assert frame["d"].iloc[-1] is None
    assert frame["e"].iloc[0] == dt.date(2024, 1, 31)
    assert frame["f"].isna().sum() == 60_000


def test_the_index_that_pandas_writes_is_passed_over(tmp_path, caplog):
    FRAME.to_csv(tmp_path / "table.csv")
    frame = read_frame(tmp_path / "table.csv")
    assert "a column without a name, such as the index that pandas writes, is passed over, in " in caplog.text
    assert choose_features(frame, (), ("text",), "y") == ("a", "b", "c")
    assert check_header(tmp_path / "table.csv", (), ("text",), "y") == ("a", "b", "c")


def test_an_unknown_kind_of_file(tmp_path):
    with pytest.raises(UsageError, match="expected a file named"):
        read_frame(tmp_path / "table.xlsx")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", b'x,y\n"1,2\n3,4\n5'), ("a.parquet", b"no parquet"), ("b.csv", b""), ("c.csv", None)],
)
def test_an_unreadable_file(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"cannot read '.*{name}'"):
        read_frame(path)


def test_an_empty_table(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("a,y\n")
    with pytest.raises(TrainingError, match=r"got an empty table, in .*empty\.csv"):
        read_frame(path)


def test_columns_of_the_same_name(tmp_path):
    (tmp_path / "twice.csv").write_text("a,b,a\n1,2,3\n")
    with pytest.raises(ColumnError, match=r"columns that occur more than once: a \(.*twice\.csv"):
        read_frame(tmp_path / "twice.csv")
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(ColumnError, match="columns that occur more than once: a "):
        read_frame(tmp_path / "twice.parquet")


def test_chooses_features():
    assert choose_features(FRAME, (), ("text",), "y") == ("a", "b", "c")
    assert choose_features(FRAME, ("c", "a"), (), "y") == ("c", "a")
    assert choose_features(FRAME[["a", "c"]], (), ()) == ("a", "c")


@pytest.mark.parametrize(
    ("chosen", "excluded", "target", "message"),
    [
        (("d",), (), "y", "unknown column 'd'; known: 'a', 'b'"),
        ((), ("d",), "y", "unknown column 'd'"),
        ((), (), "z", "unknown column 'z'"),
        (("a", "a"), (), "y", "columns that occur more than once: a "),
        (("a", "d"), ("e, f",), "z", r'^unknown columns: z, d, "e, f" \(3 of 4\); known: a, b, c, '),
        (("y",), (), "y", "'y' is the target"),
        ((), ("a", "b", "c", "text"), "y", "expected feature columns, got none"),
    ],
)
def test_columns_that_cannot_be_features(chosen, excluded, target, message):
    with pytest.raises(ColumnError, match=message):
        choose_features(FRAME, chosen, excluded, target)


def test_a_text_column_is_no_feature():
    with pytest.raises(ColumnError, match=r": text \(1 of 2; str\); .*; choose other columns with"):
        feature_arrays(FRAME, ["a", "text"])


def test_an_infinity_is_refused_with_its_place():
    frame = pd.DataFrame({"a": [1.0, -np.inf]})
    with pytest.raises(ValueRangeError, match="column 'a', row 1: expected a finite value, got -inf"):
        feature_arrays(frame, ["a"])


def test_digest_follows_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    parts = hashlib.sha256(b"1").digest() + hashlib.sha256(b"2").digest()
    assert digest(tmp_path / "a", tmp_path / "b") == hashlib.sha256(parts).hexdigest()


def test_texts_that_are_not_utf8_are_refused(tmp_path):
    path = tmp_path / "table.parquet"
    texts = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"a"]).buffers())
    pq.write_table(pa.table({"a": [1, 2], "text": texts}), path)
    with pytest.raises(
        DataError, match="column 'text': expected text in UTF-8, got other bytes: .*, in .*table.parquet"
    ):
        read_frame(path)
