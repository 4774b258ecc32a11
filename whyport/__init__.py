"""Portable model bundles, and Parquet streamed through predictions and the reasons for them.

Every public name is here, and is imported on use: `import whyport` needs nothing, and `whyport --help` stays instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whyport.batch.report.to_shap import to_shap
    from whyport.runtime.bundle.folder import Bundle
    from whyport.runtime.errors import WhyportError
    from whyport.runtime.session import Session

__all__ = ["Bundle", "Session", "WhyportError", "to_shap"]

_HOMES = {
    "Bundle": "whyport.runtime.bundle.folder",
    "Session": "whyport.runtime.session",
    "WhyportError": "whyport.runtime.errors",
    "to_shap": "whyport.batch.report.to_shap",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'whyport' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
