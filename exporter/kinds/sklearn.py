"""Fitted estimators and pipelines of scikit-learn."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.draft import Draft
from whyport.exporter.estimators.codes import Decoder
from whyport.exporter.estimators.compile import compile_estimator, compile_in_float64
from whyport.exporter.estimators.convert import last_step
from whyport.exporter.estimators.fitted import Fitted, is_taken
from whyport.exporter.estimators.forest import compile_forest, is_forest
from whyport.exporter.estimators.knowledge import (
    classes_of,
    fitted,
    imputed_values,
    known_categories,
    own_names,
    task_of_estimator,
)
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.graph import capability
from whyport.exporter.kinds.facts import ModelFacts
from whyport.exporter.kinds.kind import Kind
from whyport.exporter.kinds.pickles import is_pickle
from whyport.runtime.errors import ExportError
from whyport.runtime.task import ClassificationByMargin, ProbabilityClassification

SLOW_ROWS = 5_000
FAST = ("linear_model", "tree", "ensemble", "neural_network", "naive_bayes", "discriminant_analysis", "dummy")
"""The modules of scikit-learn whose estimators predict many rows in no time."""
SLOW = ("Stacking", "Voting", "Bagging", "AdaBoost")
"""What the names of the slow ones among them begin with."""


@final
class SklearnEstimator(Kind):
    """A fitted classifier or regressor of scikit-learn, or a pipeline that ends in one."""

    refusal = "is for PyTorch modules: a pipeline of scikit-learn has such steps itself"
    packages = ("scikit-learn", "skl2onnx")
    advice = "fit the model on float32, `X.astype('float32')`, or leave out the step that computes in float64"

    @property
    def file(self) -> Path | None:
        return Path(self.source.source) if is_pickle(self.source.source) else None

    @property
    def native_rows(self) -> int:
        last = type(last_step(self.estimator))
        module = ([*last.__module__.split("."), ""])[1]
        is_slow = module not in FAST or last.__name__.startswith(SLOW)
        return SLOW_ROWS if is_slow else super().native_rows

    @cached_property
    def estimator(self) -> Any:
        """The fitted estimator; raises ExportError where there is none."""
        return fitted(self.model)

    def facts(self, columns: tuple[str, ...]) -> ModelFacts:
        model, names = self.estimator, own_names(self.estimator)
        width = getattr(model, "n_features_in_", None)
        inputs = names or (columns if width in (None, len(columns)) else ())
        categories = known_categories(model, inputs)
        is_tree = is_forest(model)
        return ModelFacts(
            features=names,
            width=width,
            task=task_of_estimator(model),
            targets=classes_of(model),
            takes_missing=self._takes_missing(inputs, categories),
            categories=categories,
            imputed={} if is_tree else imputed_values(model, inputs),
        )

    def compile(self, draft: Draft) -> Compiled:
        fitted_model = Fitted(self.estimator, draft.features)
        if not is_forest(self.estimator):
            return _without_trees(compile_estimator(fitted_model, draft), type(last_step(self.estimator)).__name__)
        if draft.task_name == ProbabilityClassification.name and task_of_estimator(self.estimator) != draft.task_name:
            reason = "probabilities are no sum of trees; without --from-probabilities the margin is explained"
            return _without_trees(compile_estimator(fitted_model, draft), reason=reason)
        try:
            return compile_forest(fitted_model, draft)
        except ExportError as error:
            if draft.task_name == ClassificationByMargin.name:
                raise ExportError(
                    f"{error}; --from-probabilities takes the probabilities as scores, which shapley explains"
                ) from error
            return _without_trees(compile_estimator(fitted_model, draft), reason=str(error))

    def compile_in_float64(self, draft: Draft) -> Compiled | None:
        if is_forest(self.estimator):
            return None
        compiled = compile_in_float64(Fitted(self.estimator, draft.features), draft)
        return _without_trees(compiled, type(last_step(self.estimator)).__name__)

    def native(self, rows: NDArray[np.floating[Any]], draft: Draft) -> dict[str, NDArray[Any]]:
        return Fitted(self.estimator, draft.features).outputs(rows, draft.task)

    def _takes_missing(self, inputs: tuple[str, ...], categories: dict[str, tuple[Any, ...]]) -> frozenset[str]:
        """The columns of numbers without whose value the estimator predicts a row all the same."""
        values: dict[str, Any] = {name: known[0] if known else "" for name, known in categories.items()}
        found = []
        for name in inputs:
            if name in categories:
                continue
            row = {each: np.nan if each == name else values.get(each, 0.0) for each in inputs}
            if is_taken(self.estimator, Decoder.one_row(row, named=bool(own_names(self.estimator)))):
                found.append(name)
        return frozenset(found)


def _without_trees(compiled: Compiled, name: str = "", reason: str = "") -> Compiled:
    why = capability(reason or f"{name} is no sum of trees")
    return replace(compiled, capabilities={**compiled.capabilities, "treeshap": why})
