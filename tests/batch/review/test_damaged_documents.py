"""A run's documents with any value damaged: whoever reads them says what is wrong and where, or reads the same."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import WhyportError

WRONG: tuple[Any, ...] = ("text", -1, 0.5, None, [1], {"a": 1})


@pytest.fixture(scope="module")
def run(reference_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    bundle = whyport.Bundle.read(reference_bundle)
    rows = References.read(bundle).rows[:8]
    pq.write_table(pa.table(dict(zip(bundle.sidecar.feature_names, rows.T, strict=True))), folder / "rows.parquet")
    whyport.run(reference_bundle, folder / "rows.parquet", folder / "out", explain="gradient", keep=())
    return folder / "out"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a document; of a list the first element alone."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def damaged(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    at = copy
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return copy


def read_all(folder: Path) -> None:
    run = FinishedRun.read(folder)
    run.report.lines(run.task)
    run.report.exit_code("1%", "1%", "1%")
    _ = run.parts, run.columns, run.selection, run.explanations, run.job.choice.columns
    _ = run.job.settings.explain_settings, run.job.of_every_part()


@pytest.mark.parametrize("name", ["_job.json", "_report.json"])
def test_every_value(run: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "out"))
    document = json.loads((folder / name).read_text())
    faults = []
    for path in places(document):
        for value in WRONG:
            (folder / name).write_text(json.dumps(damaged(document, path, value)))
            try:
                read_all(folder)
            except WhyportError as error:
                if name not in str(error) and str(folder) not in str(error):
                    faults.append(f"{path} = {value!r}: no place in {str(error)[:120]!r}")
            except Exception as error:
                faults.append(f"{path} = {value!r}: {type(error).__name__}: {str(error)[:100]}")
    assert not faults, "\n".join(faults)
