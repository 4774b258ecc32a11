"""The kinds of model that can be exported, imported on use: one file each, one entry each."""

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyport.runtime.errors import ExportError

if TYPE_CHECKING:
    from whyport.exporter.kinds.kind import Kind
    from whyport.exporter.source import ModelSource

KINDS = {
    "onnx": (".onnx", "whyport.exporter.kinds.onnx:OnnxModel"),
    "pytorch": ("torch.nn.Module", "whyport.exporter.kinds.pytorch:PyTorchModule"),
}
"""By name: what tells the kind, and its class. A file is told by its suffix, what a factory gives by its class."""


def open_kind(source: "ModelSource", *, seed: int, opset: int | None) -> "Kind":
    """The model of a source; a file is not read yet, and a factory is called.

    Args:
        source: the model.
        seed: seeds the factory's random weights.
        opset: ONNX operator set; None for the kind's own.

    Raises:
        UsageError: there is no such factory, or an option was given that the kind does not accept.
        ExportError: the factory fails, or gives no model of any kind.
    """
    for form, kind in KINDS.values():
        if form.startswith(".") and source.source.lower().endswith(form):
            return _load(kind)(Path(source.source), source, opset)
    from whyport.exporter.kinds.factory import make_model

    model = make_model(source.source, seed)
    return kind_of(model, source.source)(model, source, opset)


def kind_of(model: Any, source: str) -> "type[Kind]":
    """The kind of what a factory gave; ExportError where it is of none."""
    forms = {form: kind for form, kind in KINDS.values() if not form.startswith(".")}
    for form, kind in forms.items():
        module, _, name = form.rpartition(".")
        # An instance of a class has had the class's module imported.
        if module in sys.modules and isinstance(model, getattr(sys.modules[module], name)):
            return _load(kind)
    raise ExportError(f"source {source!r}: expected a {' or '.join(forms)}, got {_describe(model)}")


def _describe(model: Any) -> str:
    """The type of what a factory gave, and what to do instead where that is known."""
    name = type(model).__name__
    if isinstance(model, type):
        return f"the class {model.__name__}; return an object of it, {model.__name__}()"
    if callable(getattr(model, "predict_proba", None)):
        return f"{name}; convert it to ONNX, with skl2onnx or onnxmltools, and name that file"
    if isinstance(model, dict):
        return f"{name}; return the module, and give its state dict with --weights"
    return name


def _load(kind: str) -> "type[Kind]":
    module, _, name = kind.partition(":")
    loaded: type[Kind] = getattr(import_module(module), name)
    return loaded
