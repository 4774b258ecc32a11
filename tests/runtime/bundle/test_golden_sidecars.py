"""Sidecars written by hand, one for each case of the format: each is read, and broken in any rule it is refused."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.command import Whyport
from support.golden import GOLDEN, bundle_of
from whyport import BundleFormatError, Session
from whyport.runtime.bundle.codec import encode
from whyport.runtime.bundle.consistency import check_consistency, check_usable
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.schema import sidecar_schema
from whyport.runtime.bundle.sidecar import Sidecar, decode_sidecar

VALIDATOR = Draft202012Validator(json.loads(sidecar_schema()))
NEWER = "it needs a newer whyport"


class Free:
    """The value of a key that is deleted."""

    def __repr__(self) -> str:
        return "free"  # an id that every process gives alike


FREE = Free()
"""In the place of a value: the key is deleted."""


def read(text: str) -> Sidecar:
    sidecar = decode_sidecar(text)
    check_consistency(sidecar)
    return sidecar


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_it_is_valid_and_read_without_loss(name: str) -> None:
    document = json.loads(GOLDEN[name].read_text(encoding="utf-8"))
    assert list(VALIDATOR.iter_errors(document)) == []
    assert json.loads(encode(read(json.dumps(document)))) == document


def test_there_is_one_for_every_case() -> None:
    """A kind of anything that no golden sidecar has fails here."""
    used = " ".join(path.read_text(encoding="utf-8") for path in GOLDEN.values())
    kinds = [
        entry
        for definition in json.loads(sidecar_schema())["$defs"].values()
        for value in definition["properties"].values()
        for entry in value.get("enum", ())
    ]
    unused = [kind for kind in kinds if f'"{kind}"' not in used]
    assert len(kinds) > 35
    assert unused == []


BROKEN: list[tuple[str, tuple[str | int, ...], Any, str]] = [
    # The inputs, and the table.
    ("image_and_table", ("inputs", 1, "name"), "photo", "$.inputs: expected input names to differ, got 'photo' twice"),
    ("categories", ("inputs", 0, "columns", 1, "name"), "age", "$.inputs[0].columns: expected column names to differ"),
    ("numeric_classification", ("inputs", 0, "tensors", 0, "shape"), ["N", 3], "$.inputs[0].tensors: expected one"),
    ("numeric_classification", ("inputs", 0, "tensors", 0, "dtype"), "int64", "$.inputs[0].tensors[0].dtype: expected"),
    ("numeric_classification", ("inputs", 0, "axes"), [], "$.inputs[0].axes: expected at least one entry"),
    ("regression", ("inputs", 0, "axes", 0, "length"), 3, "$.inputs[0].axes[0].labels: expected 3 labels, got 2"),
    ("trees", ("inputs", 0, "axes", 0), {"name": "feature", "length": 5, "labels": None}, "$.inputs[0].axes: expected"),
    ("categories", ("inputs", 0, "tensors", 1, "dtype"), "float32", "$.inputs[0].tensors[1].dtype: expected string"),
    ("categories", ("inputs", 0, "tensors", 3, "dtype"), "string", "$.inputs[0].tensors[3].dtype: expected float32"),
    ("categories", ("inputs", 0, "tensors", 2, "shape"), ["N", 2], "$.inputs[0].tensors: expected a tensor [N, 1] for"),
    ("categories", ("inputs", 0, "columns", 0, "kind"), "image", f"columns[0].kind: expected a column of a.*{NEWER}"),
    # Columns.
    ("categories", ("inputs", 0, "columns", 1, "categories"), None, "$.inputs[0].columns[1].categories: expected them"),
    ("categories", ("inputs", 0, "columns", 0, "numbers"), None, "$.inputs[0].columns[0].numbers: expected the stat"),
    ("categories", ("inputs", 0, "columns", 0, "imputation"), None, "$.inputs[0].columns[0].imputation: expected a"),
    ("categories", ("inputs", 0, "columns", 5, "imputation"), 1.0, "$.inputs[0].columns[5].imputation: expected a"),
    ("categories", ("inputs", 0, "columns", 4, "unit"), "years", "$.inputs[0].columns[4].unit: expected 'days since"),
    ("regression", ("inputs", 0, "columns", 0, "numbers", "median"), 99.0, "$.inputs[0].columns[0].numbers: expected"),
    ("regression", ("inputs", 0, "columns", 0, "missing"), "guess", "$.inputs[0].columns[0].missing: expected refuse"),
    # Categories.
    ("categories", ("inputs", 0, "columns", 1, "categories", "counts"), [1, 2], ".categories.counts: expected one for"),
    ("categories", ("inputs", 0, "columns", 1, "categories", "values", 2), "", ".values[2]: expected a text, got an"),
    (
        "categories",
        ("inputs", 0, "columns", 2, "categories", "values", 1),
        "yes",
        ".values: expected 'false' and 'true'",
    ),
    (
        "categories",
        ("inputs", 0, "columns", 3, "categories", "values", 3),
        "two",
        ".values[3]: expected a number of flo",
    ),
    ("categories", ("inputs", 0, "columns", 3, "categories", "values", 3), "1e39", ".values[3]: expected a number of"),
    (
        "categories",
        ("inputs", 0, "columns", 3, "categories", "values", 3),
        "1.0",
        ".values: expected numbers to differ",
    ),
    (
        "categories",
        ("inputs", 0, "columns", 3, "categories", "values", 0),
        "3",
        ".values: expected categories to differ",
    ),
    ("categories", ("inputs", 0, "columns", 3, "categories", "counts", 0), -1, ".counts[0]: expected a number from 0"),
    ("categories", ("inputs", 0, "columns", 3, "categories", "type"), "uuid", f".categories.type: expected .*{NEWER}"),
    # Other inputs.
    ("sequence", ("inputs", 0, "prepare", "buckets"), [], "$.inputs[0].prepare.buckets: expected some where the len"),
    ("sequence", ("inputs", 0, "prepare", "length"), 24, "$.inputs[0].prepare.buckets: expected some where the length"),
    ("sequence", ("inputs", 0, "prepare", "buckets"), [32, 16], "$.inputs[0].prepare.buckets: expected ascending numb"),
    ("sequence", ("inputs", 0, "axes", 0, "length"), "S", "$.inputs[0].axes[0].length: expected a free axis of the t"),
    ("sequence", ("inputs", 0, "axes", 0, "labels"), ["1"], "$.inputs[0].axes[0].labels: expected none along a free"),
    (
        "sequence",
        ("inputs", 0, "axes", 1, "name"),
        "time",
        "$.inputs[0].axes: expected axes to differ, got 'time' twice",
    ),
    (
        "sequence",
        ("inputs", 0, "columns", 0, "kind"),
        "category",
        "$.inputs[0].columns[0].kind: expected a column of a",
    ),
    ("image", ("inputs", 0, "prepare", "crop"), [224], "$.inputs[0].prepare.crop: expected height and width, or none"),
    ("image", ("inputs", 0, "prepare", "limit"), 0, "$.inputs[0].prepare.limit: expected a number from 1"),
    ("image", ("inputs", 0, "prepare", "mode"), "CMYK", f"$.inputs[0].prepare.mode: expected L or RGB.*{NEWER}"),
    ("text", ("inputs", 0, "prepare", "tokenizer"), "other.json", "expected a digest of 'other.json'"),
    ("text", ("inputs", 0, "prepare", "tokenizer"), "../t.json", "$.inputs[0].prepare.tokenizer: expected file names"),
    # Players.
    ("categories", ("players", "cells", 5), [0], "$.players.cells: expected cells to differ, got '0' twice"),
    ("categories", ("players", "cells", 5), [15], "$.players.cells: expected every position from 0 on, got up to 15"),
    ("categories", ("players", "cells"), [[0]], "$.players.cells: expected those of 6 players, got those of 1"),
    ("regression", ("players", "names"), ["age"], "$.players.names: expected 2 names, one a cell, got 1"),
    ("regression", ("players", "names"), ["age", "age"], "$.players.names: expected players to differ"),
    # The score.
    ("regression", ("score", "probabilities"), "value", "$.score.probabilities: expected them for a classification"),
    ("trees", ("score", "probabilities"), None, "$.score.probabilities: expected them for a classification"),
    ("trees", ("score", "output"), "logits", "$.score.output: expected 'margin', got 'logits'"),
    ("trees", ("score", "probabilities"), "p", "$.score.probabilities: expected an output 'p' of shape [N, 2]"),
    ("one_logit", ("score", "output"), "probabilities", "$.score.output: expected 'logits', got 'probabilities'"),
    ("one_logit", ("score", "targets"), [{"name": "yes", "unit": None}], "expected an output 'logits' of shape [N, 1]"),
    ("regression", ("score", "targets", 1), {"name": "weight", "unit": "kg"}, "$.score.targets: expected targets to"),
    ("regression", ("score", "targets", 0, "unit"), 3, "$.score.targets[0].unit: expected str | NoneType, got 3"),
    # Baselines, graphs, tolerances, files.
    ("image", ("baselines", 1, "name"), "black", "$.baselines: expected names to differ, got 'black' twice"),
    ("image", ("baselines", 0, "kind"), "rows", "$.baselines[0].file: expected the file of the rows, got null"),
    ("variant", ("graphs", 0, "kind"), "torch", "$.graphs: expected a graph of kind 'predict'"),
    ("variant", ("graphs", 5, "variant"), None, "$.graphs: expected kinds and variants to differ, got 'predict' twice"),
    ("variant", ("graphs", 0, "inputs", 0, "name"), "rows", "$.graphs: expected the inputs' tensors ('features') in"),
    ("image", ("graphs", 0, "inputs", 0, "shape", 1), 2**17, "$.graphs[0].inputs[0].shape: expected N rows of at most"),
    ("sequence", ("graphs", 0, "inputs", 1, "name"), "values", "$.graphs[0]: expected tensor names to differ"),
    ("trees", ("capabilities", "attention", "available"), True, "$.capabilities.attention: expected an output"),
    ("trees", ("tolerances", "completeness"), FREE, "$.tolerances: missing key 'completeness'"),
    ("trees", ("files", "conformance.json"), FREE, "expected a digest of 'conformance.json'"),
    ("variant", ("files", "model.int8.onnx"), FREE, "expected a digest of 'model.int8.onnx'"),
]

UNKNOWN: list[tuple[str, tuple[str | int, ...], Any]] = [
    ("sequence", ("inputs", 0, "prepare", "kind"), "audio"),
    ("regression", ("inputs", 0, "columns", 0, "kind"), "angle"),
    ("regression", ("inputs", 0, "tensors", 0, "dtype"), "float16"),
    ("regression", ("graphs", 1, "kind"), "counterfactual"),
    ("regression", ("baselines", 0, "kind"), "noise"),
    ("regression", ("score", "task"), "survival"),
    ("regression", ("score", "kind"), "log-hazard"),
    ("text", ("inputs", 0, "prepare", "padding"), "left"),
]
"""Names of lists that a later version may lengthen without a new version of the format."""


def changed(name: str, path: tuple[str | int, ...], value: Any) -> str:
    """A golden sidecar with one value changed."""
    document = json.loads(GOLDEN[name].read_text(encoding="utf-8"))
    inner: Any = document
    for key in path[:-1]:
        inner = inner[key]
    if value is FREE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = copy.deepcopy(value)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("name", "path", "value", "message"), BROKEN, ids=lambda value: "free" if value is FREE else str(value)[:60]
)
def test_a_broken_rule_is_named_with_its_place(
    name: str, path: tuple[str | int, ...], value: Any, message: str
) -> None:
    with pytest.raises(BundleFormatError) as refusal:
        read(changed(name, path, value))
    start, _, end = message.partition(".*")
    assert start in str(refusal.value)
    assert end in str(refusal.value)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value inside a JSON value; of long lists those of the first two."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from places(inner, (*path, key))


@pytest.mark.parametrize("name", ["categories", "sequence", "image", "text"])
@pytest.mark.parametrize("value", [[], {"a": 1}, None], ids=str)
def test_a_value_of_another_type_anywhere_is_refused_in_words(name: str, value: Any) -> None:
    """What the reader takes all the same, the schema takes too."""
    for path in places(json.loads(GOLDEN[name].read_text(encoding="utf-8"))):
        text = changed(name, path, value)
        try:
            read(text)
        except BundleFormatError:
            continue
        assert VALIDATOR.is_valid(json.loads(text)), path


@pytest.mark.parametrize(("name", "path", "value"), UNKNOWN, ids=lambda value: str(value))
def test_an_unknown_kind_needs_a_newer_whyport(name: str, path: tuple[str | int, ...], value: Any) -> None:
    place = "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    text = changed(name, path, value)
    assert list(VALIDATOR.iter_errors(json.loads(text)))
    with pytest.raises(BundleFormatError) as refusal:
        read(text)
    assert str(refusal.value).startswith(f"{place}: expected ")
    assert str(refusal.value).endswith(f', got "{value}": {NEWER}')


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("tolerances", "tokens"), 1e-3),
        (("parity", "int8_outputs"), 0.01),
        (("capabilities", "counterfactuals"), {"available": True, "reason": ""}),
        (("graphs", 0, "figures", "milliseconds"), 1.5),
        (("baselines", 0, "figures", "years"), 3.0),
        (("provenance", "metrics", "concordance"), 0.7),
        (("provenance", "versions", "timm"), "2.0"),
        (("files", "extra/notes.txt"), "0" * 64),
    ],
    ids=str,
)
def test_open_maps_take_any_name(path: tuple[str | int, ...], value: Any) -> None:
    text = changed("regression", path, value)
    assert list(VALIDATOR.iter_errors(json.loads(text))) == []
    read(text)


def test_players_that_are_groups_are_read_and_not_run_yet() -> None:
    document = json.loads(GOLDEN["regression"].read_text(encoding="utf-8"))
    document["players"] = {"names": ["both"], "cells": [[0, 1]]}
    with pytest.raises(BundleFormatError, match=rf"^\$\.players\.names: expected the features' names.*: {NEWER}$"):
        check_usable(read(json.dumps(document)))


@pytest.mark.parametrize(
    ("players", "message"),
    [
        ({"names": None, "cells": [[0, 1]]}, "expected cells of each of 2 features"),
        ({"names": None, "cells": [[0, 1], []]}, "expected cells of each of 2 features"),
        ({"names": None, "cells": [[1], [0]]}, "expected the features themselves without categories"),
        ({"names": None, "cells": [[0], [1, 2]]}, "expected the features themselves without categories"),
    ],
)
def test_cells_that_are_no_columns_are_read_and_not_run_yet(players: Any, message: str) -> None:
    document = json.loads(GOLDEN["regression"].read_text(encoding="utf-8")) | {"players": players}
    with pytest.raises(BundleFormatError, match=rf"^\$\.players\.cells: {message}.*: {NEWER}$"):
        check_usable(read(json.dumps(document)))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("graphs", 3), FREE, "expected one of kind 'explain', as the capabilities say, got none"),
        (("graphs", 4), FREE, "expected one of kind 'gradient', as the capabilities say, got none"),
        (("graphs", 3, "outputs", 2, "name"), "scores", "expected a tensor 'score' of explain.onnx"),
        (("graphs", 3, "outputs", 4), FREE, "expected a tensor 'attribution' of explain.onnx"),
        (("graphs", 3, "outputs", 4, "shape", 1), 3, "expected the tensor attribution float32 [N, 2] of explain.onnx"),
        (("graphs", 4, "outputs", 3, "shape", 1), 3, "expected the tensor gradient float32 [N, 2] of gradient.onnx"),
        (("graphs", 3, "inputs", 1, "dtype"), "float32", "expected the tensor target_index int64 [N] of explain.onnx"),
        (("graphs", 4, "inputs", 0), FREE, "expected a tensor 'features' of gradient.onnx"),
    ],
    ids=str,
)
def test_graphs_that_explain_have_the_tensors_that_are_taken_of_them(
    path: tuple[str | int, ...], value: Any, message: str
) -> None:
    sidecar = read(changed("regression", path, value))
    with pytest.raises(BundleFormatError, match=rf"^\$\.graphs: {re.escape(message)}"):
        check_usable(sidecar)


def test_a_kind_of_score_that_no_task_has_is_refused_by_name() -> None:
    sidecar = read(changed("regression", ("score", "kind"), "margin"))
    with pytest.raises(BundleFormatError, match=r"\$\.score: no task is known with 'regression' of kind 'margin'"):
        check_usable(sidecar)


UNUSABLE = {
    "sequence": "expected tables, images, sequences and texts without free axes, got the inputs 'vitals (sequence)'",
    "text": "expected tables, images, sequences and texts without free axes, got the inputs 'note (text)'",
    "image_and_table": "$.players.names: expected the features' names, got others",
}
"""Cases that nothing runs yet."""


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_nothing_runs_yet_is_inspected_and_refused_by_name(name: str, tmp_path: Path, whyport: Whyport) -> None:
    path = bundle_of(name, tmp_path / "bundle")
    with pytest.raises(BundleFormatError) as refusal:
        Session(Bundle.read(path), "cpu")
    assert str(refusal.value) == f"{UNUSABLE[name]}: {NEWER}"
    shown = whyport("inspect", path).output
    assert shown.startswith(f"{name}  ")
    for arguments in (("verify", path), ("predict", path, tmp_path / "rows.csv")):
        assert whyport(*arguments, exit_code=1).output == f"error: {refusal.value}\n"
    rows = tmp_path / "rows.parquet"
    rows.write_bytes(b"")
    ran = whyport("run", path, rows, "--out", tmp_path / "out", exit_code=1).output
    assert ran.endswith(f"error: {refusal.value}\n")
    assert not (tmp_path / "out").exists()
