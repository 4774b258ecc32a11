"""Sidecars of older versions are read in the terms of the newest, and stay as strict as they were."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import SIDECAR, decode_sidecar
from whyport.runtime.conformance import replay
from whyport.runtime.errors import BundleError, BundleFormatError
from whyport.runtime.session import Session

GOLDEN = Path(__file__).parents[2] / "golden"


def test_a_bundle_of_version_1_is_read_and_repeats_its_outputs() -> None:
    bundle = Bundle.read(GOLDEN / "format_1")
    assert bundle.sidecar.format_version == 1
    session = Session(bundle, "cpu")
    deviations = replay(session)
    assert set(deviations) == {"logits", "probabilities", "attention"}
    assert max(deviations.values()) < 1e-5
    with pytest.raises(BundleError, match=r"no explain\.onnx: bundles of format version 1 have none"):
        session.explain(np.zeros((1, 30)))


def test_a_bundle_of_version_2_is_read_and_repeats_its_outputs_and_reasons() -> None:
    bundle = Bundle.read(GOLDEN / "format_2")
    assert bundle.sidecar.format_version == 2
    session = Session(bundle, "cpu")
    deviations = replay(session)
    assert {"logits", "explain.onnx attribution", "gradient.onnx gradient"} <= set(deviations)
    assert max(deviations.values()) < 1e-5
    explained = session.explain(np.zeros((2, 30)), "malignant")
    assert explained.converged is not None
    assert explained.converged.all()


@pytest.mark.parametrize(
    ("version", "path", "message"),
    [
        (1, ("summary",), r"\$: unknown key 'summary'"),
        (1, ("parity", "explain_outputs"), r"\$\.parity: unknown key 'explain_outputs'"),
        (1, ("capabilities", "explain-onnx"), r"\$\.capabilities: unknown key 'explain-onnx'"),
        (2, ("inputs",), r"\$: unknown key 'inputs'"),
        (2, ("parity", "new"), r"\$\.parity: unknown key 'new'"),
        (2, ("tolerances", "new"), r"\$\.tolerances: unknown key 'new'"),
    ],
)
def test_a_key_of_a_newer_version_is_refused(version: int, path: tuple[str, ...], message: str) -> None:
    document = json.loads((GOLDEN / f"format_{version}" / SIDECAR).read_text())
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = None
    with pytest.raises(BundleFormatError, match=message):
        decode_sidecar(json.dumps(changed))
    assert (decode_sidecar(json.dumps(document)).baseline("summary") is None) == (version == 1)


@pytest.mark.parametrize("tolerances", [None, 3, []])
def test_what_misfits_is_still_named(tolerances: object) -> None:
    document = json.loads((GOLDEN / "format_1" / SIDECAR).read_text())
    with pytest.raises(BundleFormatError, match=r"\$\.tolerances: expected dict"):
        decode_sidecar(json.dumps(document | {"tolerances": tolerances}))
