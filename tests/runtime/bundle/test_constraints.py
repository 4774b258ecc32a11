"""Every value of a sidecar has its range: the reader and the published schema refuse the same hostile documents."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.hostile import BETWEEN_KEYS, OLD_KEYS, SINGLE_VALUES, Hostile
from whyport.runtime.bundle.codec import alternatives, constrained, field_types
from whyport.runtime.bundle.consistency import check_consistency
from whyport.runtime.bundle.schema import sidecar_schema
from whyport.runtime.bundle.sidecar import SIDECAR, Sidecar, decode_sidecar
from whyport.runtime.errors import BundleFormatError

ROOT = Path(__file__).parents[3]
VALIDATOR = Draft202012Validator(json.loads(sidecar_schema()))
GOOD = json.loads((ROOT / "models" / "breast_cancer" / SIDECAR).read_text())
OLD = {
    version: json.loads((ROOT / "tests" / "golden" / f"format_{version}" / SIDECAR).read_text()) for version in (1, 2)
}


def text_of(document: dict[str, Any]) -> str:
    """JSON text, with 1e999 for infinity: that is JSON, and Python's own Infinity is not."""
    return json.dumps(document).replace("-Infinity", "-1e999").replace("Infinity", "1e999")


def read(text: str) -> None:
    check_consistency(decode_sidecar(text))


@pytest.mark.parametrize("hostile", SINGLE_VALUES, ids=str)
def test_reader_and_schema_refuse_it(hostile: Hostile) -> None:
    document = copy.deepcopy(GOOD)
    hostile.applied(document)
    assert list(VALIDATOR.iter_errors(document))
    with pytest.raises(BundleFormatError) as error:
        read(text_of(document))
    assert hostile.place in str(error.value)
    assert len(str(error.value)) < 400
    str(error.value).encode()  # it can be printed


@pytest.mark.parametrize("hostile", BETWEEN_KEYS, ids=str)
def test_values_that_contradict_each_other_are_refused(hostile: Hostile) -> None:
    document = copy.deepcopy(GOOD)
    hostile.applied(document)
    with pytest.raises(BundleFormatError) as error:
        read(text_of(document))
    assert hostile.place in str(error.value)


@pytest.mark.parametrize("hostile", OLD_KEYS, ids=str)
@pytest.mark.parametrize("version", [1, 2])
def test_older_sidecars_are_as_strict_as_they_were(version: int, hostile: Hostile) -> None:
    document = copy.deepcopy(OLD[version])
    read(text_of(document))
    hostile.applied(document)
    with pytest.raises(BundleFormatError) as error:
        read(text_of(document))
    assert hostile.place in str(error.value)


@pytest.mark.parametrize(
    "harmless",
    [
        Hostile(("score", "targets", 0, "name"), "\x1b[31m\n\U0001f600"),
        Hostile(("provenance", "settings"), {"x": 2**64, "y": -1e300, "z": None, "w": True}),
        Hostile(("opset",), 26),
        Hostile(("files", "training/ein Bild von früher.png"), "f" * 64),
        Hostile(("files", "console.txt"), "f" * 64),
        Hostile(("files", ".hidden"), "f" * 64),
        Hostile(("inputs", 0, "prepare", "standardised"), False),
        Hostile(("parity", "a_new_figure"), 0.5),
        Hostile(("tolerances", "a_new_figure"), 0.5),
    ],
    ids=str,
)
def test_reader_and_schema_accept_it(harmless: Hostile) -> None:
    document = copy.deepcopy(GOOD)
    harmless.applied(document)
    assert list(VALIDATOR.iter_errors(document)) == []
    read(text_of(document))


def test_every_number_and_text_of_the_sidecar_has_a_constraint() -> None:
    unconstrained, seen = [], set()

    def visit(kind: Any, path: str) -> None:
        for option in alternatives(kind):
            base, constraints = constrained(option)
            if base in (int, float, str) and not constraints:
                unconstrained.append(path)
            for argument in getattr(base, "__args__", ()):
                if argument is not Ellipsis:
                    visit(argument, path)
            if dataclasses.is_dataclass(base) and base not in seen:
                seen.add(base)
                for name, hint in field_types(base).items():  # type: ignore[arg-type]
                    visit(hint, f"{path}.{name}")

    visit(Sidecar, "$")
    assert unconstrained == []
