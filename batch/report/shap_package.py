"""The package shap, imported when it is needed."""

import warnings
from typing import Any


def load_shap() -> Any:
    """Import shap, which warns of matplotlib functions that it uses."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The set_(bad|over|under) function", PendingDeprecationWarning)
        import shap
    return shap
