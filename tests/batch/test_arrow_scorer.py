"""A table in, a table out: a row for every row, with a run's values."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.every_method import METHODS_OF, options_of, write_rows
from whyport import ArrowScorer, run
from whyport.runtime.errors import ColumnError, MissingValueError, UsageError

TOLERANCE = 2e-6
"""Last bits depend on the rows that are computed together."""


@pytest.fixture
def spoiled(table: pa.Table) -> pa.Table:
    """A thousand rows, of which the first, the tenth and the last cannot be scored."""
    values = table["b"].to_pylist()
    values[0], values[9], values[-1] = None, float("nan"), float("inf")
    return table.set_column(2, "b", pa.array(values))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"explain": "gradient"},
        {"explain": ("gradient", "shapley"), "explain_target": "all", "permutations": 4},
        {"explain": "gradient", "layout": "list"},
        {"explain": "gradient", "top_k": 2},
    ],
)
def test_the_values_are_those_of_a_run(
    options: dict[str, Any], bundle: Path, spoiled: pa.Table, write: Callable[..., Path], tmp_path: Path
) -> None:
    run(bundle, write(spoiled), tmp_path / "out", keep="id", **options)
    ran = pq.read_table(sorted((tmp_path / "out").glob("part-*.parquet"))[0]).drop_columns(["source_file"])
    refused = pq.read_table(next((tmp_path / "out" / "_rejected").iterdir()))
    scored = ArrowScorer(bundle, keep="id", batch_rows=300, **options)(spoiled)
    assert scored.schema == ArrowScorer.schema(bundle, spoiled.schema, keep="id", batch_rows=300, **options)
    assert scored["id"].to_pylist() == spoiled["id"].to_pylist()
    assert scored.filter(pa.compute.is_valid(scored["problem"]))["problem"].to_pylist() == refused["reason"].to_pylist()
    bad = [0, 9, 999]
    assert [i for i, problem in enumerate(scored["problem"].to_pylist()) if problem] == bad
    for name in set(scored.schema.names) - {"id", "problem"}:
        assert all(scored[name][i].as_py() is None for i in bad)
    good = scored.take(pa.array([int(i) for i in ran["source_row"].to_pylist()]))
    for name in set(ran.schema.names) - {"source_row"}:
        found, expected = good[name].to_pylist(), ran[name].to_pylist()
        if pa.types.is_floating(ran[name].type) or (
            pa.types.is_fixed_size_list(ran[name].type) and name != "top_feature"
        ):
            numbers = [np.array(values, dtype=np.float64) for values in (found, expected)]
            np.testing.assert_allclose(*numbers, atol=TOLERANCE, rtol=1e-5)
        else:
            assert found == expected, name


@pytest.mark.parametrize("fixture", METHODS_OF)
def test_every_method(fixture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Path = request.getfixturevalue(fixture)
    rows = request.getfixturevalue("image_rows") if fixture == "image_bundle" else write_rows(bundle, tmp_path / "rows")
    options = {name: value for name, value in options_of(fixture).items() if name not in ("part_rows", "threads")}
    table = pq.read_table(rows)
    scorer = ArrowScorer(bundle, explain=METHODS_OF[fixture], threads=1, keep=(), **options)
    scored = scorer(table)
    assert scored.num_rows == table.num_rows
    scored.validate(full=True)
    assert scored.schema == ArrowScorer.schema(bundle, table.schema, explain=METHODS_OF[fixture], keep=(), **options)


def test_tables_of_any_cut(bundle: Path, spoiled: pa.Table) -> None:
    scorer = ArrowScorer(bundle, explain="gradient", batch_rows=64, keep="id")
    whole = scorer(spoiled)
    assert ArrowScorer(bundle)(spoiled).schema.names[:4] == spoiled.schema.names
    pieces = pa.concat_tables([spoiled.slice(0, 7), spoiled.slice(7, 500), spoiled.slice(507)])
    assert scorer(pieces).equals(whole)
    assert scorer(spoiled.combine_chunks().to_batches()[0]).equals(whole)
    assert scorer(spoiled.slice(0, 0)).equals(whole.slice(0, 0))
    only_bad = scorer(spoiled.slice(9, 1))
    assert only_bad["problem"].to_pylist() == ["column 'b': expected a finite number, got NaN"]
    assert only_bad["prediction"].to_pylist() == [None]


def test_bad_rows_may_fail(bundle: Path, spoiled: pa.Table) -> None:
    with pytest.raises(MissingValueError, match=r"^column 'b': expected a finite number, got null, row 0$"):
        ArrowScorer(bundle, on_bad_row="fail")(spoiled)


def test_what_does_not_fit_is_refused(bundle: Path, table: pa.Table) -> None:
    scorer = ArrowScorer(bundle)
    with pytest.raises(ColumnError, match="missing feature columns.*, in the table$"):
        scorer(table.drop_columns(["c"]))
    with pytest.raises(ColumnError, match=r"^columns 'problem', 'prediction' would appear twice|^columns 'prediction'"):
        scorer(table.append_column("prediction", table["id"]).append_column("problem", table["id"]))
    with pytest.raises(ColumnError, match="missing kept columns"):
        ArrowScorer(bundle, keep="x")(table)
    for name in ("part_rows", "explain_where", "overwrite", "stepps"):
        with pytest.raises(UsageError, match=f"unknown option '{name}'"):
            ArrowScorer(bundle, **{name: 1})  # type: ignore[arg-type]


def test_the_schema_opens_no_model(bundle: Path) -> None:
    program = (
        "import sys, pyarrow as pa, whyport\n"
        "table = pa.schema([(name, pa.float64()) for name in 'abc'])\n"
        "print(whyport.ArrowScorer.schema(sys.argv[1], table, explain='gradient').names[-1])\n"
        "print({'onnxruntime', 'torch', 'ray', 'pyspark'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program, bundle], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["problem", "set()"]
