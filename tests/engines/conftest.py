"""What the tests of Ray and Spark share; scripts/engines makes the environment that they need."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

import whyport
from support.clusters import FILES, OPTIONS, ROWS, contents, write_rows

REQUIRED = "WHYPORT_ENGINES"
"""The variable that, set to "required", makes a missing engine a failure."""

missing = [name for name in ("ray", "pyspark") if find_spec(name) is None]
if missing and os.environ.get(REQUIRED) == "required":
    raise ModuleNotFoundError(f"no {' and no '.join(missing)}: scripts/engines installs them")
collect_ignore_glob = ["test_*.py"] if missing else []


@pytest.fixture(scope="session")
def inputs(reference_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of rows of the reference bundle, one of which cannot be scored."""
    folder = tmp_path_factory.mktemp("inputs")
    for index in range(FILES):
        write_rows(reference_bundle, folder / f"{index}.parquet", ROWS, index)
    return folder


@pytest.fixture(scope="session")
def here(reference_bundle: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The parts that this process makes."""
    out = tmp_path_factory.mktemp("here") / "out"
    whyport.run(reference_bundle, inputs, out, **OPTIONS)
    return contents(out)
