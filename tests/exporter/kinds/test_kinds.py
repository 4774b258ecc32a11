"""The kind of a source is told without reading a file, and without importing what the source does not need."""

import subprocess
import sys
from pathlib import Path

import pytest
from lightgbm import LGBMRegressor
from sklearn.linear_model import LogisticRegression
from torch import nn
from xgboost import XGBClassifier

from whyport.exporter import kinds
from whyport.exporter.kinds import KINDS, find_kind, kind_of, open_kind
from whyport.exporter.kinds.kind import Kind
from whyport.exporter.kinds.onnx import OnnxModel
from whyport.exporter.kinds.pytorch import PyTorchModule
from whyport.exporter.source import ModelSource
from whyport.runtime.errors import ExportError, UsageError


def test_a_file_is_told_by_its_suffix_and_a_model_by_its_class() -> None:
    assert type(open_kind(ModelSource("Model.ONNX", Path("rows.csv")), seed=0, opset=None)) is OnnxModel
    source = ModelSource("example_networks:linear", Path("rows.csv"))
    assert type(open_kind(source, seed=0, opset=None)) is PyTorchModule


def test_a_model_of_no_kind() -> None:
    source = ModelSource("example_networks:no_module", Path("rows.csv"))
    with pytest.raises(ExportError, match=r"'example_networks:no_module': expected a .*torch.*, or a .*; got int"):
        open_kind(source, seed=0, opset=None)


class Unknown:
    """A classifier of nobody's."""

    predict_proba = print


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear, r"got the class Linear; return an object of it, Linear\(\)$"),
        (Unknown(), "got Unknown; convert it to ONNX, with skl2onnx or onnxmltools, and name that"),
        (nn.Linear(1, 1).state_dict(), "got OrderedDict; return the module, and give its state dict with --weights$"),
        (None, "got NoneType$"),
    ],
)
def test_what_a_factory_gave_says_what_to_do(model: object, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        kind_of(model, "m:f")


def test_another_kind_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library is imported by the user's module alone, if at all."""
    monkeypatch.setitem(KINDS, "later", (("library_of_trees.Forest", ".forest"), "no.such.module:Forest"))
    assert kind_of(nn.Linear(1, 2), "m:f") is PyTorchModule
    with pytest.raises(ExportError, match=r"expected a .*torch.* or library_of_trees.Forest, or a .*; got int"):
        kind_of(1, "m:f")
    assert "library_of_trees" not in sys.modules


@pytest.mark.parametrize("name", KINDS)
def test_every_entry_names_a_kind_that_says_why_it_refuses_options(name: str) -> None:
    kind = kinds._load(KINDS[name][1])
    assert issubclass(kind, Kind)
    assert kind.options == {"--weights", "--impute", "--standardise", "--opset"} or kind.refusal


def test_a_plain_file_refuses_an_opset() -> None:
    with pytest.raises(UsageError, match="--opset is for PyTorch modules: an ONNX file is taken as it is"):
        open_kind(ModelSource("model.onnx", Path("rows.csv")), seed=0, opset=20)


def test_the_table_imports_nothing() -> None:
    code = "import sys, whyport.exporter.kinds; sys.exit(any(m in sys.modules for m in ('torch', 'onnx', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_boosters_with_scikit_learns_interface_are_boosters() -> None:
    """Their classes extend scikit-learn's, and the kind is that of the library."""
    names = [find_kind(model) for model in (XGBClassifier(), LGBMRegressor(), LogisticRegression())]
    assert names == [KINDS[name][1] for name in ("xgboost", "lightgbm", "sklearn")]
