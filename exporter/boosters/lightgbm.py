"""LightGBM's boosters as sums of trees, by the converter of onnxmltools.

The converter is given the trees alone, as those of a plain regression. It rounds thresholds to the nearest float32,
which sends rows the wrong way, misreads where missing values go, and divides the trees of a random forest by 100. All
of that comes from the model: a threshold rounded down decides as before on every float32 value.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.boosters.boosted import EXPONENTIAL, IDENTITY, SIGMOID, SIGNED_SQUARE, SOFTPLUS, Boosted
from whyport.exporter.boosters.ensemble import Ensemble
from whyport.exporter.trees.thresholds import round_down
from whyport.runtime.errors import ExportError, first_line
from whyport.runtime.task import ClassificationByMargin, Regression

CLASSIFICATIONS = ("binary", "multiclass")

VALUES = {
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile", "mape"), IDENTITY),
    **dict.fromkeys(("lambdarank", "rank_xendcg"), IDENTITY),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), EXPONENTIAL),
    "cross_entropy": SIGMOID,
    "cross_entropy_lambda": SOFTPLUS,
}
"""By objective: what makes the predicted value of a sum. What a ranker gives is a value too, without a unit."""

REFUSED = {
    "multiclassova": "its probabilities do not sum to 1; train with the objective multiclass",
    "custom": "the model's output may be anything; train with an objective of LightGBM's own",
}

ZERO = np.float32(1e-35)
"""The largest value that LightGBM takes for 0."""

ENCODE = "encode them one-hot, in a scikit-learn pipeline in front of the model"


def read_booster(booster: Any, classes: tuple[str, ...] | None = None) -> Boosted:
    """The sums of trees of a booster: of its best round where it knows one, otherwise all.

    Args:
        booster: a `lightgbm.Booster`.
        classes: the names of the classes, where a classifier was trained; empty where they have none.

    Raises:
        ExportError: the booster is no sum of trees over numbers, or its objective is not known.
    """
    text = booster.model_to_string()
    header, _, rest = text.partition("\nTree=")
    try:
        model = booster.dump_model()
    except ValueError as error:  # LightGBM writes a tab in a name as it is
        raise ExportError(f"LightGBM cannot describe the model: {first_line(error)}; are its names plain?") from error
    name, *options = (model.get("objective") or "custom").split()
    if name in REFUSED:
        raise ExportError(f"objective {name!r}: {REFUSED[name]}")
    if name not in (*CLASSIFICATIONS, *VALUES):
        known = ", ".join((*CLASSIFICATIONS, *VALUES))
        raise ExportError(f"objective {name!r} is not known: the model's output may be anything; known: {known}")
    task = ClassificationByMargin if name in CLASSIFICATIONS else Regression
    if classes is not None and task is Regression:
        known = " or ".join(CLASSIFICATIONS)
        raise ExportError(f"a classifier with the objective {name!r} has no margins; train with {known}")
    link = VALUES.get(name, IDENTITY)
    if name == "regression" and "sqrt" in options:
        link = SIGNED_SQUARE
    sums, features = int(model["num_tree_per_iteration"]), model["feature_names"]
    unit = _option(options, "sigmoid") if name == "binary" else 1.0
    if model.get("average_output"):
        unit /= len(model["tree_info"]) // sums
    trees = _repair(_convert(header, rest, len(features)), model, sums, text).scaled(unit)
    return Boosted(
        trees,
        np.zeros(sums),
        task,
        len(features),
        link,
        covers=_covers(model),
        thresholds=_thresholds(model),
        names=_names(features),
        classes=classes or (),
        unit=unit,
    )


def _names(names: list[str]) -> tuple[str, ...]:
    """The names of the features; none where they are LightGBM's own, Column_0 and so on."""
    own = [f"Column_{i}" for i in range(len(names))]
    return () if names == own else tuple(names)


def _option(options: list[str], name: str) -> float:
    """The value of an objective's option, "name:value"; 1 where it is not given."""
    found = [option.partition(":")[2] for option in options if option.startswith(f"{name}:")]
    return float(found[0]) if found else 1.0


