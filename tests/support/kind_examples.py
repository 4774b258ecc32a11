"""One small model of each kind, on one table, as a user would have it: a file, or a module that can be imported."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

FEATURES = ("age", "income", "score", "noise")
TARGET = "approved"
ROWS = 240


def loans(rows: int = ROWS) -> pd.DataFrame:
    """Four numbers, and whether a loan is approved, which follows from two of them."""
    random = np.random.default_rng(7)
    table = pd.DataFrame(random.normal(size=(rows, 4)).round(3), columns=list(FEATURES))
    return table.assign(approved=np.where(table["income"] + 0.5 * table["score"] ** 2 > 0.4, "yes", "no"))


@dataclass(frozen=True)
class Example:
    """A model of one kind."""

    make: Callable[[Path, pd.DataFrame], str]
    """Writes it into a folder, from the table, and gives the source that `whyport export` takes."""
    method: str
    """The best method to explain it by."""
    engine: str = "torchscript"
    """The engine of that method in an environment without PyTorch."""


def _values(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return table[list(FEATURES)].to_numpy(np.float32), (table[TARGET] == "yes").to_numpy(np.int64)


def make_sklearn(folder: Path, table: pd.DataFrame) -> str:
    (folder / "kind_of_sklearn.py").write_text(
        "import pandas as pd\n"
        "from sklearn.ensemble import RandomForestClassifier\n"
        f"table = pd.read_csv({str(folder / 'train.csv')!r})\n"
        "model = RandomForestClassifier(8, max_depth=4, random_state=0)\n"
        f"model.fit(table[{list(FEATURES)!r}], table[{TARGET!r}])\n"
    )
    table.to_csv(folder / "train.csv", index=False)
    return "kind_of_sklearn:model"


def make_xgboost(folder: Path, table: pd.DataFrame) -> str:
    from xgboost import XGBClassifier

    rows, labels = _values(table)
    frame = pd.DataFrame(rows, columns=list(FEATURES))
    XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1).fit(frame, labels).save_model(folder / "model.json")
    return str(folder / "model.json")


def make_lightgbm(folder: Path, table: pd.DataFrame) -> str:
    from lightgbm import LGBMClassifier

    rows, labels = _values(table)
    frame = pd.DataFrame(rows, columns=list(FEATURES))
    model = LGBMClassifier(n_estimators=8, num_leaves=6, n_jobs=1, verbose=-1).fit(frame, labels)
    model.booster_.save_model(folder / "model.txt")
    return str(folder / "model.txt")


def make_catboost(folder: Path, table: pd.DataFrame) -> str:
    from catboost import CatBoostClassifier

    rows, labels = _values(table)
    frame = pd.DataFrame(rows, columns=list(FEATURES))
    settings = {"iterations": 8, "depth": 3, "thread_count": 1, "allow_writing_files": False, "verbose": False}
    CatBoostClassifier(**settings).fit(frame, labels).save_model(str(folder / "model.cbm"))
    return str(folder / "model.cbm")


def make_keras(folder: Path, table: pd.DataFrame) -> str:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2)]
    keras.Sequential(layers).save(folder / "model.keras")
    return str(folder / "model.keras")


def make_pytorch(folder: Path, table: pd.DataFrame) -> str:
    (folder / "kind_of_pytorch.py").write_text(
        "import torch\n\n\ndef make():\n"
        "    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))\n"
    )
    return "kind_of_pytorch:make"


def make_onnx(folder: Path, table: pd.DataFrame) -> str:
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    rows, labels = _values(table)
    model = LogisticRegression().fit(rows, labels)
    options = {"zipmap": False, "raw_scores": True}
    made = to_onnx(model, rows[:1], options=options, target_opset=18)
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    return str(folder / "model.onnx")


EXAMPLES = {
    "sklearn": Example(make_sklearn, "treeshap"),
    "xgboost": Example(make_xgboost, "treeshap"),
    "lightgbm": Example(make_lightgbm, "treeshap"),
    "catboost": Example(make_catboost, "treeshap"),
    "keras": Example(make_keras, "deepshap", "onnx"),
    "pytorch": Example(make_pytorch, "deepshap", "onnx"),
    "onnx": Example(make_onnx, "shapley"),
}
"""By the kind's name."""
