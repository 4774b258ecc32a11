"""CatBoost: a file in CatBoost's own format, or a fitted model."""

from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.boosters.boosted import EXPONENTIAL, Boosted
from whyport.exporter.boosters.catboost import read_model
from whyport.exporter.boosters.kind import BoosterKind
from whyport.exporter.boosters.probe import probe_file
from whyport.runtime.errors import ExportError, first_line
from whyport.runtime.task import ClassificationByMargin

BEGINNING = b"CBM1"
"""The first bytes of every model's file; the model's size in four bytes follows."""


@final
class CatBoostModel(BoosterKind):
    """A model of CatBoost."""

    packages = ("catboost",)

    def read(self) -> Boosted:
        return read_model(self._fitted)

    def margins(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        return self._predict(rows, "RawFormulaVal")

    def answers(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        if self.boosted.task is ClassificationByMargin:
            return self._predict(rows, "Probability")
        return self._predict(rows, "Exponent" if self.boosted.link == EXPONENTIAL else "RawFormulaVal")

    def _predict(self, rows: NDArray[np.floating[Any]], kind: str) -> NDArray[Any]:
        from catboost import CatBoost

        # A ranker's own method takes no kind.
        predicted: NDArray[Any] = CatBoost.predict(self._fitted, np.ascontiguousarray(rows), prediction_type=kind)
        return predicted

    @cached_property
    def _fitted(self) -> Any:
        from catboost import CatBoost

        if isinstance(self.model, Path):
            return _read(self.model)
        name = type(self.model).__name__
        if not isinstance(self.model, CatBoost):
            raise ExportError(f"expected a model of CatBoost, got {name}")
        if not self.model.is_fitted():
            raise ExportError(f"the {name} is not fitted: call fit() first")
        return self.model


def _read(path: Path) -> Any:
    from catboost import CatBoost

    _check_file(path)
    probe_file(path, "catboost")
    model = CatBoost()
    try:
        return model.load_model(str(path), format="cbm")
    except Exception as error:  # a damaged file fails in any way
        raise ExportError(f"{path.name} is no model of CatBoost: {first_line(error)}") from error


def _check_file(path: Path) -> None:
    """Raise ExportError for a file that ends before its model does, which ends the whole process inside CatBoost."""
    with path.open("rb") as file:
        beginning = file.read(len(BEGINNING) + 4)
    if not beginning.startswith(BEGINNING):
        raise ExportError(f"{path.name} is no model of CatBoost, as save_model('{path.name}') writes it")
    size = int.from_bytes(beginning[len(BEGINNING) :], "little")
    if path.stat().st_size < len(beginning) + size:
        raise ExportError(f"{path.name} is no model of CatBoost: it is damaged, and ends before its trees do")
