"""Occlusion and SmoothGrad, against captum and closed forms."""

import io
from pathlib import Path
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from support.engines import model_for
from whyport.batch.methods.alone import explain
from whyport.batch.methods.explainer import Explainer, explainer_class
from whyport.batch.methods.gradients import SmoothGrad
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import TORCHSCRIPT_MODEL

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")


def create(name: str, path: Path, **settings: Any) -> Explainer:
    bundle = Bundle.read(path)
    return explainer_class(name)(
        model_for(name, bundle), References.read(bundle), ExplainSettings.of(**settings).of_method(name)
    )


@pytest.fixture(scope="module")
def logits(reference_bundle: Path) -> Any:
    module = torch.jit.load(io.BytesIO((reference_bundle / TORCHSCRIPT_MODEL).read_bytes())).eval()
    return lambda rows: module(rows)[0]


@pytest.fixture(scope="module")
def real_rows(reference_bundle: Path) -> NDArray[np.float32]:
    rows = References.read(Bundle.read(reference_bundle)).rows[:40]
    return rows * np.linspace(0.8, 1.2, 40, dtype=np.float32)[:, None]


@pytest.mark.parametrize("call_values", [1 << 21, 100])
def test_occlusion_is_captums(
    reference_bundle: Path,
    real_rows: NDArray[np.float32],
    logits: Any,
    call_values: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("whyport.batch.methods.occlusion.CALL_VALUES", call_values)
    explainer = create("occlusion", reference_bundle)
    assert explainer.references is not None
    targets = np.arange(40) % 2
    got = explain(explainer, real_rows, targets)
    baseline, classes = torch.tensor(explainer.references.rows), torch.tensor(targets)
    expected = captum.attr.FeatureAblation(logits).attribute(torch.tensor(real_rows), baseline, classes)
    np.testing.assert_allclose(got.values, expected, atol=2e-5)
    by_window = captum.attr.Occlusion(logits).attribute(
        torch.tensor(real_rows), (1,), baselines=baseline, target=classes
    )
    np.testing.assert_allclose(got.values, by_window, atol=2e-5)
    assert got.converged is not None
    assert not got.converged.all()  # such models are not additive, and it says so


def test_occlusion_asks_for_every_class_at_once(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    explainer = create("occlusion", reference_bundle)
    both = explain(explainer, real_rows.repeat(2, axis=0), np.tile([0, 1], 40))
    for target in (0, 1):
        alone = explain(explainer, real_rows, np.full(40, target))
        np.testing.assert_allclose(both.values[target::2], alone.values, atol=1e-6)


def test_smoothgrad_is_captums_with_the_same_noise(
    reference_bundle: Path, real_rows: NDArray[np.float32], logits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = create("smoothgrad", reference_bundle, samples=20, noise=0.2)
    assert isinstance(explainer, SmoothGrad)
    noise = torch.tensor(explainer.noise)
    got = explain(explainer, real_rows, np.ones(40, dtype=np.int64))
    monkeypatch.setattr(torch, "normal", lambda mean, deviation: noise.repeat(len(deviation) // 20, 1))
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(logits))
    expected = tunnel.attribute(
        torch.tensor(real_rows), nt_type="smoothgrad", nt_samples=20, stdevs=1.0, target=1, abs=False
    )
    spread = real_rows.std(axis=0)
    np.testing.assert_allclose(got.values * spread, expected.numpy() * spread, rtol=1e-3, atol=1e-4)
    assert got.evaluations.tolist() == [20] * 40


def test_the_noise_is_a_share_of_each_features_spread(reference_bundle: Path) -> None:
    explainer = create("smoothgrad", reference_bundle, samples=4000, noise=0.3)
    assert isinstance(explainer, SmoothGrad)
    spread = [column.spread for column in explainer.model.bundle.sidecar.columns]
    np.testing.assert_allclose(explainer.noise.std(axis=0), 0.3 * np.array(spread), rtol=0.05)
    again = create("smoothgrad", reference_bundle, samples=4000, noise=0.3, seed=1)
    assert isinstance(again, SmoothGrad)
    assert (again.noise != explainer.noise).any()


def test_of_a_quadratic_it_is_the_gradient_at_the_mean_of_the_noise(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = create("smoothgrad", bundle, samples=7)
    assert isinstance(explainer, SmoothGrad)
    monkeypatch.setattr(explainer.model, "gradients", lambda rows, targets: (2 * rows, rows.sum(axis=1)))
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    got = explain(explainer, rows, np.zeros(5, dtype=np.int64))
    np.testing.assert_allclose(got.values, 2 * (rows + explainer.noise.mean(axis=0)), atol=1e-6)
