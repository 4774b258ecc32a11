"""Sidecars of older versions are read in the terms of the newest, and stay as strict as they were."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import FORMAT_VERSION, SIDECAR, decode_sidecar
from whyport.runtime.conformance import replay
from whyport.runtime.errors import BundleError, BundleFormatError
from whyport.runtime.session import Session

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION))
def test_a_bundle_of_an_older_version_is_read_and_repeats_its_outputs(version: int) -> None:
    bundle = Bundle.read(GOLDEN / f"format_{version}")
    assert bundle.sidecar.format_version == version
    session = Session(bundle, "cpu")
    deviations = replay(session)
    assert set(deviations) == {"logits", "probabilities", "attention"}
    assert max(deviations.values()) < 1e-5
    with pytest.raises(BundleError, match=r"no explain\.onnx: bundles of format version 1 have none"):
        session.explain(np.zeros((1, 30)))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("summary",), r"\$: unknown key 'summary'"),
        (("parity", "explain_outputs"), r"\$\.parity: unknown key 'explain_outputs'"),
        (("capabilities", "explain-onnx"), r"\$\.capabilities: unknown key 'explain-onnx'"),
    ],
)
def test_a_key_of_a_newer_version_is_refused(path: tuple[str, ...], message: str) -> None:
    document = json.loads((GOLDEN / "format_1" / SIDECAR).read_text())
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = None
    with pytest.raises(BundleFormatError, match=message):
        decode_sidecar(json.dumps(changed))
    assert decode_sidecar(json.dumps(document)).summary is None


@pytest.mark.parametrize("tolerances", [None, 3, []])
def test_what_misfits_is_still_named(tolerances: object) -> None:
    document = json.loads((GOLDEN / "format_1" / SIDECAR).read_text())
    with pytest.raises(BundleFormatError, match=r"\$\.tolerances: expected dict"):
        decode_sidecar(json.dumps(document | {"tolerances": tolerances}))
