"""Shards of jobs that explain by every method of the catalogue: the bytes of one run."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.engines import OF_NETWORKS
from ways import contents
from whyport.batch.methods.catalogue import METHODS
from whyport.runtime.bundle.folder import Bundle

METHODS_OF = {"reference_bundle": OF_NETWORKS, "tree_bundle": ("treeshap",), "image_bundle": ("cam",)}
SMALL = {"shapley": {"permutations": 8}, "lime": {"samples": 64}, "expected-gradients": {"steps": 4}}
OPTIONS: dict[str, Any] = {"batch_rows": 4, "part_rows": 4, "threads": 1}


def write_rows(bundle: Path, path: Path) -> Path:
    """Twenty-two rows of a table's columns."""
    names = [column.name for column in Bundle.read(bundle).sidecar.columns]
    columns = np.random.default_rng(9).normal(size=(len(names), 22))
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path)
    return path


def test_every_method_is_here() -> None:
    assert {name for names in METHODS_OF.values() for name in names} == set(METHODS)


@pytest.mark.parametrize("fixture", METHODS_OF)
def test_three_shards_make_the_bytes_of_one_run(fixture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Path = request.getfixturevalue(fixture)
    is_of_pictures = fixture == "image_bundle"
    rows = request.getfixturevalue("image_rows") if is_of_pictures else write_rows(bundle, tmp_path / "rows.parquet")
    methods = METHODS_OF[fixture]
    options = OPTIONS | {name: each for method in methods for name, each in SMALL.get(method, {}).items()}
    whyport.run(bundle, rows, tmp_path / "whole", explain=methods, **options)
    for shard in ("3/3", "1/3", "2/3"):
        whyport.run_shard(bundle, rows, tmp_path / "out", shard, explain=methods, **options)
    whyport.run(bundle, rows, tmp_path / "out", explain=methods, finish_only=True, **options)
    found, expected = contents(tmp_path / "out"), contents(tmp_path / "whole")
    assert len([name for name in expected if name.startswith("part-")]) > 3
    assert found == expected
