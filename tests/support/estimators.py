"""A table for estimators of scikit-learn, and their bundles."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from whyport.exporter.bundle.target import Target
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.export import export_bundle
from whyport.exporter.source import ModelSource
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.session import Session

RNG = np.random.default_rng(0)
ROWS = 240


def _frame() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "age": RNG.normal(50, 10, ROWS),
            "income": RNG.lognormal(3, 1, ROWS),
            "debt": RNG.normal(size=ROWS) * 1e3,
            "region": RNG.choice(["north", "south", "west"], ROWS).astype(object),
            "sex": RNG.choice(["f", "m"], ROWS).astype(object),
        }
    )
    frame.loc[RNG.random(ROWS) < 0.1, "age"] = np.nan
    frame.loc[RNG.random(ROWS) < 0.1, "sex"] = np.nan
    return frame


FRAME = _frame()
NUMBERS = ["age", "income", "debt"]
COMPLETE = FRAME[NUMBERS].fillna(50.0)
CLASSES = np.where((COMPLETE["age"] > 50) ^ (FRAME["region"] == "north"), "yes", "no")
THREE = np.where(COMPLETE["age"] > 58, "old", np.where(COMPLETE["income"] > 20, "rich", "other"))
VALUES = (COMPLETE["age"] + np.log(COMPLETE["income"]) * 5).to_numpy()
SEED = {"random_state": 0}
SMALL = {"n_estimators": 6, **SEED}
SHALLOW = DecisionTreeClassifier(max_depth=3, **SEED)


def encode(*, scale: bool = True) -> ColumnTransformer:
    """Numbers imputed and scaled, one-hot regions, and a text for a missing sex."""
    texts = make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore"))
    numbers = make_pipeline(SimpleImputer(strategy="median"), *[StandardScaler()] * scale)
    return ColumnTransformer(
        [("n", numbers, NUMBERS[:2]), ("r", OneHotEncoder(handle_unknown="ignore"), ["region"]), ("s", texts, ["sex"])],
        remainder="passthrough",
    )


def export(model: Any, frame: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Bundle:
    """The bundle of a model by its name, without the portable explanations, which take long to compile."""
    module = ModuleType("estimators_of_mine")
    module.MODEL = model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    frame.to_parquet(folder / "sample.parquet")
    source = ModelSource(
        "estimators_of_mine:MODEL", folder / "sample.parquet", **{"background": BackgroundChoice(summary=0), **options}
    )
    return export_bundle(source, Target(folder / "bundle"))


def check_predictions(bundle: Bundle, model: Any, frame: pd.DataFrame) -> None:
    """The bundle predicts what scikit-learn does, for rows as they are in float32, texts and missing values too."""
    numbers = frame.select_dtypes("number").columns
    rows = frame.assign(**{name: frame[name].astype(np.float32).astype(np.float64) for name in numbers})
    outputs = Session(bundle, "cpu").predict(rows)
    if "probabilities" in outputs:
        np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(rows), atol=2e-6)
        assert bundle.sidecar.targets == tuple(map(str, model.classes_))
    else:
        expected = model.predict(rows).reshape(len(rows), -1)
        np.testing.assert_allclose(outputs["value"], expected, rtol=2e-5, atol=2e-5)
    assert bundle.sidecar.parity["native"] <= 1e-5
    assert bundle.sidecar.parity["float32_rows"] >= 0
