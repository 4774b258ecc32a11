"""Shards of jobs that explain by every method of the catalogue: the bytes of one run."""

from pathlib import Path

import pytest

import whyport
from support.every_method import METHODS_OF, options_of, write_rows
from ways import contents
from whyport.batch.methods.catalogue import METHODS


def test_every_method_is_here() -> None:
    assert {name for names in METHODS_OF.values() for name in names} == set(METHODS)


@pytest.mark.parametrize("fixture", METHODS_OF)
def test_three_shards_make_the_bytes_of_one_run(fixture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Path = request.getfixturevalue(fixture)
    is_of_pictures = fixture == "image_bundle"
    rows = request.getfixturevalue("image_rows") if is_of_pictures else write_rows(bundle, tmp_path / "rows.parquet")
    methods, options = METHODS_OF[fixture], options_of(fixture)
    whyport.run(bundle, rows, tmp_path / "whole", explain=methods, **options)
    for shard in ("3/3", "1/3", "2/3"):
        whyport.run_shard(bundle, rows, tmp_path / "out", shard, explain=methods, **options)
    whyport.run(bundle, rows, tmp_path / "out", explain=methods, finish_only=True, **options)
    found, expected = contents(tmp_path / "out"), contents(tmp_path / "whole")
    assert len([name for name in expected if name.startswith("part-")]) > 3
    assert found == expected