def _convert(header: str, trees: str, features: int) -> Ensemble:
    """The trees by the converter, which is shown a regression."""
    from lightgbm import Booster
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    for key, value in {"objective": "regression", "num_class": 1, "num_tree_per_iteration": 1}.items():
        header = re.sub(rf"^{key}=.*$", f"{key}={value}", header, flags=re.MULTILINE)
    header = re.sub(r"^average_output$\n?", "", header, flags=re.MULTILINE)
    trees = re.sub(r"^parameters:$.*", "", trees, flags=re.MULTILINE | re.DOTALL)  # the objective is there again
    plain = Booster(model_str=f"{header}\nTree={trees}")
    types = [("rows", FloatTensorType([None, features]))]
    return Ensemble.of(convert_lightgbm(plain, initial_types=types, target_opset=15))


def _repair(trees: Ensemble, model: dict[str, Any], sums: int, text: str) -> Ensemble:
    """The trees with thresholds, ways of missing values and places that the model says."""
    splits = [node for tree in model["tree_info"] for node in _walk(tree["tree_structure"]) if "threshold" in node]
    _check(splits, text)
    thresholds = np.array([float(node["threshold"]) for node in splits], dtype=np.float64)
    values = np.zeros(len(trees.inner), dtype=np.float32)
    goes_left = np.zeros(len(trees.inner), dtype=np.int64)
    values[trees.inner] = _in_float32(thresholds)
    goes_left[trees.inner] = [_missing_goes_left(node) for node in splits]
    tree = trees.attributes["target_treeids"]
    return trees.changed(nodes_values=values, nodes_missing_value_tracks_true=goes_left, target_ids=tree % sums)


def _check(splits: list[dict[str, Any]], text: str) -> None:
    if any(node["decision_type"] == "==" for node in splits):
        raise ExportError(
            f"the model splits by categories (categorical_feature), which no ONNX operator does exactly; {ENCODE}"
        )
    if any(node["missing_type"] == "Zero" for node in splits):
        raise ExportError("the model takes 0 for a missing value (zero_as_missing); train with zero_as_missing=False")
    if re.search(r"^is_linear=1$", text, flags=re.MULTILINE):
        raise ExportError("the leaves are linear models (linear_tree); train with linear_tree=False")


def _in_float32(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The thresholds that part float32 values as LightGBM does, which takes every value within `ZERO` for 0."""
    below = np.nextafter(-ZERO, np.float32(-np.inf))
    near = [(thresholds >= -ZERO) & (thresholds < 0), (thresholds >= 0) & (thresholds < ZERO)]
    return np.select(near, [below, ZERO], round_down(thresholds))


def _missing_goes_left(node: dict[str, Any]) -> bool:
    """Where a NaN goes: where the node sends it; one that has never seen any takes it for 0."""
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return float(node["threshold"]) >= 0


def _walk(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a tree, each before its children, the left ones first."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        if "left_child" in node:
            waiting += [node["right_child"], node["left_child"]]


def _thresholds(model: dict[str, Any]) -> NDArray[np.float64]:
    """The thresholds of all nodes as LightGBM compares float64 values, 0 of leaves."""
    nodes = [node for tree in model["tree_info"] for node in _walk(tree["tree_structure"])]
    exact = np.array([float(node.get("threshold", 0)) for node in nodes])
    zero = float(ZERO)
    return np.select(
        [(-zero <= exact) & (exact < 0), (exact >= 0) & (exact < zero)], [np.nextafter(-zero, -1), zero], exact
    )


def _covers(model: dict[str, Any]) -> Any:
    """The number of training rows in each leaf, from left to right; None where a tree does not say."""
    leaves = [node for tree in model["tree_info"] for node in _walk(tree["tree_structure"]) if "leaf_value" in node]
    if not all("leaf_count" in leaf for leaf in leaves):
        return None
    return np.array([leaf["leaf_count"] for leaf in leaves], dtype=np.float64)
