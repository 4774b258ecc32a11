"""TorchScript that gives another number of rows or classes than it should is an error, and never broadcast."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support.bundles import linear_bundle, linear_sidecar, refresh_digests
from whyport.batch.methods.deepshap.deepshap import DeepShap
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import DEEPSHAP_MODEL, TORCHSCRIPT_MODEL
from whyport.runtime.errors import BundleError

ROWS = np.ones((5, 3), dtype=np.float32)
TARGETS = np.zeros(5, dtype=np.int64)


class Outputs(nn.Module):
    """The linear model, of whose outputs a part is given in a wrong way."""

    def logits(self, rows: Tensor) -> Tensor:
        return torch.stack([rows.sum(1), rows[:, 0]], 1)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(rows)
        return logits, logits


class FirstRow(Outputs):
    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(rows)[:1]
        return logits, logits


class MeanRow(Outputs):
    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(rows).mean(0)
        return logits, logits


class EveryRowTwice(Outputs):
    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(torch.cat([rows, rows]))
        return logits, logits


class OneClass(Outputs):
    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(rows)[:, :1]
        return logits, logits


class OneTensor(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return torch.stack([rows.sum(1), rows[:, 0]], 1)


class Fails(Outputs):
    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = rows.reshape(7, 2)
        return logits, logits


class FirstMap(Outputs):
    @torch.jit.export
    def features(self, rows: Tensor) -> Tensor:
        return rows[:1].unsqueeze(1)

    @torch.jit.export
    def classify(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(maps[:, 0])


class Program(nn.Module):
    """A program for deepshap.pt that gives one row's attributions for all."""

    def forward(self, rows: Tensor) -> Tensor:
        return rows

    @torch.jit.export
    def activations(self, rows: Tensor) -> list[Tensor]:
        return [torch.stack([rows.sum(1), rows[:, 0]], 1)]

    @torch.jit.export
    def attribute(self, of_rows: list[Tensor], of_references: list[Tensor], weights: Tensor) -> Tensor:
        return torch.zeros(1, 2, 3)


class OneActivation(Program):
    @torch.jit.export
    def activations(self, rows: Tensor) -> list[Tensor]:
        return [torch.ones(1, 2)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linear_bundle(tmp_path_factory.mktemp("checked") / "bundle")


def with_program(path: Path, name: str, module: nn.Module) -> Bundle:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(module.eval()), buffer)
    (path / name).write_bytes(buffer.getvalue())
    refresh_digests(path, linear_sidecar(True, ("a", "b", "c"), ("no", "yes")))
    return Bundle.read(path)


ASKED: dict[str, Callable[[TorchScriptModel], Any]] = {
    "scores": lambda model: model.scores(ROWS),
    "gradients": lambda model: model.gradients(ROWS, TARGETS),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("module", "message"),
    [
        (FirstRow(), r"the scores: expected shape \[5, 2\], got \[1, 2\], in .*model\.pt"),
        (MeanRow(), r"the scores: expected shape \[5, 2\], got \[2\], in .*model\.pt"),
        (EveryRowTwice(), r"the scores: expected shape \[5, 2\], got \[10, 2\], in .*model\.pt"),
        (OneClass(), r"the scores: expected shape \[5, 2\], got \[5, 1\], in .*model\.pt"),
        (OneTensor(), r"the scores: expected shape \[5, 2\], got \[2\], in .*model\.pt"),
        (Fails(), r"TorchScript cannot run it: RuntimeError: shape '\[7, 2\]' is invalid.*, in .*model\.pt"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_does_not_fit_the_rows_is_an_error(path: Path, module: nn.Module, message: str, asked: str) -> None:
    model = TorchScriptModel(with_program(path, TORCHSCRIPT_MODEL, module), "cpu")
    with pytest.raises(BundleError, match=message) as error:
        ASKED[asked](model)
    assert "\n" not in str(error.value)


def test_maps_of_one_row_for_all_are_an_error(path: Path) -> None:
    model = TorchScriptModel(with_program(path, TORCHSCRIPT_MODEL, FirstMap()), "cpu")
    with pytest.raises(BundleError, match=r"grad-cam: expected shape \[5, 'any', 'any'\], got \[1, 1, 3\]"):
        model.class_maps(ROWS, TARGETS)
    plain = TorchScriptModel(with_program(path, TORCHSCRIPT_MODEL, Outputs()), "cpu")
    with pytest.raises(BundleError, match=r"TorchScript cannot run it: .*features.*, in .*model\.pt"):
        plain.class_maps(ROWS, TARGETS)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (Program(), r"the attributions: expected shape \[5, 2, 3\], got \[1, 2, 3\], in .*deepshap\.pt"),
        (OneActivation(), r"the logits: expected shape \[4, 2\], got \[1, 2\], in .*deepshap\.pt"),
        (Outputs(), r"TorchScript cannot run it: .*(attribute|activations).*, in .*deepshap\.pt"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_attributions_of_one_row_for_all_are_an_error(path: Path, program: nn.Module, message: str) -> None:
    bundle = with_program(path, DEEPSHAP_MODEL, program)
    model = TorchScriptModel(with_program(path, TORCHSCRIPT_MODEL, Outputs()), "cpu")
    request = Request.of_one_target(ROWS, np.zeros((5, 2), np.float32), TARGETS)
    with pytest.raises(BundleError, match=message):
        DeepShap(model, References.read(bundle), ExplainSettings().of_method("deepshap")).explain(request)
