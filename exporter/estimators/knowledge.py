"""What a fitted estimator knows: its columns, its classes, and how it takes them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from whyport.exporter.boosters.steps import CLASSIFIERS
from whyport.exporter.estimators.convert import last_step
from whyport.runtime.errors import ExportError, listing
from whyport.runtime.inputs.categories import category_text
from whyport.runtime.inputs.sources import is_missing
from whyport.runtime.task import Classification, ClassificationByMargin, ProbabilityClassification, Regression

MARGINS = ("GradientBoostingClassifier", "HistGradientBoostingClassifier", *CLASSIFIERS)
"""Classifiers whose score is the sum of boosted trees."""
LOGITS = ("LogisticRegression", "LogisticRegressionCV", "MLPClassifier")
"""Classifiers that end in a softmax or a sigmoid, in front of which the logits are."""
FREE_TEXT = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
"""Transformers of texts into words."""
ENCODERS = ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder")
"""Transformers of categories, with `categories_` by column."""
THRESHOLDS = ("TunedThresholdClassifierCV", "FixedThresholdClassifier")
"""Classifiers whose prediction is not the likeliest class."""


def fitted(model: Any) -> Any:
    """The fitted estimator inside a search or a frozen one; ExportError where it is not fitted, or no predictor."""
    from sklearn.base import is_classifier, is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    name = type(model).__name__
    try:
        check_is_fitted(model)
    except NotFittedError:
        raise ExportError(f"{name} is not fitted; fit it first") from None
    except TypeError:
        raise ExportError(f"expected a classifier or a regressor, got the transformer {name}") from None
    if hasattr(model, "best_estimator_"):
        return fitted(model.best_estimator_)
    if type(model).__name__ == "FrozenEstimator":
        return fitted(model.estimator)
    if not (is_classifier(model) or is_regressor(model)):
        raise ExportError(f"expected a classifier or a regressor, got {name}")
    if name in THRESHOLDS:
        raise ExportError(
            f"{name} predicts by a threshold of its own; export its estimator_, and use the probabilities"
        )
    if name == "TransformedTargetRegressor":
        raise ExportError(f"{name}: the way back from its transform has no graph; export its regressor_, in its unit")
    for step in _every_step(model):
        _check_members(step)
        flags = getattr(step, "is_categorical_", None)
        if flags is not None and np.any(flags):
            raise ExportError(
                f"{type(step).__name__}: its categorical_features are no order of numbers; put an OrdinalEncoder or a "
                f"OneHotEncoder in front of it instead"
            )
        if type(step).__name__ in FREE_TEXT:
            raise ExportError(
                f"{type(step).__name__}: free text is no column of numbers or categories; make columns of it first, "
                f"such as the counts of some words"
            )
    return _unnested(model)


def _check_members(step: Any) -> None:
    """Raise ExportError where a fitted estimator inside another one encodes texts: what it knows is not the whole's."""
    name = type(step).__name__
    for member in _members(step):
        for inner in _every_step(member):
            if type(inner).__name__ in ENCODERS and any(values.dtype.kind in "OSU" for values in inner.categories_):
                raise ExportError(
                    f"{name}: the {type(inner).__name__} inside its estimators takes columns of text; put it in front "
                    f"of the whole, make_pipeline({type(inner).__name__}(...), {name}(...)), and fit that"
                )


SUMS = {
    "GradientBoostingClassifier": ("log_loss",),
    "HistGradientBoostingRegressor": ("squared_error", "absolute_error", "quantile"),
}
"""The losses whose sum of trees is the margin or the value, by the estimators whose loss decides it."""


def task_of_estimator(model: Any) -> str:
    """The name of the task; ExportError where the estimator has no probabilities, or several outputs a row."""
    from sklearn.base import is_classifier

    last = last_step(model)
    name = type(last).__name__
    if name in SUMS and last.loss not in SUMS[name]:
        raise ExportError(
            f"{name} with the loss {last.loss!r}: expected one of {listing(SUMS[name])}; fit it with that"
        )
    if not is_classifier(model):
        return Regression.name
    if isinstance(model.classes_, list) or _is_multilabel(last):
        raise ExportError(f"{name} predicts several outputs a row; fit and export a model for each")
    if len(model.classes_) < 2:
        raise ExportError(f"{name} knows one class alone, {model.classes_[0]!r}; expected two or more")
    if not hasattr(model, "predict_proba"):
        raise ExportError(f"{name} has no probabilities; fit it inside CalibratedClassifierCV, which gives them")
    if name in MARGINS:
        return ClassificationByMargin.name
    return Classification.name if name in LOGITS else ProbabilityClassification.name


def classes_of(model: Any) -> tuple[str, ...]:
    """The names of a classifier's classes; empty for a regressor."""
    return tuple(category_text(_plain(value)) for value in getattr(model, "classes_", ()))


