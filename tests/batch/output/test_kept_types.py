"""Kept columns of several files: one type for all parts, with the values as they were, or a refusal before a row."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.command import Whyport
from support.shown import describe_row
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import ColumnError, DataError, UsageError

Write = Callable[..., Path]
Keep = Callable[..., Path]
FAR, NEAR = dt.datetime(9999, 12, 31), dt.datetime(2024, 6, 1)
INT96 = {"use_deprecated_int96_timestamps": True}


def rows(**columns: Any) -> pa.Table:
    """Rows of which the second is rejected."""
    (values,) = columns.values()
    features = {name: pa.array([1.0, None, *[1.0] * (len(values) - 2)]) for name in "abc"}
    return pa.table(features | columns)


@pytest.fixture
def keep(bundle: Path, tmp_path: Path) -> Keep:
    """Run over the folder `in`, audit the run, and give the output folder."""

    def keep(name: str = "x", *, inputs: str = "in", **options: Any) -> Path:
        given = str(tmp_path / inputs)
        settings = JobSettings((given,), tmp_path / "out", keep=(name,), device="cpu", batch_rows=4, **options)
        Job(Bundle.read(bundle), settings).run()
        whyport.audit(settings.out, sample=100, device="cpu")
        describe_row(settings.out, 0, "a.parquet", 3)
        return settings.out

    return keep


TWO_FILES: list[tuple[pa.Array, pa.Array, pa.DataType]] = [
    (pa.nulls(3), pa.array([1, None, 2**63 - 1]), pa.int64()),
    (pa.array([1, 2, 2**31 - 1], pa.int32()), pa.array([0.1, None, 1e300]), pa.float64()),
    (pa.array([1, 2, 3], pa.uint8()), pa.array([2**64 - 1, 2, 3], pa.uint64()), pa.uint64()),
    (pa.array(["a", "b", None]), pa.array(["a", "b", "c"], pa.large_string()), pa.large_string()),
    (pa.array(["a", "b", None]).dictionary_encode(), pa.array(["a", "b", "c"]), pa.string()),
    (
        pa.array([[], None, [None]], pa.list_(pa.null())),
        pa.array([["a"], [], None]),
        pa.list_(pa.field("element", pa.string())),
    ),
]


@pytest.mark.parametrize(("one", "other", "kind"), TWO_FILES, ids=lambda value: str(getattr(value, "type", value)))
def test_all_parts_have_one_type(keep: Keep, write: Write, one: pa.Array, other: pa.Array, kind: pa.DataType) -> None:
    write(rows(x=one), "in/a.parquet")
    write(rows(x=other), "in/b.parquet")
    out = keep()
    for folder in (out, out / "_rejected"):
        assert {pq.read_schema(path).field("x").type for path in folder.glob("part-*")} == {kind}
        taken = (0, 2) if folder == out else (1,)
        expected = [array[i].as_py() for array in (one, other) for i in taken]
        got = pq.read_table([str(path) for path in sorted(folder.glob("part-*"))])["x"].to_pylist()
        assert got == expected
    assert len(pd.read_parquet(out)) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1, 2]), pa.array([1.5, 2])),
        (pa.array(["1", "2"]), pa.array([1, 2])),
        (pa.array([NEAR, NEAR]), pa.array([NEAR.date()] * 2)),
    ],
    ids=lambda array: str(array.type),
)
@pytest.mark.parametrize("on_bad_file", ["fail", "skip"])
def test_types_without_a_common_one_are_refused_before_a_row(
    keep: Keep, write: Write, tmp_path: Path, one: pa.Array, other: pa.Array, on_bad_file: str
) -> None:
    write(rows(x=one), "in/a.parquet")
    write(rows(x=pa.nulls(2)), "in/b.parquet")
    write(rows(x=other), "in/c.parquet")
    message = f"kept column 'x': .* got {one.type} in .*a.parquet and {other.type} in .*c.parquet"
    with pytest.raises(ColumnError, match=message.replace("[", r"\[").replace("]", r"\]")):
        keep(on_bad_file=on_bad_file)
    assert not (tmp_path / "out").exists()


def test_the_dry_run_shows_the_common_type(bundle: Path, write: Write, tmp_path: Path) -> None:
    write(rows(x=pa.nulls(2)), "in/a.parquet")
    write(rows(x=pa.array([1, 2], pa.int16())), "in/b.parquet")
    settings = JobSettings((str(tmp_path / "in"),), tmp_path / "out", keep=("x",), device="cpu")
    assert any("x (int16)" in line for line in Job(Bundle.read(bundle), settings).lines())


def test_a_column_of_the_path_is_widened_to_the_files_own(keep: Keep, write: Write) -> None:
    write(rows(y=[1, 2]), "in/x=7/a.parquet")
    write(rows(x=pa.array([2**40, 2])), "in/b.parquet")
    assert sorted(pq.read_table(keep())["x"].to_pylist()) == [7, 2**40]


@pytest.mark.parametrize(
    ("values", "kind", "unit"),
    [
        ([FAR, NEAR, dt.datetime(1600, 1, 1)], pa.timestamp("us"), "us"),
        ([NEAR, NEAR, None], pa.timestamp("us"), "us"),
        ([pd.Timestamp("2024-06-01 00:00:00.000000001"), None, pd.Timestamp("1700-01-01")], pa.timestamp("ns"), "ns"),
    ],
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_int96_times_are_the_times_that_were_written(
    keep: Keep, write: Write, values: list[Any], kind: pa.DataType, unit: str, is_nested: bool
) -> None:
    array = pa.array(values, kind)
    if is_nested:
        array = pa.array([[value] for value in values], pa.list_(kind))
    write(rows(x=array), "in/a.parquet", **INT96)
    write(rows(x=array.slice(1, 2)), "in/b.parquet", **INT96)
    got = pq.read_table(keep())["x"]
    assert (got.type.value_type if is_nested else got.type) == pa.timestamp(unit)
    assert got.to_pylist() == [array[i].as_py() for i in (0, 2, 1)]


@pytest.mark.parametrize("unit", ["ns", "us"])
@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_int96_times_take_the_unit_of_another_files_times(
    keep: Keep, write: Write, unit: str, is_nested: bool, names: str
) -> None:
    plain, old = (pa.array([NEAR] * 2, pa.timestamp(unit)), pa.array([NEAR] * 2, pa.timestamp("ns")))
    if is_nested:
        plain, old = (pa.array([[value] for value in array], pa.list_(array.type)) for array in (plain, old))
    write(rows(x=plain), f"in/{names[0]}.parquet")
    write(rows(x=old), f"in/{names[1]}.parquet", **INT96)
    got = pq.read_table(keep())["x"]
    assert (got.type.value_type if is_nested else got.type) == pa.timestamp(unit)
    assert got.to_pylist() == [plain[0].as_py(), old[0].as_py()]


def test_int96_times_that_no_unit_holds_are_refused(keep: Keep, write: Write, tmp_path: Path) -> None:
    write(rows(x=pa.array([FAR, NEAR], pa.timestamp("us"))), "in/a.parquet", **INT96)
    fine = [pd.Timestamp("2024-06-01 00:00:00.000000001")] * 2
    write(rows(x=pa.array(fine, pa.timestamp("ns"))), "in/b.parquet", **INT96)
    with pytest.raises(ColumnError, match="times outside 1677 to 2262 .* and times with nanoseconds"):
        keep()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"no": 0.5}] * 2, pa.struct([("no", pa.float32())])),
        pa.array([{"no": "text"}] * 2),
        pa.array([{"no": 0.5, "yes": None}] * 2),
    ],
    ids=lambda array: str(array.type),
)
def test_a_struct_with_the_path_of_an_output_column_comes_out(keep: Keep, write: Write, column: pa.Array) -> None:
    write(rows(probability=column), "in/a.parquet")
    out = keep("probability")
    (part,) = out.glob("part-*")
    table = pq.ParquetFile(part).read()
    assert table["probability"].to_pylist() == column[:1].to_pylist()
    assert table["probability.no"].type == pa.float32()


def test_a_column_and_a_struct_of_another_type_share_a_path(bundle: Path, write: Write, tmp_path: Path) -> None:
    path = write(rows(x=pa.array([{"y": 0.5}] * 2)).append_column("x.y", pa.array(["a", "b"])))
    settings = JobSettings((str(path),), tmp_path / "out", keep=("x.y", "x"), device="cpu")
    Job(Bundle.read(bundle), settings).run()
    table = pq.read_table(tmp_path / "out")
    assert (table["x"].to_pylist(), table["x.y"].to_pylist()) == ([{"y": 0.5}], ["a"])


@pytest.mark.parametrize("name", [b"in/caf\xe9.parquet", b"in/city=K\xf6ln/b.parquet", b"in/city=K%F6ln/b.parquet"])
def test_names_that_are_no_text_are_bad_files(
    whyport: Whyport, bundle: Path, write: Write, tmp_path: Path, name: bytes
) -> None:
    good = write(rows(x=[1, 2]), "in/a.parquet")
    bad = os.path.join(os.fsencode(tmp_path), name)
    os.makedirs(os.path.dirname(bad), exist_ok=True)
    Path(os.fsdecode(bad)).write_bytes(good.read_bytes())
    command = ["run", bundle, tmp_path / "in", "--out", tmp_path / "out", "--device", "cpu", "--keep", "x"]
    assert "in UTF-8, got" in whyport(*command, exit_code=1).output
    assert not (tmp_path / "out").exists()
    assert "1 skipped" in whyport(*command, "--on-bad-file", "skip", exit_code=4).output
    assert pq.read_table(tmp_path / "out")["x"].to_pylist() == [1]
    assert "rows" in whyport("audit", tmp_path / "out").output
    assert "prediction" in whyport("show", tmp_path / "out", "--row", 0, "--file", "a.parquet").output


def test_a_folder_above_may_have_any_name(
    bundle: Path, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    above.mkdir()
    (above / "a.parquet").write_bytes(write(rows(x=[1, 2])).read_bytes())
    monkeypatch.chdir(above)
    settings = JobSettings(("a.parquet",), Path("out"), keep=("x",), device="cpu")
    report = Job(Bundle.read(bundle), settings).run()
    assert Job(Bundle.read(bundle), settings).run() == report
    whyport.audit(Path("out"), sample=1, device="cpu")


def test_names_of_columns_that_are_no_text_are_a_bad_file(bundle: Path, write: Write, tmp_path: Path) -> None:
    path = write(rows(xyzzy=[1, 2]), store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"xyzzy", b"x\xe9zzy"))
    with pytest.raises(DataError, match=r"expected names of columns in UTF-8, got b'x\\xe9zzy', in .*input.parquet"):
        Job(Bundle.read(bundle), JobSettings((str(path),), tmp_path / "out", device="cpu"))


@pytest.mark.parametrize("role", [{"keep": ("x",)}, {"explain_target": "label:x", "methods": ("gradient",)}])
@pytest.mark.parametrize("is_encoded", [False, True])
def test_texts_that_are_none_are_a_bad_file(
    bundle: Path, write: Write, tmp_path: Path, role: dict[str, Any], is_encoded: bool
) -> None:
    _, offsets, values = pa.array([b"yes", b"caf\xe9"]).buffers()
    text = pa.StringArray.from_buffers(2, offsets, values)
    path = write(rows(x=text.dictionary_encode() if is_encoded else text))
    with pytest.raises(DataError, match=r"column 'x': expected text in UTF-8, got other bytes.*, in .*input\.parquet"):
        Job(Bundle.read(bundle), JobSettings((str(path),), tmp_path / "out", device="cpu", **role)).run()


def test_what_is_passed_over_is_told(
    whyport: Whyport, bundle: Path, write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(rows(x=[1, 2]), "in/a.PARQUET")
    for name in ("b.csv", "c.csv", "_SUCCESS"):
        (tmp_path / "in" / name).write_text("x")
    command = ["run", bundle, tmp_path / "in", "--out", tmp_path / "out", "--device", "cpu"]
    told = "2 other files passed over: b.csv, c.csv; 1 passed over that begin with _ or ."
    assert told in whyport(*command, "--dry-run").output
    with caplog.at_level("INFO"):
        assert told in whyport(*command).output
    assert told in caplog.text


def test_an_output_in_the_input_folder_is_refused_at_once(bundle: Path, write: Write, tmp_path: Path) -> None:
    folder = write(rows(x=[1, 2]), "in/a.parquet").parent
    with pytest.raises(UsageError, match="the output folder .* is among the inputs"):
        Job(Bundle.read(bundle), JobSettings((str(folder),), folder / "out", device="cpu"))
    assert not (folder / "out").exists()
