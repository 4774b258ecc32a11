"""XGBoost's boosters as sums of trees, by the converter of onnxmltools.

The converter is given the trees alone, as those of a plain regression: it guesses the objective of a booster, numbers
the classes wrongly where one round grows several trees, and knows no dropped trees. All of that comes from the model.
"""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.boosters.boosted import EXPONENTIAL, IDENTITY, SIGMOID, Boosted
from whyport.exporter.boosters.ensemble import Ensemble
from whyport.runtime.errors import ExportError
from whyport.runtime.task import ClassificationByMargin, Regression, Task

PLAIN = {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}
"""The objective whose prediction is the sum of the trees."""

CLASSIFICATIONS = ("binary:logistic", "multi:softprob", "multi:softmax")

VALUES = {
    **dict.fromkeys(("reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror"), IDENTITY),
    "reg:quantileerror": IDENTITY,
    **dict.fromkeys(("rank:pairwise", "rank:ndcg", "rank:map"), IDENTITY),
    **dict.fromkeys(("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"), EXPONENTIAL),
    "reg:logistic": SIGMOID,
}
"""By objective: what makes the predicted value of a sum. What a ranker gives is a value too, without a unit."""

REFUSED = {
    "binary:logitraw": "it predicts no probabilities; the same trees saved with the objective binary:logistic do",
    "binary:hinge": "it predicts classes without probabilities; train with binary:logistic",
}


def read_booster(booster: Any, *, is_classifier: bool | None = None) -> Boosted:
    """The sums of trees of a booster, all of its rounds.

    Args:
        booster: an `xgboost.Booster`.
        is_classifier: what the wrapper that trained it says; None where there is none.

    Raises:
        ExportError: the booster is no sum of trees over numbers, or its objective is not known.
    """
    model = json.loads(bytes(booster.save_raw("json")))
    learner = model["learner"]
    forest = _forest(learner)
    objective = learner["objective"]["name"]
    task = _task(objective, is_classifier)
    link = IDENTITY if task is ClassificationByMargin else VALUES[objective]
    base = _base(learner, SIGMOID if objective in ("binary:logistic", "reg:logistic") else link)
    if task is ClassificationByMargin and len(base) > 1 and learner["learner_model_param"]["num_class"] == "0":
        raise ExportError(
            f"the model answers {len(base)} yes-or-no questions at once; expected one: train a model for each"
        )
    features = int(learner["learner_model_param"]["num_feature"])
    sums = np.array(forest["model"]["tree_info"])
    factors = np.array(forest.get("weight_drop", np.ones(len(sums))), dtype=np.float32)
    names = tuple(learner["feature_names"])
    trees = _convert(model, features)  # which changes the model
    tree = trees.attributes["target_treeids"]
    weights = trees.attributes["target_weights"].astype(np.float32) * factors[tree]
    trees = trees.changed(target_ids=sums[tree], target_weights=weights)
    return Boosted(trees, base, task, features, link, _covers(forest["model"]["trees"]), names=names)


def _forest(learner: dict[str, Any]) -> dict[str, Any]:
    """The part of a model that holds its trees, with the factors of those that were dropped at times."""
    booster = learner["gradient_booster"]
    if booster["name"] == "gblinear":
        raise ExportError(
            "booster gblinear has no trees but a linear model; train one of scikit-learn, or with booster='gbtree'"
        )
    forest: dict[str, Any] = booster
    if booster["name"] == "dart":
        forest = {"model": booster["gbtree"]["model"], "weight_drop": booster["weight_drop"]}
    trees = forest["model"]["trees"]
    if not trees:
        raise ExportError("the model has no trees: it was trained for no round")
    if any(tree["categories"] for tree in trees):
        raise ExportError(
            "the model splits by categories (enable_categorical), which no ONNX operator does exactly; encode them "
            "one-hot, in a scikit-learn pipeline in front of the model"
        )
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees):
        raise ExportError(
            "the leaves hold several values each (multi_strategy='multi_output_tree'); train with "
            "multi_strategy='one_output_per_tree'"
        )
    return forest


def _task(objective: str, is_classifier: bool | None) -> type[Task]:
    if objective in REFUSED:
        raise ExportError(f"objective {objective!r}: {REFUSED[objective]}")
    if objective in CLASSIFICATIONS or (objective == "reg:logistic" and is_classifier):
        return ClassificationByMargin
    if objective not in VALUES:
        known = ", ".join((*CLASSIFICATIONS, *VALUES))
        raise ExportError(f"objective {objective!r} is not known: the model's output may be anything; known: {known}")
    if is_classifier:
        raise ExportError(
            f"a classifier with the objective {objective!r} has no margins; train with {CLASSIFICATIONS[0]!r} or "
            f"{CLASSIFICATIONS[1]!r}"
        )
    return Regression


def _base(learner: dict[str, Any], link: str) -> NDArray[np.float64]:
    """The number added to each sum. The model keeps it as the link gives it, in float32."""
    parameters = learner["learner_model_param"]
    kept = np.atleast_1d(np.array(json.loads(parameters["base_score"]), dtype=np.float32))
    sums = max(1, int(parameters["num_class"]), int(parameters["num_target"]))
    if link == SIGMOID:
        kept = -np.log(np.float32(1) / kept - np.float32(1))
    elif link == EXPONENTIAL:
        kept = np.log(kept)
    return np.broadcast_to(kept, sums).astype(np.float64)


def _convert(model: dict[str, Any], features: int) -> Ensemble:
    """The trees by the converter, which is shown a regression without a base and without names."""
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from xgboost import Booster

    learner = model["learner"]
    learner |= {"objective": PLAIN, "feature_names": [], "feature_types": [], "attributes": {}}
    learner["learner_model_param"] |= {"base_score": "[0E0]", "num_class": "0", "num_target": "1"}
    booster = learner["gradient_booster"]
    if booster["name"] == "dart":
        booster = learner["gradient_booster"] = booster["gbtree"] | {"name": "gbtree"}
    booster["model"]["tree_info"] = [0] * len(booster["model"]["trees"])
    plain = Booster()
    plain.load_model(bytearray(json.dumps(model).encode()))
    types = [("rows", FloatTensorType([None, features]))]
    return Ensemble.of(convert_xgboost(plain, initial_types=types, target_opset=15))


def _covers(trees: list[dict[str, Any]]) -> NDArray[np.float64]:
    """The sum of hessians in each leaf, from left to right."""
    covers = []
    for tree in trees:
        left, right, weight = tree["left_children"], tree["right_children"], tree["sum_hessian"]
        waiting = [0]
        while waiting:
            node = waiting.pop()
            if left[node] < 0:
                covers.append(weight[node])
            else:
                waiting += [right[node], left[node]]
    return np.array(covers, dtype=np.float64)
