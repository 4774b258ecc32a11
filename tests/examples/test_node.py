import csv
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from support.programs import node
from whyport import Bundle, Session

ROWS = 150
"""More than two of the program's batches, and not a whole number of them."""


@pytest.fixture(scope="module")
def table(reference_bundle: Path) -> pd.DataFrame:
    """Rows within and beyond the training values, two of them missing, columns in another order and one more."""
    generator = np.random.default_rng(0)
    features = Bundle.read(reference_bundle).sidecar.columns
    values = {f.name: generator.normal(f.statistics.mean, 1.5 * f.spread, ROWS) for f in features}
    values = dict(reversed(values.items()))
    frame = pd.DataFrame({"patient": [f'P{i}, "kept"' for i in range(ROWS)]} | values)
    frame.loc[[3, 80], "mean radius"] = np.nan
    return frame


@pytest.fixture
def bundle(reference_bundle: Path, tmp_path: Path) -> Path:
    """A copy, to be spoiled."""
    return Path(shutil.copytree(reference_bundle, tmp_path / "bundle"))


def edit(bundle: Path, name: str, change: Any) -> None:
    """Rewrite a JSON file of a bundle, with its digest."""
    document = json.loads((bundle / name).read_text())
    change(document)
    (bundle / name).write_text(json.dumps(document))
    if name != "bundle.json":
        digest = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
        edit(bundle, "bundle.json", lambda sidecar: sidecar["files"].update({name: digest}))


def write(folder: Path, table: pd.DataFrame) -> Path:
    file = folder / "rows.csv"
    table.to_csv(file, index=False)
    return file


def test_the_test_vectors_are_reproduced(reference_bundle: Path) -> None:
    done = node("verify", reference_bundle)
    assert (done.returncode, done.stderr) == (0, "")
    first, *compared = done.stdout.splitlines()
    assert first.startswith(f"{reference_bundle}: {len(Bundle.read(reference_bundle).sidecar.files)} files as exported")
    assert all(line.endswith("ok") for line in compared)
    words = [tuple(line.split()[:2]) for line in compared]
    assert {("model.onnx", "logits"), ("model.onnx", "probabilities")} <= set(words)
    explained = ("logits", "score", "base_value", "attribution", "completeness_error")
    assert {("explain.onnx", name) for name in explained} <= set(words)
    assert ("gradient.onnx", "gradient") in words


