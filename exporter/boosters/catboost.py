"""CatBoost's models as sums of trees, by CatBoost's own export to ONNX.

The export is given the trees alone, without scale and bias, with numbered classes: it refuses classes that are true and
false, and takes several quantities for classes of a softmax. All of that comes from the model.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from whyport.exporter.boosters.boosted import EXPONENTIAL, IDENTITY, Boosted
from whyport.exporter.boosters.ensemble import Ensemble
from whyport.exporter.boosters.labels import class_names
from whyport.runtime.errors import ExportError, first_line
from whyport.runtime.task import ClassificationByMargin, Regression

CLASSIFICATIONS = ("Logloss", "CrossEntropy", "Focal", "MultiClass")

VALUES = {
    **dict.fromkeys(("RMSE", "MAE", "MAPE", "Quantile", "Expectile", "Huber", "LogCosh", "Lq"), IDENTITY),
    **dict.fromkeys(("MultiRMSE", "MultiQuantile", "MultiRMSEWithMissingValues"), IDENTITY),
    **dict.fromkeys(("YetiRank", "YetiRankPairwise", "PairLogit", "PairLogitPairwise", "StochasticRank"), IDENTITY),
    **dict.fromkeys(("QueryRMSE", "QuerySoftMax", "GroupQuantile", "LambdaMart", "StochasticFilter"), IDENTITY),
    **dict.fromkeys(("Poisson", "Tweedie"), EXPONENTIAL),
}
"""By loss function: what makes the predicted value of a sum. What a ranker gives is a value too, without a unit."""

REFUSED = {
    "MultiClassOneVsAll": "its probabilities do not sum to 1; train with MultiClass",
    "MultiLogloss": "it answers several yes-or-no questions at once; train a model for each",
    "MultiCrossEntropy": "it answers several yes-or-no questions at once; train a model for each",
    "RMSEWithUncertainty": "its second output is no sum of trees; train with RMSE",
}

INPUTS = {
    "categories (cat_features)": "encode them one-hot, in a scikit-learn pipeline in front of the model",
    "texts (text_features)": "give the model numbers made of them",
    "embeddings (embedding_features)": "give the model a column for each number",
}


def read_model(model: Any) -> Boosted:
    """The sums of trees of a fitted model; raises ExportError where it is none over numbers."""
    indices = (
        model.get_cat_feature_indices(),
        model.get_text_feature_indices(),
        model.get_embedding_feature_indices(),
    )
    for (kind, advice), found in zip(INPUTS.items(), indices, strict=True):
        if len(found):
            named = ", ".join(repr(model.feature_names_[i]) for i in found)
            raise ExportError(f"the model takes {kind}, which its export to ONNX cannot: {named}; {advice}")
    loss = _loss(model)
    if loss in REFUSED:
        raise ExportError(f"loss function {loss!r}: {REFUSED[loss]}")
    if loss not in (*CLASSIFICATIONS, *VALUES):
        known = ", ".join((*CLASSIFICATIONS, *VALUES))
        raise ExportError(f"loss function {loss!r} is not known: the output may be anything; known: {known}")
    task = ClassificationByMargin if loss in CLASSIFICATIONS else Regression
    names = tuple(model.feature_names_)
    with tempfile.TemporaryDirectory() as folder:
        description = _describe(model, Path(folder) / "model.json")
        scale, bias = description["scale_and_bias"]
        trees = _convert(description, Path(folder))
    if task is ClassificationByMargin and len(bias) == 1:
        trees = trees.of_target(1)
    return Boosted(
        trees.scaled(scale),
        np.array(bias, dtype=np.float64),
        task,
        len(names),
        IDENTITY if task is ClassificationByMargin else VALUES[loss],
        np.concatenate([tree["leaf_weights"] for tree in description["oblivious_trees"]]).astype(np.float64),
        names=() if names == tuple(map(str, range(len(names)))) else names,
        classes=class_names(model.classes_) if task is ClassificationByMargin else (),
    )


def _loss(model: Any) -> str:
    """The name of the loss function; ExportError where the model knows none."""
    from catboost import CatBoostError

    try:
        return str(model.get_all_params()["loss_function"]).partition(":")[0]
    except (CatBoostError, KeyError):
        raise ExportError(
            "the model knows no loss function, as the sum of several models knows none: the output may be anything; "
            "export a model as it was trained"
        ) from None


def _describe(model: Any, path: Path) -> dict[str, Any]:
    """What CatBoost writes of a model as JSON."""
    model.save_model(str(path), format="json")
    description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "oblivious_trees" not in description:
        raise ExportError(
            "the trees are not symmetric, and CatBoost exports no others to ONNX; train with "
            "grow_policy='SymmetricTree'"
        )
    return description


def _convert(description: dict[str, Any], folder: Path) -> Ensemble:
    """The trees by CatBoost's export, which is shown a model without scale and bias, and with numbered classes."""
    from catboost import CatBoost, CatBoostError

    plain = description | {"scale_and_bias": [1, [0] * len(description["scale_and_bias"][1])]}
    if classes := description["model_info"].get("class_params"):
        numbered = {"class_label_type": "Integer", "class_names": list(range(len(classes["class_names"])))}
        plain["model_info"] = description["model_info"] | {"class_params": classes | numbered}
    source, target = folder / "plain.json", folder / "model.onnx"
    source.write_text(json.dumps(plain), encoding="utf-8")
    model = CatBoost()
    try:
        model.load_model(str(source), format="json")
        model.save_model(str(target), format="onnx")
    except CatBoostError as error:
        raise ExportError(f"CatBoost does not export the model to ONNX: {first_line(error)}") from error
    return Ensemble.of(onnx.load(target))
