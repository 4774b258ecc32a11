"""The comparison of two checkouts' output can fail: in pages, in schema, in metadata."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare-checkouts"
compare = SimpleNamespace(**runpy.run_path(str(SCRIPT)))

TABLE = pa.table({"source_row": [0, 1, 2], "score": [0.5, float("nan"), -1.0]})
METADATA = {"whyport": {"settings": {"top_k": None}, "versions": {"numpy": "2"}}, "whyport.totals": {"rows_out": 3}}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder with one part."""

    def make(name: str, table: pa.Table = TABLE, metadata: dict[str, Any] = METADATA, **options: Any) -> Path:
        out = tmp_path / name
        out.mkdir()
        described = {key: json.dumps(value) for key, value in metadata.items()}
        pq.write_table(table.replace_schema_metadata(described), out / "part-0.parquet", **options)
        return out

    return make


def test_equal_parts_do_not_differ(folder: Callable[..., Path]) -> None:
    assert not list(compare.differences(folder("old"), folder("new")))
    assert not list(compare.metadata_differences(folder("older"), folder("newer")))


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"table": TABLE.set_column(1, "score", pa.array([0.5, 0.25, -1.0]))}, "pages differ: row group 0, score"),
        ({"table": TABLE.rename_columns(["source_row", "value"])}, "schemas differ"),
        ({"compression": "zstd"}, "pages differ: row group 0, source_row"),
    ],
)
def test_other_parts_differ(folder: Callable[..., Path], changed: dict[str, Any], found: str) -> None:
    lines = list(compare.differences(folder("old"), folder("new", **changed)))
    assert lines[0] == f"part-0.parquet: {found}"


def test_a_missing_part_differs(folder: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "part-0.parquet" in next(compare.differences(folder("old"), tmp_path / "empty"))


def test_every_difference_of_the_metadata_is_listed(folder: Callable[..., Path]) -> None:
    changed = {"whyport": {"settings": {"top_k": 5, "seed": 1}, "versions": {}}, "whyport.totals": {"rows_out": 3}}
    assert sorted(compare.metadata_differences(folder("old"), folder("new", metadata=changed))) == [
        "whyport.settings.seed: added",
        "whyport.settings.top_k: None before, 5 now",
        "whyport.versions.numpy: gone",
    ]
