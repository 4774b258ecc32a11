"""A fitted estimator over the rows of codes of a bundle, as scikit-learn itself computes it."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.boosters.steps import CLASSIFIERS, step_margins
from whyport.exporter.estimators.codes import Decoder
from whyport.exporter.estimators.convert import last_step
from whyport.exporter.estimators.knowledge import missing_markers, own_names
from whyport.runtime.bundle.columns import Column
from whyport.runtime.task import ClassificationByMargin, Task


@dataclass(frozen=True)
class Fitted:
    """A fitted classifier or regressor, and the columns that it takes."""

    model: Any
    columns: tuple[Column, ...]

    @cached_property
    def decoder(self) -> Decoder:
        """What makes the estimator's own rows of rows of codes."""
        names = [column.name for column in self.columns]
        return Decoder(self.columns, bool(own_names(self.model)), missing_markers(self.model, names))

    def outputs(self, rows: NDArray[np.floating[Any]], task: Task) -> dict[str, NDArray[Any]]:
        """The task's outputs [N, K] of rows [N, F]; NaN in rows with a category that the estimator refuses."""
        taken = ~self._are_refused(rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = self.decoder.decode(rows[taken])
            outputs = self._outputs(given, task) if taken.any() else {}
        made = {}
        for name, values in outputs.items():
            made[name] = np.full((len(rows), values.shape[1]), np.nan)
            made[name][taken] = values
        return made

    def cells(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        """What the last step takes of rows [N, F], [N, P]; a category that is refused counts as the commonest."""
        return self._through(self.model[:-1] if hasattr(self.model, "steps") else None, rows)

    def first_cells(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        """What the second step of a pipeline takes of rows [N, F], alike."""
        return self._through(self.model[:1], rows)

    @cached_property
    def width(self) -> int:
        """How many cells the last step takes."""
        return int(last_step(self.model).n_features_in_)

    @cached_property
    def refused(self) -> dict[int, list[int]]:
        """The codes that the estimator refuses, of a missing or an unseen category, by column."""
        row = np.array([[0.0 if each.numbers is None else each.numbers.median for each in self.columns]])
        found: dict[int, list[int]] = {}
        for j, column in enumerate(self.columns):
            if column.categories is None:
                continue
            for code in (column.categories.other_code, column.categories.missing_code):
                row_with = row.copy()
                row_with[0, j] = code
                if not is_taken(self.model, self.decoder.decode(row_with)):
                    found.setdefault(j, []).append(code)
        return found

    def _through(self, steps: Any, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        rows = rows.copy()
        for j, codes in self.refused.items():
            categories = self.columns[j].categories
            assert categories is not None
            rows[np.isin(rows[:, j], codes), j] = int(np.argmax(categories.counts))
        given = self.decoder.decode(rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = given if steps is None else steps.transform(given)
        dense = made.toarray() if hasattr(made, "toarray") else np.asarray(made)
        return dense if dense.dtype == np.float32 else dense.astype(np.float64)

    def _are_refused(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        refused = np.zeros(len(rows), dtype=np.bool_)
        for j, codes in self.refused.items():
            refused |= np.isin(rows[:, j], codes)
        return refused

    def _outputs(self, given: Any, task: Task) -> dict[str, NDArray[Any]]:
        if "probabilities" not in task.outputs:
            values = np.asarray(self.model.predict(given))
            return {task.score: values.reshape(len(values), -1)}
        made = {"probabilities": np.asarray(self.model.predict_proba(given))}
        if task.name == ClassificationByMargin.name:
            margins = self._margins(given)
            one = margins.ndim == 1 or margins.shape[1] == 1
            made[task.score] = margins.reshape(-1, 1) * np.array([-1.0, 1.0]) if one else margins
        return made

    def _margins(self, given: Any) -> NDArray[Any]:
        last = last_step(self.model)
        if type(last).__name__ not in CLASSIFIERS:
            return np.asarray(self.model.decision_function(given))
        return step_margins(last, given if last is self.model else self.model[:-1].transform(given))


def is_taken(model: Any, given: Any) -> bool:
    """Whether the estimator predicts a row instead of refusing it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.predict(given)
        except (ValueError, TypeError):
            return False
    return True
