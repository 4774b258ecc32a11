import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from support.command import Whyport
from whyport.runtime.bundle.folder import Bundle, write_sidecar
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.bundle.sidecar import MADE_FROM_KEY, METADATA_KEY, SIDECAR, precision_of
from whyport.runtime.bundle.variants import full_size, precise_variant, precisions_of
from whyport.runtime.conformance import replay
from whyport.runtime.errors import BundleFormatError, ParityError, UsageError
from whyport.runtime.session import Session

OFF = 0.001


@pytest.fixture
def reference_copy(reference_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the reference bundle."""
    return Path(shutil.copytree(reference_bundle, tmp_path / "bundle"))


@pytest.fixture
def smaller(reference_copy: Path) -> Path:
    """The reference bundle with a variant "int8" of its model, whose biases are off by `OFF`."""
    return write_smaller(reference_copy)


def write_smaller(path: Path, made_from: str | None = None, **tolerances: float) -> Path:
    sidecar = Bundle.read(path).sidecar
    model = onnx.load(path / "model.onnx")
    props = {each.key: each.value for each in model.metadata_props if each.key != METADATA_KEY}
    helper.set_model_props(model, props | {MADE_FROM_KEY: made_from or sidecar.files["model.onnx"]})
    output = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["before" if name == output else name for name in node.output]
        node.input[:] = ["before" if name == output else name for name in node.input]
    model.graph.initializer.append(helper.make_tensor("off", onnx.TensorProto.FLOAT, [], [OFF]))
    model.graph.node.append(helper.make_node("Add", ["before", "off"], [output]))
    onnx.save(model, path / "model.int8.onnx")
    full = sidecar.graph("predict")
    assert full is not None
    own = dataclasses.replace(full, file="model.int8.onnx", variant="int8", figures={"bytes": 1.0})
    allowed = {
        f"int8.{name}": value for name, value in (sidecar.tolerances | {"outputs": 2 * OFF} | tolerances).items()
    }
    write_sidecar(
        path,
        dataclasses.replace(sidecar, graphs=(*sidecar.graphs, own), tolerances=sidecar.tolerances | allowed, files={}),
    )
    return path


def test_the_view_has_the_graphs_and_tolerances_of_a_precision(smaller: Path) -> None:
    bundle = Bundle.read(smaller)
    assert precisions_of(bundle.sidecar) == ("int8",)
    view = bundle_in(bundle, "int8")
    assert view.read_bytes("model.onnx") == (smaller / "model.int8.onnx").read_bytes()
    assert view.read_bytes("explain.onnx") == (smaller / "explain.onnx").read_bytes()
    assert view.sidecar.tolerances == Bundle.read(smaller).sidecar.described().tolerances | {"outputs": 2 * OFF}
    assert view.as_stored is bundle


def test_a_smaller_variant_is_replayed_within_its_own_tolerance(smaller: Path) -> None:
    bundle = Bundle.read(smaller)
    assert replay(Session(bundle))["logits"] < OFF / 10
    deviation = replay(Session(bundle_in(bundle, "int8")))["logits"]
    assert OFF / 10 < deviation <= OFF * 1.01


def test_a_smaller_variant_beyond_its_tolerance_is_refused(reference_copy: Path) -> None:
    bundle = Bundle.read(write_smaller(reference_copy, outputs=OFF / 10))
    with pytest.raises(ParityError, match=r"expected the conformance values within 0\.0001"):
        replay(Session(bundle_in(bundle, "int8")))


def test_a_smaller_variant_of_another_model_is_refused(reference_copy: Path) -> None:
    bundle = Bundle.read(write_smaller(reference_copy, made_from="0" * 64))
    with pytest.raises(BundleFormatError, match=r"whyport\.made_from .* of model\.onnx, got 0000.*model\.int8\.onnx"):
        replay(Session(bundle_in(bundle, "int8")))


def test_what_onnx_files_carry_is_the_same_with_smaller_variants(smaller: Path, reference_bundle: Path) -> None:
    assert Bundle.read(smaller).sidecar.embedded() == Bundle.read(reference_bundle).sidecar.embedded()


def test_a_session_runs_a_variant_by_name_also_where_it_was_pickled(smaller: Path) -> None:
    rows = np.zeros((3, 30), dtype=np.float32)
    full, small = Session(smaller), Session(smaller, variant="int8")
    assert (full.variant, small.variant) == (None, "int8")
    for session in (small, pickle.loads(pickle.dumps(small)), Session(bundle_in(Bundle.read(smaller), "int8"))):
        assert session.variant == "int8"
        np.testing.assert_allclose(session.run(rows)["logits"] - full.run(rows)["logits"], OFF, rtol=0.01)
    with pytest.raises(UsageError, match="unknown variant 'int9'"):
        Session(smaller, variant="int9")


def test_an_unknown_variant_is_refused_by_name(smaller: Path, reference_bundle: Path) -> None:
    with pytest.raises(UsageError, match="unknown variant 'int4'.*known: 'int8'"):
        bundle_in(Bundle.read(smaller), "int4")
    with pytest.raises(UsageError, match="variant 'int8': the bundle has none; whyport shrink makes some"):
        bundle_in(Bundle.read(reference_bundle), "int8")


def test_names_say_what_a_variant_is() -> None:
    assert [precision_of(name) for name in (None, "steps-16", "embedded", "int8s", "int8", "dynamic-int8-steps-4")] == [
        *[None] * 4,
        "int8",
        "dynamic-int8",
    ]
    assert precise_variant("embedded-steps-4", "float16") == "float16-embedded-steps-4"
    files = ("model.onnx", "model.int8.onnx", "model.steps-16.dynamic-int8.onnx", "int8.onnx")
    assert [full_size(file) for file in files] == [None, "model.onnx", "model.steps-16.onnx", None]


def test_a_bundle_without_smaller_variants_has_none(reference_bundle: Path) -> None:
    assert precisions_of(Bundle.read(reference_bundle).sidecar) == ()


def edited(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads((path / SIDECAR).read_text())
    edit(document)
    (path / SIDECAR).write_text(json.dumps(document))
    return path


def last(document: dict[str, Any]) -> dict[str, Any]:
    """The smaller graph."""
    graph: dict[str, Any] = document["graphs"][-1]
    return graph


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda document: last(document).update(kind="explain"), "expected one of kind 'predict' and variant 'int8'"),
        (lambda document: last(document).update(variant="int8-steps-4"), "expected one of kind 'predict' and variant"),
        (
            lambda document: last(document).update(file="model.pt"),
            "expected the file 'model.int8.onnx', got 'model.pt'",
        ),
        (lambda document: last(document)["outputs"].pop(), "expected the tensors of model.onnx in model.int8.onnx"),
        (
            lambda document: document["graphs"].append({**last(document), "variant": "int8-steps-4", "file": "x.onnx"}),
            "x.onnx is a variant of no graph of kind 'predict'",
        ),
        (lambda document: document["tolerances"].update({"int8.outputs": 1.5}), "expected .* 1"),
        (lambda document: document["files"].pop("model.int8.onnx"), "expected a digest of 'model.int8.onnx'"),
    ],
)
def test_a_variant_that_cannot_stand_in_for_the_model_is_refused(
    smaller: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(BundleFormatError, match=message) as raised:
        Bundle.read(edited(smaller, edit))
    assert "\n" not in str(raised.value)


def test_verify_replays_every_variant_and_inspect_shows_it(whyport: Whyport, smaller: Path) -> None:
    said = whyport("verify", smaller).output
    assert "logits: within" in said
    assert "int8: logits: within 0.001 of the test vectors" in said
    assert "model.int8.onnx: not measured" in whyport("inspect", smaller).output
