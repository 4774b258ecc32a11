"""The reader in JavaScript meets hostile sidecars: each is refused in words, and none ends it in another way."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.golden import GOLDEN
from support.hostile import BETWEEN_KEYS, SINGLE_VALUES, Hostile

ROOT = Path(__file__).parents[2]
PROGRAM = """
import { readFileSync } from "node:fs";
import { Bundle, BundleError } from "./examples/shared/bundle.mjs";
const said = [];
for (const text of JSON.parse(readFileSync(0))) {
  try {
    await Bundle.read("here", async () => new TextEncoder().encode(text));
    said.push(null);
  } catch (error) {
    said.push(error instanceof BundleError ? error.message : `TRACEBACK ${error.stack}`);
  }
}
console.log(JSON.stringify(said));
"""
UNREAD = (
    *("$.parity", "$.provenance", "$.capabilities", "$.players.cells", "$.inputs[0].prepare.standardised"),
    *(f"$.baselines[{i}].{key}" for i in (0, 1) for key in ("file", "rows", "figures")),
)
"""Parts of a sidecar that the programs do not use."""

READ = {"numeric_classification", "regression", "one_logit", "categories", "trees", "variant"}
"""The hand-written sidecars whose bundles the programs run."""

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")


def said_of(texts: list[str]) -> list[str | None]:
    """What the reader says of each sidecar; None where it is content."""
    done = subprocess.run(
        ["node", "--input-type=module", "-e", PROGRAM],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stderr == ""
    said: list[str | None] = json.loads(done.stdout)
    return said


def test_hand_written_sidecars_are_read_or_need_a_newer_reader() -> None:
    texts = [path.read_text(encoding="utf-8") for path in GOLDEN.values()]
    said = dict(zip(GOLDEN, said_of(texts), strict=True))
    assert {name for name, message in said.items() if message is None} == READ
    for name in set(GOLDEN) - READ:
        assert "it needs a newer reader" in str(said[name]), name
        assert str(said[name]).startswith("bundle.json: $."), name


def test_a_kind_of_score_that_no_task_has_needs_a_newer_reader() -> None:
    document = json.loads(GOLDEN["regression"].read_text(encoding="utf-8"))
    document["score"]["kind"] = "margin"
    (said,) = said_of([json.dumps(document)])
    assert str(said).startswith("unknown task 'regression margin'; known: ")
    assert "it needs a newer reader" in str(said)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("categories", "values", 0), "two"),
        (("categories", "values", 0), "2.0"),
        (("categories", "counts"), [1]),
        (("categories", "type"), "boolean"),
        (("imputation",), 1.0),
        (("numbers",), {"minimum": 0}),
        (("categories",), None),
    ],
    ids=str,
)
def test_categories_that_contradict_themselves_are_refused(place: tuple[str | int, ...], value: object) -> None:
    document = json.loads(GOLDEN["categories"].read_text(encoding="utf-8"))
    Hostile(("inputs", 0, "columns", 3, *place), value).applied(document)
    (said,) = said_of([json.dumps(document)])
    assert str(said).startswith("bundle.json: $.inputs[0].columns[3].")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda graph: graph["outputs"].pop(), "$.graphs: expected the tensors of model.onnx in model.int8.onnx"),
        (lambda graph: graph["inputs"][0].update(shape=["N", 29]), "$.graphs: expected the tensors of model.onnx"),
        (lambda graph: graph.update(kind="cam"), "$.graphs: expected model.int8.onnx in full size too"),
        (lambda graph: graph.update(variant="int8-steps-4"), "$.graphs: expected model.int8.onnx in full size too"),
        (lambda graph: graph.update(variant="float16"), "$.graphs: expected one graph of each kind and variant"),
        (lambda graph: graph.update(kind="gradient"), "$.graphs: expected the tensors of gradient.onnx"),
        (lambda graph: graph.update(file="other.onnx"), "$.files: expected other.onnx"),
    ],
)
def test_variants_that_are_not_the_same_graphs_are_refused(
    shrunk_bundle: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    document = json.loads((shrunk_bundle / "bundle.json").read_text(encoding="utf-8"))
    (graph,) = [graph for graph in document["graphs"] if graph["file"] == "model.int8.onnx"]
    alone = copy.deepcopy(document)
    alone["graphs"] = [graph for graph in alone["graphs"] if graph["file"] != "model.int8.onnx"]
    change(graph)
    said = said_of([json.dumps(document), json.dumps(alone)])
    assert str(said[0]).startswith(f"bundle.json: {message}")
    assert said[1] == "bundle.json: $.graphs: expected a graph of kind predict of variant int8, got another"


def test_hostile_sidecars_are_refused_in_words(reference_bundle: Path) -> None:
    good = json.loads((reference_bundle / "bundle.json").read_text(encoding="utf-8"))
    hostile = [h for h in SINGLE_VALUES if not h.place.startswith(UNREAD)]
    texts = [json.dumps(good), "", "[]", "null", "\ufeff{}", "[" * 100_000]
    for each in [*hostile, *BETWEEN_KEYS]:
        document = copy.deepcopy(good)
        each.applied(document)
        texts.append(json.dumps(document).replace("Infinity", "1e999"))
    first, *said = said_of(texts)
    assert first is None
    assert [text for text in said if text is not None and text.startswith("TRACEBACK")] == []
    # What JavaScript alone cannot hold, or does not use, is let pass.
    passed = [h.place for h, text in zip(hostile, said[5:], strict=False) if text is None]
    assert set(passed) <= {"$.files, key", "$.graphs[0].outputs[0].shape", "$.inputs[0].columns[0].name"}, passed
