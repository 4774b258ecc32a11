"""The estimated size and time of a run before it begins, and the refusal of one that would write too much."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import whyport as library
from support.command import Whyport
from whyport.batch.run.estimate import OutputSize, size_text
from whyport.batch.run.plan import Plan
from whyport.batch.run.warm_up import duration_text
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError

Write = Callable[..., Path]


def size_of(bundle: Path, source: Path, out: Path, **options: object) -> OutputSize:
    settings = JobSettings(inputs=(str(source),), out=out, **options)  # type: ignore[arg-type]
    return Plan.make(Bundle.read(bundle), settings).size


@pytest.mark.parametrize("layout", ["wide", "list"])
def test_the_size_is_that_of_the_written_columns_in_memory(
    layout: str, bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    source, out = write(table.append_column("n", pa.array(range(1000)))), tmp_path / "out"
    settings = {"keep": ("n",), "methods": ("gradient", "integrated-gradients"), "layout": layout}
    size = size_of(bundle, source, out, **settings)

    library.run(bundle, source, out, keep="n", explain=settings["methods"], layout=layout)

    written = pq.read_table(out)
    texts = [name for name in written.column_names if written.schema.field(name).type == pa.string()]
    expected = written.drop_columns(texts).nbytes + 1000 * 4 * len(texts)
    # Arrow's arrays have a bit a value for nulls as well.
    assert size.total == pytest.approx(expected, rel=0.03)


def test_fewer_explained_rows_take_less(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    source, options = write(table), {"methods": ("gradient",)}
    whole = size_of(bundle, source, tmp_path / "out", **options)
    tenth = size_of(bundle, source, tmp_path / "out", **options, explain_fraction=0.1)
    assert tenth.total == pytest.approx(whole.total - 0.9 * 1000 * whole.explanation)


def test_kept_texts_take_what_the_input_says(bundle: Path, write: Write, tmp_path: Path) -> None:
    values = [f"{i:06}" + "x" * 194 for i in range(500)]
    source = write(pa.table({"note": values} | {name: np.zeros(500) for name in "abc"}), use_dictionary=False)
    without, kept = (size_of(bundle, source, tmp_path / "out", keep=keep) for keep in ((), ("note",)))
    assert kept.own - without.own == pytest.approx(204, abs=3)


def test_lists_of_varying_length_count_with_their_most(
    varying_bundle: Path, varying_rows: Path, tmp_path: Path
) -> None:
    few, many = (
        size_of(varying_bundle, varying_rows, tmp_path / "out", methods=("gradient",), top_k=top_k)
        for top_k in (2, None)
    )
    assert many.explanation > few.explanation + 4 * 2


def test_an_output_above_the_limit_is_refused_with_what_to_do(
    whyport: Whyport, bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    source, out = write(table), tmp_path / "out"
    options = ["--explain", "gradient", "--keep", "id", "--max-output", "20kB"]

    message = whyport("run", bundle, source, "--out", out, *options, exit_code=2).output

    assert "max_output: expected at most 20 kB of output, got 1000 rows, about 8" in message
    assert "top_k, explain_where or explain_fraction, fewer kept columns, or a larger max_output" in message
    assert not out.exists()
    with pytest.raises(UsageError, match=r"^max_output: expected at most 20 kB"):
        library.plan(bundle, source, out, explain="gradient", max_output="20kB")
    assert library.run(bundle, source, out, explain="gradient", max_output="1MB").rows_out == 1000


def test_the_plan_tells_size_and_measured_time(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    lines = library.plan(bundle, write(table), tmp_path / "out", explain="gradient")
    (size,) = (line for line in lines if line.startswith("size "))
    (time,) = (line for line in lines if line.startswith("time "))
    assert "kB before compression, " in size
    assert time == "time      about 1 s, by the first 256 rows; writing is not counted"


def test_a_time_that_cannot_be_measured_says_why(
    bundle: Path, rows: NDArray[np.float64], write: Write, tmp_path: Path
) -> None:
    table = pa.table(dict(zip("abc", np.full_like(rows, np.nan).T, strict=True)))
    lines = library.plan(bundle, write(table), tmp_path / "out", on_bad_row="fail")
    (time,) = (line for line in lines if line.startswith("time "))
    assert time.startswith("time      not measured: column 'a': expected a finite number, got NaN, row 0, in "), time


def test_sizes_and_times_are_told_in_large_units() -> None:
    assert [size_text(size) for size in (0, 999, 1000, 20e9, 999.9e6, 5e15)] == [
        "0 B",
        "999 B",
        "1 kB",
        "20 GB",
        "1 GB",
        "5000 TB",
    ]
    assert [duration_text(each) for each in (0, 45, 60, 9000, 200_000)] == ["1 s", "45 s", "1 min", "2.5 h", "2.3 days"]
