"""Streams Parquet files through predictions and explanations to Parquet."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch.pictures.explanations import to_shap

__all__ = ["to_shap"]


def __getattr__(name: str) -> Any:
    # On use: pyarrow and shap are not needed to import the package.
    if name == "to_shap":
        from batch.pictures.explanations import to_shap

        return to_shap
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
