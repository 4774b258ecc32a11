"""Integrated and expected gradients against enumeration: where theory says that they are Shapley values, they are."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from support.bundles import linear_bundle, linear_sidecar, refresh_digests
from support.reference import exact_shapley
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import TORCHSCRIPT_MODEL


class Additive(nn.Module):
    """A function of each feature by itself, all different."""

    def forward(self, rows: Tensor) -> Tensor:
        a, b, c = rows.unbind(1)
        return torch.stack([a.tanh() + b.exp() - c * c, a**3 - torch.sigmoid(4 * b) + c.sin()], 1)


class Multilinear(nn.Module):
    """Linear in each feature: a straight path is the diagonal of the cube of coalitions; Owen 1972."""

    def forward(self, rows: Tensor) -> Tensor:
        a, b, c = rows.unbind(1)
        return torch.stack([a * b + c, a * b * c - c * b], 1)


class Cubic(nn.Module):
    """a times a times b: to a straight path, a counts twice; to players, once."""

    def forward(self, rows: Tensor) -> Tensor:
        a, b, c = rows.unbind(1)
        return torch.stack([a * a * b, c - a * a * b], 1)


class WithProbabilities(nn.Module):
    """The outputs of a bundle."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(rows)
        return logits, torch.softmax(logits, 1)


def make_bundle(path: Path, network: nn.Module) -> Bundle:
    """The linear bundle with another network as its differentiable graph."""
    linear_bundle(path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        torch.jit.trace(WithProbabilities(network).eval(), torch.ones(2, 3)).save(str(path / TORCHSCRIPT_MODEL))
    refresh_digests(path, linear_sidecar(True, ("a", "b", "c"), ("no", "yes")))
    return Bundle.read(path)


def shapley_and_explained(
    network: nn.Module, bundle: Bundle, settings: ExplainSettings
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """By enumeration and by expected gradients, both [N, F]."""
    background = References.read(bundle)
    explainer = explainer_class("expected-gradients")(
        TorchScriptModel(bundle, "cpu"), background, settings.of_method("expected-gradients")
    )
    rows = np.random.default_rng(2).normal(size=(12, 3)).astype(np.float32)
    targets = np.arange(12) % 2
    references = background.rows.astype(np.float64)

    def model(given: NDArray[np.float64]) -> NDArray[np.float64]:
        return network(torch.from_numpy(given)).double().numpy()

    values = [exact_shapley(model, row, references, background.weights) for row in rows.astype(np.float64)]
    expected = np.array([value[:, target] for value, target in zip(values, targets, strict=True)])
    return expected, explain(explainer, rows, targets).values


SETTINGS = {
    "fixed": ExplainSettings.of(steps=60),
    "adaptive": ExplainSettings.of(tolerance=1e-4, absolute_tolerance=1e-4),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("network", [Additive(), Multilinear()], ids=["additive", "multilinear"])
def test_expected_gradients_are_shapley_values(network: nn.Module, settings: ExplainSettings, tmp_path: Path) -> None:
    expected, got = shapley_and_explained(network, make_bundle(tmp_path / "bundle", network), settings)
    size = np.abs(expected).max()
    np.testing.assert_allclose(got, expected, atol=5e-4 * size if not settings.options else 1e-5 * size)


def test_of_other_functions_they_are_not(tmp_path: Path) -> None:
    """So the comparison can tell the two apart."""
    network = Cubic()
    expected, got = shapley_and_explained(
        network, make_bundle(tmp_path / "bundle", network), ExplainSettings.of(steps=60)
    )
    np.testing.assert_allclose(got.sum(axis=1), expected.sum(axis=1), rtol=1e-4, atol=1e-5)
    assert np.abs(got - expected).max() > 0.1
