"""Sidecars of older format versions, converted to the newest version before anything else reads them."""

from collections.abc import Callable
from typing import Any

from whyport.runtime.bundle.format_2 import to_version_3
from whyport.runtime.errors import BundleFormatError

Document = dict[str, Any]


def upgrade(document: object, newest: int) -> Document:
    """Convert a sidecar of any version to the keys of the newest one; its `format_version` stays.

    Raises BundleFormatError for an unknown version, or a key that the document's own version does not have.
    """
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(document, dict) or type(version) is not int or not 1 <= version <= newest:
        raise BundleFormatError(
            f"expected a format version from 1 to {newest}, got {version!s:.60}: another whyport wrote it"
        )
    for step in range(version, newest):
        document = UPGRADES[step](document)
    return document


def _from_1(document: Document) -> Document:
    """Convert version 1 to 2, which adds attributions as ONNX."""
    absent = {"available": False, "reason": "bundles of format version 1 have none"}
    unmeasured = ("explain_outputs", "explain_attributions", "explain_completeness", "gradient_outputs")
    return _with(
        _within(
            document,
            capabilities={"explain-onnx": absent, "gradient-onnx": absent},
            tolerances={"attributions": 1e-4, "completeness": 1e-4},
            parity=dict.fromkeys((*unmeasured, "gradient_gradients")),
        ),
        "$",
        {"summary": None},
    )


UPGRADES: dict[int, Callable[[Document], Document]] = {1: _from_1, 2: to_version_3}
"""The conversion from each version to the next."""


def _within(document: Document, **additions: Document) -> Document:
    """The document with keys added to its objects, where they exist."""
    changed = {
        key: _with(document[key], f"$.{key}", added)
        for key, added in additions.items()
        if isinstance(document.get(key), dict)
    }
    return document | changed


def _with(document: Document, path: str, added: Document) -> Document:
    for key in added:
        if key in document:
            raise BundleFormatError(f"{path}: unknown key {key!r} in this format version")
    return document | added