def test_the_explanations_are_those_of_the_session(reference_bundle: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    out = tmp_path / "scored.csv"
    done = node("score", reference_bundle, write(tmp_path, table), "--out", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    scored = pd.read_csv(out)
    session = Session(Bundle.read(reference_bundle))
    names = session.bundle.sidecar.targets
    expected, outputs = session.explain(table), session.predict(table)
    attributions = scored[[f"attribution.{column.name}" for column in session.bundle.sidecar.columns]]
    assert_allclose(attributions, expected.values, rtol=1e-4, atol=1e-5)
    assert_allclose(scored["score"], expected.output, rtol=1e-5, atol=1e-5)
    assert_allclose(scored["base_value"], expected.base_value, rtol=1e-5, atol=1e-5)
    assert_allclose(scored[[f"probability.{name}" for name in names]], outputs["probabilities"], atol=1e-6)
    assert_array_equal(scored["prediction"], np.array(names)[outputs["logits"].argmax(axis=1)])
    assert_array_equal(scored["explained_target"], scored["prediction"])
    assert_array_equal(scored["explained_class"], scored["prediction"])
    assert_array_equal(scored["source_row"], np.arange(ROWS))
    sums = attributions.sum(axis=1) - (scored["score"] - scored["base_value"])
    assert_allclose(scored["completeness_error"], np.abs(sums), atol=1e-12)
    assert scored["converged"].all()
    assert [file.name for file in tmp_path.iterdir() if "unfinished" in file.name] == []


def test_a_line_has_the_strongest_reasons_of_the_chosen_class(
    reference_bundle: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    bundle = Bundle.read(reference_bundle)
    name = bundle.sidecar.targets[1]
    done = node("score", reference_bundle, write(tmp_path, table), "--top-k", 2, "--class", name)
    assert (done.returncode, done.stderr) == (0, "")
    expected = Session(bundle).explain(table, name)
    lines = done.stdout.splitlines()
    assert len(lines) == ROWS
    for line, values, score in zip(lines, expected.values, expected.output, strict=True):
        strongest = np.argsort(-np.abs(values), kind="stable")[:2]
        reasons = ", ".join(f"{bundle.sidecar.columns[j].name} {values[j]:+.2f}" for j in strongest)
        assert line.endswith(f": {reasons}, ...")
        shown = re.search(r"score(?: of \S+)? (\S+) = base", line)
        assert shown is not None
        assert abs(float(shown[1]) - score) <= 0.0051


def test_predictions_alone_need_no_explaining_graph(bundle: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    def drop(sidecar: dict[str, Any]) -> None:
        del sidecar["files"]["explain.onnx"]
        sidecar["capabilities"]["explain-onnx"] = {"available": False, "reason": "no rule for Sinh"}

    edit(bundle, "bundle.json", drop)
    edit(bundle, "conformance.json", lambda document: document["graphs"].pop("explain.onnx"))
    file = write(tmp_path, table.head(3))
    done = node("score", bundle, file, "--top-k", 0)
    assert done.returncode == 0
    assert re.fullmatch(r"(row \d  (benign|malignant) [\d.]+ %\n){3}", done.stdout)
    refused = node("score", bundle, file)
    assert refused.stderr == f"error: {bundle} has no explain.onnx: no rule for Sinh\n"
    verified = node("verify", bundle)
    assert verified.returncode == 0
    assert "model.onnx    logits" in verified.stdout
    assert "explain.onnx" not in verified.stdout


def test_a_row_without_finite_outputs_has_no_prediction(bundle: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    model = onnx.load(bundle / "explain.onnx")
    for each in model.graph.node:
        each.output[:] = ["raw" if name == "logits" else name for name in each.output]
        each.input[:] = ["raw" if name == "logits" else name for name in each.input]
    model.graph.node.append(onnx.helper.make_node("Sub", ["raw", "raw"], ["nothing"]))
    model.graph.node.append(onnx.helper.make_node("Log", ["nothing"], ["logits"]))
    onnx.save(model, bundle / "explain.onnx")
    digest = hashlib.sha256((bundle / "explain.onnx").read_bytes()).hexdigest()
    edit(bundle, "bundle.json", lambda sidecar: sidecar["files"].update({"explain.onnx": digest}))
    rows, out = write(tmp_path, table.head(2)), tmp_path / "scored.csv"
    printed = node("score", bundle, rows).stdout
    assert printed == "".join(f"row {i}  no prediction: the model's outputs are not finite\n" for i in range(2))
    assert node("score", bundle, rows, "--out", out).returncode == 0
    assert pd.read_csv(out).drop(columns="source_row").isna().all(axis=None)


def spoil_version(bundle: Path) -> None:
    edit(bundle, "bundle.json", lambda sidecar: sidecar.update(format_version=1))


def spoil_keys(bundle: Path) -> None:
    edit(bundle, "bundle.json", lambda sidecar: sidecar["inputs"][0]["columns"][2].update(colour="red"))


def spoil_task(bundle: Path) -> None:
    edit(bundle, "bundle.json", lambda sidecar: sidecar["score"].update(task="survival"))


def spoil_tolerance(bundle: Path) -> None:
    edit(bundle, "bundle.json", lambda sidecar: sidecar["tolerances"].pop("completeness"))


def spoil_bytes(bundle: Path) -> None:
    (bundle / "explain.onnx").write_bytes((bundle / "explain.onnx").read_bytes() + b"\0")


def spoil_json(bundle: Path) -> None:
    (bundle / "bundle.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_version, "expected format version 3, got 1, in bundle.json of "),
        (spoil_keys, r"bundle.json: \$.inputs\[0\].columns\[2\]: unknown key 'colour'"),
        (
            spoil_task,
            r"bundle.json: \$.score.task: expected classification or regression, got .survival.: it needs a newer",
        ),
        (spoil_tolerance, r"bundle.json: \$.tolerances: missing key 'completeness'"),
        (spoil_bytes, "explain.onnx of .* has changed: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}"),
        (spoil_json, "expected UTF-8 JSON in bundle.json of "),
        (lambda bundle: (bundle / "explain.onnx").unlink(), "explain.onnx of .* is missing"),
        (lambda bundle: (bundle / "bundle.json").unlink(), "expected a bundle, a folder with bundle.json, got "),
    ],
)
def test_a_bundle_that_is_not_as_it_was_exported_is_refused(
    bundle: Path, table: pd.DataFrame, tmp_path: Path, spoil: Any, message: str
) -> None:
    spoil(bundle)
    done = node("score", bundle, write(tmp_path, table.head(2)))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"error: {message}.*\n", done.stderr)


def test_test_vectors_of_another_model_are_not_reproduced(bundle: Path) -> None:
    def shift(document: dict[str, Any]) -> None:
        document["tensors"]["attribution"][0][7] += 0.01

    edit(bundle, "conformance.json", shift)
    done = node("verify", bundle)
    assert done.returncode == 1
    assert re.search(r"explain.onnx +attribution +\S+ of 0.0001  NOT REPRODUCED", done.stdout)
    assert done.stdout.count("NOT REPRODUCED") == 1
    assert done.stderr == f"error: the test vectors of {bundle} are not reproduced here\n"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("twelve", "column 'mean area': expected a number, got 'twelve', in {file}, line 3"),
        ("0x10", "column 'mean area': expected a number, got '0x10', in {file}, line 3"),
        ("inf", "column 'mean area': expected a number, got 'inf', in {file}, line 3"),
        ("1e39", "column 'mean area': 1e39 is beyond float32, in {file}, line 3"),
        (None, "missing column 'mean area' in {file}; it has .* and 22 more"),
    ],
)
def test_a_table_that_cannot_be_scored_is_refused(
    reference_bundle: Path, table: pd.DataFrame, tmp_path: Path, cell: str | None, message: str
) -> None:
    rows = table.head(2).astype({"mean area": object})
    rows.loc[1, "mean area"] = cell
    file = write(tmp_path, rows.drop(columns="mean area") if cell is None else rows)
    done = node("score", reference_bundle, file, "--out", tmp_path / "scored.csv")
    assert done.returncode == 1
    assert re.fullmatch(f"error: {message}\n".format(file=re.escape(str(file))), done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def refuse_missing(sidecar: dict[str, Any]) -> None:
    for column in sidecar["inputs"][0]["columns"]:
        column.update(missing="refuse", imputation=None)


def test_a_missing_value_needs_a_bundle_that_imputes(bundle: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    edit(bundle, "bundle.json", refuse_missing)
    file = write(tmp_path, table.head(5))
    done = node("score", bundle, file)
    message = f"column 'mean radius': missing value, and the bundle does not impute, in {file}, line 5"
    assert (done.returncode, done.stderr) == (1, f"error: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected verify BUNDLE or score BUNDLE data.csv, got ''"),
        (["score", "{bundle}", "rows.csv", "--top-k", "-1"], "Option '--top-k' argument is ambiguous"),
        (["score", "{bundle}", "rows.csv", "--top-k", "many"], "--top-k: expected a whole number, got 'many'"),
        (
            ["score", "{bundle}", "rows.csv", "--class", "maybe"],
            "--class: unknown class 'maybe'; the bundle has the classes benign, malignant\n",
        ),
    ],
)
def test_a_wrong_command_line_is_refused(reference_bundle: Path, arguments: list[str], message: str) -> None:
    done = node(*(argument.format(bundle=reference_bundle) for argument in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")


def test_class_names_with_commas_and_quotes_are_quoted(bundle: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    names = ['benign, "sure"', "malignant"]
    edit(
        bundle,
        "bundle.json",
        lambda sidecar: sidecar["score"].update(targets=[{"name": n, "unit": None} for n in names]),
    )
    done = node("score", bundle, write(tmp_path, table), "--out", tmp_path / "scored.csv")
    assert done.returncode == 0
    with (tmp_path / "scored.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head[2:4] == [f"probability.{name}" for name in names]
    assert {row[1] for row in rows} == set(names)
