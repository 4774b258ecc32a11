"""Pickles run code: they are loaded where the user trusts them, and never before."""

import pickle
from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression
from torch import nn

from whyport.exporter.kinds import open_kind
from whyport.exporter.kinds.pytorch import PyTorchModule
from whyport.exporter.kinds.sklearn import SklearnEstimator
from whyport.exporter.source import ModelSource
from whyport.runtime.errors import ExportError, UsageError


class Trap:
    """An object whose loading makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pkl", ".PICKLE", ".joblib"])
def test_no_code_runs_without_trust(tmp_path: Path, suffix: str) -> None:
    path, ran = tmp_path / f"model{suffix}", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Trap(ran)))
    with pytest.raises(UsageError, match="a pickle is a program: loading it runs whatever code .*--trust-pickle"):
        open_kind(ModelSource(str(path), tmp_path), seed=0, opset=None)
    assert not ran.exists()


def test_a_trusted_pickle_is_a_model_like_any_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(nn.Linear(3, 2)))
    kind = open_kind(ModelSource(str(path), tmp_path, trust_pickle=True), seed=0, opset=None)
    assert isinstance(kind, PyTorchModule)
    assert "model.pkl is trusted: loading it runs whatever code is inside, with your rights" in caplog.text


def test_another_version_of_scikit_learn_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with monkeypatch.context() as older:
        older.setattr("sklearn.base.__version__", "0.24.0")
        content = pickle.dumps(model)
    (tmp_path / "model.pkl").write_bytes(content)
    kind = open_kind(ModelSource(str(tmp_path / "model.pkl"), tmp_path, trust_pickle=True), seed=0, opset=None)
    assert isinstance(kind, SklearnEstimator)
    assert kind.file == tmp_path / "model.pkl"
    assert "Trying to unpickle estimator LinearRegression from version 0.24.0" in caplog.text


@pytest.mark.parametrize(("content", "error"), [(None, UsageError), (b"no pickle", ExportError)])
def test_what_is_no_pickle(tmp_path: Path, content: bytes | None, error: type[Exception]) -> None:
    if content is not None:
        (tmp_path / "model.pkl").write_bytes(content)
    with pytest.raises(error, match=r"model\.pkl"):
        open_kind(ModelSource(str(tmp_path / "model.pkl"), tmp_path, trust_pickle=True), seed=0, opset=None)
