"""The kinds of model that can be exported, imported on use: one file each, one entry each."""

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyport.runtime.errors import ExportError

if TYPE_CHECKING:
    from whyport.exporter.kinds.kind import Kind
    from whyport.exporter.source import ModelSource

KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "onnx": ((".onnx",), "whyport.exporter.kinds.onnx:OnnxModel"),
    "keras": ((".keras", "keras.Model"), "whyport.exporter.kinds.keras:KerasModel"),
    "pytorch": (("torch.nn.Module",), "whyport.exporter.kinds.pytorch:PyTorchModule"),
    "xgboost": ((".json", ".ubj", "xgboost"), "whyport.exporter.kinds.xgboost:XGBoostModel"),
    "lightgbm": ((".txt", "lightgbm"), "whyport.exporter.kinds.lightgbm:LightGBMModel"),
    "catboost": ((".cbm", "catboost"), "whyport.exporter.kinds.catboost:CatBoostModel"),
    # The boosters' own classes extend scikit-learn's.
    "sklearn": (("sklearn",), "whyport.exporter.kinds.sklearn:SklearnEstimator"),
}
"""By name: what tells the kind, and its class. The first entry that fits decides.

A form with a dot in front is the suffix of a file. One with a dot inside is a class, and any other is a package: the
model is of that class, or of a class that extends one of the package.
"""


def open_kind(source: "ModelSource", *, seed: int, opset: int | None) -> "Kind":
    """The model of a source; a file of data is not read yet, and a function that makes a model is called.

    Args:
        source: the model.
        seed: seeds the random weights of what the function makes.
        opset: ONNX operator set; None for the kind's own.

    Raises:
        UsageError: there is no such model, it is in a pickle that nobody trusts, or an option was given that the kind
        does not accept.
        ExportError: the function fails, or gives no model of any kind.
    """
    suffix = Path(source.source).suffix.lower()
    for forms, kind in KINDS.values():
        if suffix and suffix in forms:
            return _load(kind)(Path(source.source), source, opset)
    from whyport.exporter.kinds.factory import make_model
    from whyport.exporter.kinds.pickles import is_pickle, read_pickle

    if is_pickle(source.source):
        model = read_pickle(Path(source.source), trusted=source.trust_pickle)
    else:
        model = make_model(source.source, seed)
    return kind_of(model, source.source)(model, source, opset)


def kind_of(model: Any, source: str) -> "type[Kind]":
    """The kind of a model in memory; ExportError where it is of none."""
    if (kind := find_kind(model)) is not None:
        return _load(kind)
    forms = [form for forms, _ in KINDS.values() for form in forms if not form.startswith(".")]
    classes = " or ".join(form for form in forms if "." in form)
    packages = ", ".join(form for form in forms if "." not in form)
    raise ExportError(f"source {source!r}: expected a {classes}, or a model of {packages}; got {_describe(model)}")


def find_kind(model: Any) -> str | None:
    """The class of a model's kind, "module:Class"; None where it is of none. No package is imported."""
    found = (kind for forms, kind in KINDS.values() if any(_is_of(type(model), form) for form in forms))
    return next(found, None)


def file_suffixes() -> list[str]:
    """The suffixes of the files that are models."""
    return [form for forms, _ in KINDS.values() for form in forms if form.startswith(".")]


def _is_of(kind: type, form: str) -> bool:
    """Whether a class is what a form of `KINDS` names, or extends it."""
    if form.startswith("."):
        return False
    module, _, name = form.rpartition(".")
    if module:
        # An instance of a class has had the class's module imported.
        return module in sys.modules and issubclass(kind, getattr(sys.modules[module], name))
    return any(base.__module__.partition(".")[0] == form for base in kind.__mro__)


def _describe(model: Any) -> str:
    """The type of what was found in place of a model, and what to do instead where that is known."""
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