def own_names(model: Any) -> tuple[str, ...]:
    """The names of the columns that it was fitted with; empty where these had none."""
    return tuple(map(str, getattr(model, "feature_names_in_", ())))


def known_categories(model: Any, columns: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """The columns that encoders take, each with the values that these know."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, values in _encoded(model, list(columns)):
        known = dict.fromkeys(found.get(name, ()))
        known |= dict.fromkeys(_plain(value) for value in values if not is_missing(value) and value != "")
        found[name] = tuple(known)
    return found


def missing_markers(model: Any, columns: Sequence[str]) -> dict[str, Any]:
    """What stands for a missing value in the columns whose imputer or encoder says so.

    A bundle takes an empty text for a missing value. ExportError where a column's steps tell the two apart.
    """
    found: dict[str, Any] = {}
    for name, marker in _markers(model, list(columns)):
        if (found.setdefault(name, marker) == "") is not (marker == ""):
            raise ExportError(
                f"column {name!r}: the model tells an empty text from a missing value, and a bundle takes one for the "
                f"other; fit it with one of the two"
            )
    return found


def imputed_values(model: Any, columns: Sequence[str]) -> dict[str, float]:
    """The columns of numbers whose first step replaces what is missing, each with the number."""
    return dict(_imputed(model, list(columns)))


def _encoded(step: Any, columns: list[str]) -> Iterator[tuple[str, Any]]:
    name = type(step).__name__
    if name in ENCODERS:
        yield from zip(columns, step.categories_, strict=True)
    for part, own in _parts(step, columns):
        yield from _encoded(part, own)


def _markers(step: Any, columns: list[str]) -> Iterator[tuple[str, Any]]:
    """The first that says so counts."""
    name = type(step).__name__
    if name == "SimpleImputer":
        # What it fills in as an empty text is one from then on.
        known = zip(columns, step.statistics_, strict=True)
        yield from ((column, "" if filled == "" else step.missing_values) for column, filled in known)
    if name in ENCODERS:
        for column, values in zip(columns, step.categories_, strict=True):
            yield from ((column, value) for value in values if is_missing(value) or value == "")
    for part, own in _parts(step, columns):
        yield from _markers(part, own)


def _imputed(step: Any, columns: list[str]) -> Iterator[tuple[str, float]]:
    if type(step).__name__ == "SimpleImputer" and not step.add_indicator and step.statistics_.dtype.kind == "f":
        known = zip(columns, step.statistics_, strict=True)
        yield from ((name, float(value)) for name, value in known if np.isfinite(value))
    for part, own in _parts(step, columns, first=True):
        yield from _imputed(part, own)


def _parts(step: Any, columns: list[str], *, first: bool = False) -> Iterator[tuple[Any, list[str]]]:
    """The parts of a composed step whose columns are those of the whole, each with its own.

    A pipeline's steps take the columns up to the first that may make others of them; with `first`, the first alone.
    """
    if hasattr(step, "transformers_"):
        places = step._transformer_to_input_indices
        for name, part, _ in step.transformers_:
            yield part, [columns[place] for place in places.get(name, ())]
    elif hasattr(step, "steps"):
        for _, part in step.steps:
            if part is None or part == "passthrough":
                continue
            yield part, columns
            if first or type(part).__name__ != "SimpleImputer" or part.add_indicator:
                return
    elif hasattr(step, "transformer_list"):
        yield from ((part, columns) for _, part in step.transformer_list)


def _unnested(model: Any) -> Any:
    """The pipeline whose last step is the predictor, where it is a pipeline of its own in the model."""
    steps = list(getattr(model, "steps", ()))
    if not steps or not hasattr(steps[-1][1], "steps"):
        return model
    while hasattr(steps[-1][1], "steps"):
        steps += steps.pop()[1].steps
    return type(model)([(f"{i}: {name}", step) for i, (name, step) in enumerate(steps)])


def _every_step(step: Any) -> Iterator[Any]:
    yield step
    for entry in getattr(step, "transformers_", None) or getattr(step, "steps", None) or ():
        yield from _every_step(entry[1])
    for entry in getattr(step, "transformer_list", None) or ():
        yield from _every_step(entry[1])
    for member in _members(step):
        yield from _every_step(member)


def _members(step: Any) -> list[Any]:
    """The fitted pipelines inside an estimator that votes, stacks or calibrates."""
    calibrated = [each.estimator for each in getattr(step, "calibrated_classifiers_", ())]
    return [each for each in (*calibrated, *getattr(step, "estimators_", ())) if hasattr(each, "steps")]


def _is_multilabel(last: Any) -> bool:
    binarizer = getattr(last, "_label_binarizer", None)
    return getattr(binarizer, "y_type_", "") == "multilabel-indicator" or getattr(last, "multilabel_", False)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
