"""LightGBM: a booster's text file, a booster, or a fitted model of its interface to scikit-learn."""

from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.boosters.boosted import Boosted
from whyport.exporter.boosters.kind import BoosterKind
from whyport.exporter.boosters.labels import class_names
from whyport.exporter.boosters.lightgbm import read_booster
from whyport.exporter.boosters.probe import probe_file
from whyport.runtime.errors import ExportError, first_line

BEGINNING = b"tree\n"
"""The first line of every booster's file."""


@final
class LightGBMModel(BoosterKind):
    """A model of LightGBM; it predicts with its best round where training stopped early, as LightGBM does."""

    packages = ("lightgbm", "onnxmltools")

    def read(self) -> Boosted:
        booster = self._booster
        labels = getattr(self.model, "classes_", None)
        return read_booster(booster, None if labels is None else class_names(labels))

    def margins(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        return self._predict(rows, raw_score=True) * self.boosted.unit

    def answers(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        return self._predict(rows)

    def own_names(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        # LightGBM writes an underscore for every space.
        given = {name.replace(" ", "_"): name for name in columns}
        if len(given) < len(columns):
            return self.boosted.names
        return tuple(given.get(name, name) for name in self.boosted.names)

    def _predict(self, rows: NDArray[np.floating[Any]], **options: Any) -> NDArray[Any]:
        predicted: NDArray[Any] = self._booster.predict(rows, **options)
        return predicted

    @cached_property
    def _booster(self) -> Any:
        from lightgbm import Booster, LGBMModel
        from sklearn.exceptions import NotFittedError

        if isinstance(self.model, Path):
            return _read(self.model)
        if isinstance(self.model, Booster):
            return self.model
        name = type(self.model).__name__
        if not isinstance(self.model, LGBMModel):
            raise ExportError(f"expected a model or a booster of LightGBM, got {name}")
        try:
            return self.model.booster_
        except NotFittedError:
            raise ExportError(f"the {name} is not fitted: call fit() first") from None


def _read(path: Path) -> Any:
    from lightgbm import Booster

    content = path.read_bytes()
    if not content.startswith(BEGINNING):
        raise ExportError(f"{path.name} is no model of LightGBM, as save_model('{path.name}') writes it")
    if b"\nend of trees" not in content:
        raise ExportError(f"{path.name} is damaged: its trees have no end")
    probe_file(path, "lightgbm")
    try:
        return Booster(model_str=content.decode("utf-8"))
    except Exception as error:  # a damaged file fails in any way
        raise ExportError(f"{path.name} is no model of LightGBM: {first_line(error)}") from error
