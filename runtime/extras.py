"""The extras of whyport: the packages of each, and the error for a missing package."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from whyport.runtime.errors import MissingPackageError

EXTRAS = {
    "batch": {"pyarrow", "tqdm"},
    "explain": {"torch", "numba"},
    "export": {"torch", "onnx", "onnxscript", "pandas", "pyarrow", "sklearn", "scipy", "matplotlib", "tqdm"},
    "report": {"jinja2", "matplotlib", "shap"},
    "trees": {"numba"},
    "text": {"tokenizers"},
    "sklearn": {"sklearn", "skl2onnx"},
    "xgboost": {"xgboost", "onnxmltools"},
    "lightgbm": {"lightgbm", "onnxmltools"},
    "catboost": {"catboost"},
    "keras": {"keras"},
    "images": {"PIL", "simplejpeg"},
    "segments": {"skimage"},
    "ray": {"ray"},
    "spark": {"pyspark"},
    "groups": {"fairlearn", "pandas", "sklearn"},
    "store": {"obstore"},
    "sign": {"cryptography"},
}
"""The modules of each extra. onnxruntime, of `cpu` or `gpu`, is checked by `providers` itself."""

PREFERRED = (
    "batch",
    "trees",
    "explain",
    "report",
    "export",
    "sklearn",
    "xgboost",
    "lightgbm",
    "catboost",
    "keras",
    "images",
    "text",
    "segments",
    "ray",
    "spark",
    "groups",
    "store",
    "sign",
)
"""The extras to suggest by default: the smaller one first."""

P = ParamSpec("P")
R = TypeVar("R")


def missing_package(error: ModuleNotFoundError, extras: tuple[str, ...] = PREFERRED) -> MissingPackageError | None:
    """The error that names the first extra with the missing package; None if no extra has it."""
    package = (error.name or "").split(".")[0]
    found = [extra for extra in (*extras, *PREFERRED) if package in EXTRAS[extra]]
    if not found:
        return None
    return MissingPackageError(f"this needs the package {error.name!r}: pip install 'whyport[{found[0]}]'")


def needs(*extras: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function that imports packages of these extras when it is called.

    The function raises MissingPackageError if a package is not installed.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except ModuleNotFoundError as error:
                missing = missing_package(error, extras)
                if missing is None:
                    raise
                raise missing from error

        return call

    return decorate
