"""XGBoost: a file of a booster in JSON or UBJ, a booster, or a fitted model of its interface to scikit-learn."""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.boosters.boosted import Boosted
from whyport.exporter.boosters.kind import BoosterKind
from whyport.exporter.boosters.probe import probe_file
from whyport.exporter.boosters.xgboost import read_booster
from whyport.runtime.errors import ExportError, first_line
from whyport.runtime.task import ClassificationByMargin

WRAPPER = "scikit_learn"
"""The attribute of a file that says which class of the interface to scikit-learn saved it."""


@final
class XGBoostModel(BoosterKind):
    """A model of XGBoost.

    A model of the interface to scikit-learn, or a file that one saved, predicts with its best round where training
    stopped early, and a booster with all of its rounds, as they do in XGBoost.
    """

    packages = ("onnxmltools",)

    def read(self) -> Boosted:
        fitted = self._fitted
        booster = fitted.booster[: fitted.rounds] if fitted.rounds else fitted.booster
        return read_booster(booster, is_classifier=fitted.is_classifier)

    def margins(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        return self._fitted.predict(rows, margin=True)

    def answers(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        if self.boosted.task is ClassificationByMargin and len(self.boosted.base) > 1:
            # multi:softmax predicts classes.
            margins = self.margins(rows).astype(np.float64)
            powers: NDArray[Any] = np.exp(margins - margins.max(axis=1, keepdims=True))
            powers /= powers.sum(axis=1, keepdims=True)
            return powers
        return self._fitted.predict(rows, margin=False)

    @cached_property
    def _fitted(self) -> "_Fitted":
        from xgboost import Booster

        if isinstance(self.model, Path):
            return _of_file(self.model)
        return _Fitted(self.model) if isinstance(self.model, Booster) else _of_wrapper(self.model)


@dataclass(frozen=True)
class _Fitted:
    """A booster, and what the interface to scikit-learn says of it."""

    booster: Any
    rounds: int = 0
    """How many rounds predict; 0 for all."""
    is_classifier: bool | None = None
    """Whether a classifier was trained; None for a booster of nothing else."""

    def predict(self, rows: NDArray[np.floating[Any]], *, margin: bool) -> NDArray[Any]:
        """What the booster predicts for rows [N, F], of any feature names."""
        from xgboost import DMatrix

        table = DMatrix(rows, missing=math.nan)
        predicted: NDArray[Any] = self.booster.predict(
            table, output_margin=margin, iteration_range=(0, self.rounds), validate_features=False
        )
        return predicted


def _of_wrapper(model: Any) -> _Fitted:
    from sklearn.exceptions import NotFittedError
    from xgboost import XGBClassifier, XGBModel

    name = type(model).__name__
    if not isinstance(model, XGBModel):
        raise ExportError(f"expected a model or a booster of XGBoost, got {name}")
    if not (isinstance(model.missing, float) and math.isnan(model.missing)):
        raise ExportError(
            f"the {name} takes {model.missing!r} for a missing value; train with missing=nan, and NaN where a value is "
            f"missing"
        )
    if callable(model.objective):
        raise ExportError(f"the {name}'s objective is a function of its own; train with an objective by name")
    try:
        booster = model.get_booster()
    except NotFittedError:
        raise ExportError(f"the {name} is not fitted: call fit() first") from None
    return _Fitted(booster, _best_rounds(booster), isinstance(model, XGBClassifier))


def _of_file(path: Path) -> _Fitted:
    from xgboost import Booster

    _check_file(path)
    probe_file(path, "xgboost")
    booster = Booster()
    try:
        booster.load_model(path)
    except Exception as error:  # a damaged file fails in any way
        raise ExportError(f"{path.name} is no model of XGBoost: {first_line(error)}") from error
    wrapper = booster.attr(WRAPPER)
    if wrapper is None:
        return _Fitted(booster)
    return _Fitted(booster, _best_rounds(booster), json.loads(wrapper).get("_estimator_type") == "classifier")


def _check_file(path: Path) -> None:
    """Raise ExportError for JSON that is none, or of something else; what XGBoost says of it helps nobody."""
    if path.suffix.lower() != ".json":
        return
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ExportError(f"{path.name} is no valid JSON: {first_line(error)}") from None
    if not isinstance(content, dict) or "learner" not in content:
        raise ExportError(
            f"{path.name} is no model of XGBoost, as save_model('{path.name}') writes it: it has no 'learner'"
        )


def _best_rounds(booster: Any) -> int:
    best = booster.attr("best_iteration")
    return 0 if best is None else int(best) + 1
