"""The published schema is that of the code; it accepts every bundle of the repository, and no broken sidecar."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.bundles import linear_bundle
from whyport.runtime.bundle.schema import sidecar_schema
from whyport.runtime.bundle.sidecar import SIDECAR

ROOT = Path(__file__).parents[3]
VALIDATOR = Draft202012Validator(json.loads(sidecar_schema()))
GOOD = json.loads((ROOT / "models" / "breast_cancer" / SIDECAR).read_text())


def test_the_published_schema_is_up_to_date() -> None:
    Draft202012Validator.check_schema(VALIDATOR.schema)
    assert (ROOT / "models" / "bundle.schema.json").read_text() == sidecar_schema()


def test_every_bundle_validates(tmp_path: Path) -> None:
    for path in [*(ROOT / "models").glob("*/bundle.json"), linear_bundle(tmp_path / "linear") / SIDECAR]:
        assert list(VALIDATOR.iter_errors(json.loads(path.read_text()))) == [], path


def _without(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(format_version=1),
        lambda document: document.update(surprise=1),
        lambda document: document["tolerances"].update(outputs="small"),
        lambda document: document["files"].update({"model.onnx": "not a digest"}),
        lambda document: document["inputs"][0]["columns"][0]["numbers"].update(mean=None),
        lambda document: document["inputs"][0]["tensors"][0].update(shape=[1.5]),
        lambda document: document["baselines"][0].update(file=3),
        _without("baselines"),
        _without("capabilities", "deepshap", "reason"),
    ],
)
def test_a_broken_sidecar_does_not_validate(change: Callable[[dict[str, Any]], None]) -> None:
    document = copy.deepcopy(GOOD)
    change(document)
    assert list(VALIDATOR.iter_errors(document))
