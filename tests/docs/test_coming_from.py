"""docs/coming-from.md: a service's configuration and its translation say the same, and the translation runs."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.command import Whyport
from support.pages import ROOT, blocks
from whyport.batch.review.finished_run import FinishedRun
from whyport.cli import COMMANDS
from whyport.runtime.bundle.folder import Bundle

PAGE = ROOT / "docs" / "coming-from.md"
CLARIFY, VERTEX = (json.loads(text) for text in blocks(PAGE, "json"))
(BIGQUERY,) = blocks(PAGE, "sql")
LINES = [
    [shlex.split(line, comments=True)[1:] for line in text.replace("\\\n", " ").splitlines()]
    for text in blocks(PAGE, "bash")
]
ROWS = 6


@pytest.fixture(scope="module")
def folder(reference_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle and the night of the page."""
    folder = tmp_path_factory.mktemp("coming-from")
    shutil.copytree(reference_bundle, folder / "bundle")
    features = Bundle.read(folder / "bundle").sidecar.columns
    generator = np.random.default_rng(0)
    table: dict[str, Any] = {f.name: generator.normal(f.statistics.mean, f.spread, size=ROWS) for f in features}
    table["diagnosis"] = ["benign", "malignant"] * (ROWS // 2)
    table["patient_id"] = [f"P{i}" for i in range(ROWS)]
    pq.write_table(pa.table(table), folder / "night.parquet")
    return folder


def ran(whyport: Whyport, folder: Path, line: list[str], monkeypatch: pytest.MonkeyPatch) -> FinishedRun:
    monkeypatch.chdir(folder)
    whyport(*line, "--device", "cpu")
    return FinishedRun.read(folder / line[line.index("--out") + 1])


def test_a_clarify_job_is_a_run_groups_and_a_report(
    whyport: Whyport, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, report = LINES[0]
    done = ran(whyport, folder, run, monkeypatch)
    shap, settings = CLARIFY["methods"]["shap"], done.settings
    options = settings.explain_settings.of_method("shapley").options
    assert (settings.methods, settings.explain_settings.seed) == (("shapley",), shap["seed"])
    assert options["max_evaluations"] == shap["num_samples"]
    assert set(settings.keep) == {CLARIFY["label"], CLARIFY["joinsource_name_or_index"]}
    assert done.report.explained == {"shapley": ROWS}
    (facet,) = CLARIFY["facet"]
    edges = ",".join(map(str, facet["value_or_threshold"]))
    assert report[report.index("--by") + 1] == f"{facet['name_or_index']}:{edges}"
    assert report[report.index("--label") + 1] == CLARIFY["label"]
    # Without another choice, the rates are those of the last class.
    assert CLARIFY["label_values_or_threshold"] == [done.task.targets[-1]]
    pytest.importorskip("fairlearn")
    whyport(*report, "--device", "cpu")
    page = (folder / "report.html").read_text(encoding="utf-8")
    for name in ("Mean |attribution|, shapley", "demographic parity", "equal opportunity", "&lt; 14", "&gt;= 14"):
        assert name in page


def test_a_specification_of_vertex_is_a_run(whyport: Whyport, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((line,), _) = LINES[1:]
    done = ran(whyport, folder, line, monkeypatch)
    parameters = VERTEX["parameters"]
    steps = done.settings.explain_settings.of_method("integrated-gradients").options["steps"]
    assert steps == parameters["integratedGradientsAttribution"]["stepCount"]
    assert parameters["topK"] == -1
    assert [each.target for each in done.explanations] == list(done.task.targets)


def test_a_query_of_bigquery_is_a_run(whyport: Whyport, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, (line,)) = LINES[1:]
    asked = {name: int(number) for number, name in re.findall(r"(\d+) AS (\w+)", BIGQUERY)}
    done = ran(whyport, folder, line, monkeypatch)
    steps = done.settings.explain_settings.of_method("integrated-gradients").options["steps"]
    assert {"top_k_features": done.settings.top_k, "integrated_gradients_num_steps": steps} == asked
    kept = pq.read_table(sorted((folder / "bigquery").glob("*.parquet")))
    assert all(len(row) == asked["top_k_features"] for row in kept["top_feature"].to_pylist())


def test_every_option_of_the_page_is_one(whyport: Whyport) -> None:
    known = "".join(whyport(name, "--help").output for name in COMMANDS)
    compare_s = whyport("compare", "--help").output if "compare" in COMMANDS else ""
    named = set(re.findall(r"`(?:whyport )?(?:run |export |compare )?(--[a-z-]+)", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 20
    named -= {"--favourable"} if "--by" not in compare_s else set()
    assert {option for option in named if option not in known} == set()
