"""A graph whose answers depend on the other rows of a call is given one row a call, by Node.js too."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import whyport
from support.programs import node
from whyport.runtime.conformance import replay
from whyport.runtime.session import Session


def test_dynamic_quantisation_gives_what_python_gives(reference_bundle: Path, tmp_path: Path) -> None:
    options = {"variants": "dynamic-int8", "keep_slower": True, "max_changed": "100%"}
    bundle = Path(whyport.shrink(reference_bundle, out=tmp_path / "bundle", **options).place)
    done = node("verify", bundle, "--variant", "dynamic-int8")
    assert done.returncode == 0, done.stderr
    found = re.search(r"model\.dynamic-int8\.onnx\s+logits\D+([\d.e-]+)", done.stdout)
    assert found is not None, done.stdout
    # conformance.json has the first 16 of the rows: their deviation is at most that of all.
    session = Session(bundle, variant="dynamic-int8")
    assert float(found[1]) <= 1.01 * replay(session)["logits"]
    graph = next(each for each in session.bundle.as_stored.sidecar.graphs if each.file == "model.dynamic-int8.onnx")
    assert graph.figures["rows_per_call"] == 1
    assert float(found[1]) == pytest.approx(first_rows(session), rel=0.01)


def first_rows(session: Session) -> float:
    """The deviation of the scores of conformance.json, row by row."""
    tensors = json.loads(session.bundle.as_stored.read_bytes("conformance.json"))["tensors"]
    rows, expected = (np.array(tensors[name], dtype=np.float32) for name in ("features", "logits"))
    got = np.concatenate([session.run(row[None])["logits"] for row in rows])
    return float((np.abs(got - expected) / np.maximum(1, np.abs(expected))).max())
