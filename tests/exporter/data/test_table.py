import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.exporter.data.table import choose_features, digest, feature_arrays, read_frame
from whyport.runtime.errors import ColumnError, DataError, TrainingError, UsageError, ValueRangeError

FRAME = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, None], "text": ["x", "y"], "y": [0, 1]})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_reads_csv_and_parquet(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    FRAME.to_csv(path, index=False) if suffix == "csv" else FRAME.to_parquet(path)
    columns = feature_arrays(read_frame(path), ["c", "a", "b"])
    np.testing.assert_array_equal(np.array(columns, dtype=float), [[0.5, np.nan], [1, 2], [1, 0]])


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
