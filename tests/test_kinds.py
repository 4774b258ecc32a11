"""The contract of every kind of model: exported, proved, run, resumed, reported, and served without its framework."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import whyport
from support.interruptions import StopAfter
from support.kind_examples import EXAMPLES, FEATURES, TARGET, loans
from whyport.exporter.kinds import KINDS
from whyport.runtime.errors import InterruptedJobError

# Keras' variables say it of themselves when a model is saved.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

ROWS, PART_ROWS = 120, 40
FRAMEWORKS = (
    "torch",
    "sklearn",
    "scipy",
    "skl2onnx",
    "onnxmltools",
    "onnx",
    "xgboost",
    "lightgbm",
    "catboost",
    "keras",
)

ELSEWHERE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FRAMEWORKS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import json
import whyport

for kind, (bundle, rows, out, method, engine) in json.loads(sys.argv[1]).items():
    whyport.predict(bundle, rows, out=out + ".csv")
    whyport.run(bundle, rows, out, explain=method, engine=engine, keep=["approved"], part_rows=50)
"""


class StopAfterOne(StopAfter):
    """Comes after the first part."""

    def __init__(self) -> None:
        super().__init__(1)


@dataclass(frozen=True)
class Served:
    """A bundle of a model of one kind, and a finished run of it."""

    bundle: whyport.Bundle
    rows: Path
    out: Path
    method: str
    engine: str


def options_of(method: str) -> dict[str, Any]:
    """The options of a run of three parts."""
    return {"explain": method, "keep": [TARGET], "batch_rows": PART_ROWS, "part_rows": PART_ROWS, "device": "cpu"}


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Served]:
    """Makes the bundle and the run of a kind, once; the run is stopped after a part, and resumed.

    With as few references as explain.onnx has, the engines explain against the same ones.
    """

    @functools.cache
    def make(kind: str) -> Served:
        folder = tmp_path_factory.mktemp(kind)
        table, example = loans(), EXAMPLES[kind]
        table.to_csv(folder / "sample.csv", index=False)
        rows = folder / "rows.parquet"
        table[:ROWS].to_parquet(rows, index=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(folder)
            source = example.make(folder, table)
            bundle = whyport.export(
                source, folder / "sample.csv", folder / "bundle", exclude=TARGET, classes=["no", "yes"], background=10
            )
        out = folder / "scored"
        options = options_of(example.method)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("whyport.batch.run.interruption.Interruption", StopAfterOne)
            with pytest.raises(InterruptedJobError):
                whyport.run(bundle, rows, out, **options)
        assert not (out / "_SUCCESS").exists()
        report = whyport.run(bundle, rows, out, **options)
        assert (report.rows_in, report.rows_out) == (ROWS, ROWS)
        return Served(bundle, rows, out, example.method, example.engine)

    return make


def test_every_kind_of_the_table_has_an_example() -> None:
    assert set(EXAMPLES) == set(KINDS)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_it_is_exported_and_proved(serve: Callable[[str], Served], kind: str) -> None:
    sidecar = serve(kind).bundle.sidecar
    assert sidecar.targets == ("no", "yes")
    assert tuple(column.name for column in sidecar.columns) == FEATURES
    if kind not in ("pytorch", "onnx"):  # these two have no framework of their own to compare with
        assert sidecar.parity["native"] <= 1e-5
        assert "float32_rows" in sidecar.parity
    assert whyport.verify(serve(kind).bundle)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_its_run_is_whole_and_its_reasons_add_up(serve: Callable[[str], Served], kind: str) -> None:
    served = serve(kind)
    table = pq.read_table(served.out).to_pandas()
    assert len(table) == ROWS
    assert table["converged"].all()
    shares = table[[name for name in table if ".attribution." in name or name.startswith("attribution.")]]
    gap = np.abs(table["score"] - table["base_value"] - shares.sum(axis=1)) / np.maximum(1, np.abs(table["score"]))
    assert gap.max() < 1e-5
    assert any("each once" in line for line in whyport.audit(served.out))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_run_that_was_stopped_gives_what_one_gives_at_once(
    serve: Callable[[str], Served], kind: str, tmp_path: Path
) -> None:
    served = serve(kind)
    whyport.run(served.bundle, served.rows, tmp_path / "out", **options_of(served.method))
    for part in (tmp_path / "out").glob("part-*.parquet"):
        assert (served.out / part.name).read_bytes() == part.read_bytes()
    assert json.loads((served.out / "_report.json").read_text())["performance"]["resumed_parts"] == 1


@pytest.mark.parametrize("kind", EXAMPLES)
def test_its_report_names_the_score_s_unit(serve: Callable[[str], Served], kind: str, tmp_path: Path) -> None:
    served = serve(kind)
    whyport.report(served.out, tmp_path / "report.html", label=TARGET, row=0)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Attributions for yes" in page
    assert {"logit": "logit", "probability": "probability", "margin": "margin"}[
        served.bundle.sidecar.score.kind
    ] in page


@pytest.fixture(scope="module")
def elsewhere(serve: Callable[[str], Served], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a process gives in which no framework can be imported: for each kind a run, and predictions."""
    folder = tmp_path_factory.mktemp("elsewhere")
    asked = {}
    for kind in EXAMPLES:
        served = serve(kind)
        asked[kind] = [str(p) for p in (served.bundle.path, served.rows, folder / kind, served.method, served.engine)]
    command = [sys.executable, "-W", "error", "-c", ELSEWHERE, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("kind", EXAMPLES)
def test_another_process_without_any_framework_gives_the_same(
    serve: Callable[[str], Served], elsewhere: Path, kind: str
) -> None:
    served = serve(kind)
    here, there = (pq.read_table(out).to_pandas() for out in (served.out, elsewhere / kind))
    numbers = [name for name in here.select_dtypes("number") if name in there]
    assert {"score", "base_value", "probability.yes"} <= set(numbers)
    np.testing.assert_allclose(there[numbers], here[numbers], rtol=1e-4, atol=1e-5)
    predicted = pd.read_csv(elsewhere / f"{kind}.csv")
    assert (predicted["prediction"] == here["prediction"]).all()
