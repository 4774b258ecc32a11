"""One contract that every method passes, and each method against its oracle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from support.bundles import BIAS, WEIGHTS, attention_of, linear_bundle, logits_of
from support.engines import OF_NETWORKS, model_for
from support.reference import path_integral
from whyport.batch.methods.alone import explain
from whyport.batch.methods.catalogue import METHODS
from whyport.batch.methods.engines.torchscript import RECURRENT, TorchScriptModel, allow_recurrent_backward
from whyport.batch.methods.explainer import Explainer, Shares, explainer_class
from whyport.batch.methods.lime.neighbourhood import Neighbourhood, by_euclid
from whyport.batch.methods.method import TORCHSCRIPT
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import TORCHSCRIPT_MODEL
from whyport.runtime.errors import BundleError, DigestError, ProviderError, UsageError

ROWS = np.random.default_rng(4).normal(size=(700, 3)).astype(np.float32)
TARGETS = np.arange(700) % 2
MEAN_REFERENCE = 0.4 * np.zeros(3) + 0.3 * np.array([1, 2, 3]) + 0.2 * np.array([2, 0, -1]) + 0.1 * np.array([-1, 1, 1])

HEAT = np.maximum(WEIGHTS[TARGETS].mean(axis=1, keepdims=True) * ROWS, 0)


def ridge(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ridge's coefficients where a score is a sum of terms [N, G]: what its penalty of 1 leaves of them."""
    around = Neighbourhood.draw(0, 1000, 3, by_euclid)
    masks = around.masks - np.average(around.masks, axis=0, weights=around.weights)
    gram = masks.T @ (around.weights[:, None] * masks)
    return terms @ np.linalg.solve(gram + np.eye(3), gram).T


# method -> its closed form on the linear model: attributions, and the base value of class t.
MEAN_SCORES = np.array([0.4, 0.3, 0.2, 0.1]) @ logits_of(np.array([[0, 0, 0], [1, 2, 3], [2, 0, -1], [-1, 1, 1]]))
LINEAR = {
    "gradient": (WEIGHTS[TARGETS], None),
    "smoothgrad": (WEIGHTS[TARGETS], None),
    "grad-cam": (HEAT / np.maximum(HEAT.max(axis=1, keepdims=True), 1e-30), None),
    "attention": (attention_of(ROWS).mean(axis=1), None),
    "occlusion": (WEIGHTS[TARGETS] * (ROWS - MEAN_REFERENCE), logits_of(MEAN_REFERENCE[None])[0]),
    "lime": (ridge(WEIGHTS[TARGETS] * (ROWS - MEAN_REFERENCE)), None),
    "input-x-gradient": (WEIGHTS[TARGETS] * ROWS, BIAS),
    "deepshap": (WEIGHTS[TARGETS] * (ROWS - MEAN_REFERENCE), MEAN_SCORES),
    "shapley": (WEIGHTS[TARGETS] * (ROWS - MEAN_REFERENCE), MEAN_SCORES),
    "expected-gradients": (WEIGHTS[TARGETS] * (ROWS - MEAN_REFERENCE), MEAN_SCORES),
    "integrated-gradients": (WEIGHTS[TARGETS] * (ROWS - MEAN_REFERENCE), logits_of(MEAN_REFERENCE[None])[0]),
}


def create(name: str, path: Path, **settings: Any) -> Explainer:
    bundle = Bundle.read(path)
    return explainer_class(name)(
        model_for(name, bundle), References.read(bundle), ExplainSettings.of(**settings).of_method(name)
    )


@pytest.fixture(scope="module")
def real_rows(reference_bundle: Path) -> NDArray[np.float32]:
    background = References.read(Bundle.read(reference_bundle)).rows
    return np.tile(background, (7, 1))[:600] * np.linspace(0.8, 1.2, 600, dtype=np.float32)[:, None]


def test_every_method_has_a_closed_form() -> None:
    assert set(LINEAR) == set(OF_NETWORKS)


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_the_closed_form_on_a_linear_model(name: str, mapped_bundle: Path) -> None:
    attribution = explain(create(name, mapped_bundle), ROWS, TARGETS)
    values, base_value = LINEAR[name]
    np.testing.assert_allclose(attribution.values, values, atol=2e-6)
    np.testing.assert_allclose(attribution.output, logits_of(ROWS)[np.arange(700), TARGETS], atol=2e-6)
    if base_value is None:
        assert np.isnan(attribution.base_value).all()
        assert np.isnan(attribution.error).all()
        assert attribution.converged is None
    else:
        np.testing.assert_allclose(attribution.base_value, base_value[TARGETS], atol=1e-6)
        assert attribution.error.max() < 1e-5
        assert attribution.converged is not None
        assert attribution.converged.all()


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_rows_are_explained_alike_alone_and_together(
    name: str, reference_bundle: Path, real_rows: NDArray[np.float32]
) -> None:
    explainer = create(name, reference_bundle, steps=3, permutations=8, samples=40 if name == "lime" else 5)
    # Where each row meets a hundred references, or many samples, fewer rows.
    count = {"expected-gradients": 50, "deepshap": 600, "lime": 600}.get(name, 3000)
    real_rows = np.resize(real_rows, (count, 30)) * np.linspace(0.9, 1.1, count, dtype=np.float32)[:, None]
    targets = np.arange(count) % 2
    together = explain(explainer, real_rows, targets)
    spread = real_rows.std(axis=0)
    for row in (0, 1, len(real_rows) // 2, len(real_rows) - 1):
        alone = explain(explainer, real_rows[row : row + 1], targets[row : row + 1])
        scale = spread if name in ("gradient", "smoothgrad") else 1.0
        np.testing.assert_allclose(alone.values[0] * scale, together.values[row] * scale, rtol=1e-4, atol=1e-5)
    assert (together.values.std(axis=0) > 0).all()  # constant heatmaps are the known failure


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_rows_at_the_edge_are_finite_and_complete_or_flagged(name: str, reference_bundle: Path) -> None:
    references = References.read(Bundle.read(reference_bundle)).rows[:4]
    edges = np.concatenate([references, 0 * references, 1e-6 * references, 1e4 * references, -1e4 * references])
    explainer = create(name, reference_bundle, max_evaluations=300)
    attribution = explain(explainer, edges, np.arange(20) % 2)
    assert np.isfinite(attribution.values).all()
    assert np.isfinite(attribution.output).all()
    if attribution.converged is None:
        return
    difference = attribution.output - attribution.base_value
    missing = np.abs(attribution.values.sum(axis=1, dtype=np.float64) - difference)
    assert not (attribution.converged & (missing > np.maximum(0.01 * np.abs(difference), 0.001))).any()
    if name == "deepshap":
        assert attribution.converged.all()


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_no_rows_give_empty_arrays(name: str, mapped_bundle: Path) -> None:
    attribution = explain(create(name, mapped_bundle), ROWS[:0], TARGETS[:0])
    assert attribution.values.shape == (0, 3)
    assert attribution.error.shape == (0,)


def float64_gradient(path: Path, target: int):
    """The reference model's gradient as a function of rows in float64, by PyTorch in double precision."""
    import io

    module = torch.jit.load(io.BytesIO((path / TORCHSCRIPT_MODEL).read_bytes())).double()

    def gradient(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        leaf = torch.tensor(rows, requires_grad=True)
        (got,) = torch.autograd.grad(module(leaf)[0][:, target].sum(), leaf)
        return got.numpy()

    return gradient


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("settings", "factor"), [({"steps": 500}, 2.0), ({}, 3.0), ({"tolerance": 0.001}, 3.0)])
def test_integrated_gradients_are_the_path_integral_feature_by_feature(
    reference_bundle: Path, real_rows: NDArray[np.float32], settings: dict[str, Any], factor: float
) -> None:
    """Completeness alone could hide errors that cancel between features."""
    explainer = create("integrated-gradients", reference_bundle, **settings)
    gradient = float64_gradient(reference_bundle, target=1)
    assert explainer.references is not None
    reference = explainer.references.rows[0].astype(np.float64)
    rows = real_rows[::40]
    got = explain(explainer, rows, np.ones(len(rows), dtype=np.int64))
    for row, values, score, base in zip(rows, got.values, got.output, got.base_value, strict=True):
        expected = path_integral(gradient, row.astype(np.float64), reference)
        allowed = max(settings.get("tolerance", 0.01) * abs(score - base), 0.001)
        np.testing.assert_allclose(values, expected, atol=factor * allowed)


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_the_gradient_is_that_in_float64(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    got = explain(create("gradient", reference_bundle), real_rows, np.zeros(len(real_rows), dtype=np.int64))
    expected = float64_gradient(reference_bundle, target=0)(real_rows.astype(np.float64))
    spread = real_rows.std(axis=0)
    np.testing.assert_allclose(got.values * spread, expected * spread, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_integrated_gradients_agree_with_captum(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    import io

    from captum.attr import IntegratedGradients

    module = torch.jit.load(io.BytesIO((reference_bundle / TORCHSCRIPT_MODEL).read_bytes()))
    explainer = create("integrated-gradients", reference_bundle, steps=500)
    assert explainer.references is not None
    rows = real_rows[:20]
    expected = IntegratedGradients(lambda x: module(x)[0]).attribute(
        torch.tensor(rows),
        torch.tensor(explainer.references.rows),
        target=1,
        n_steps=500,
        method="gausslegendre",
    )
    got = explain(explainer, rows, np.ones(20, dtype=np.int64))
    np.testing.assert_allclose(got.values, expected.numpy(), rtol=1e-3, atol=1e-4)


def test_every_row_is_within_the_tolerance(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    targets = np.arange(len(real_rows)) % 2
    adaptive = explain(create("integrated-gradients", reference_bundle), real_rows, targets)
    assert adaptive.converged is not None
    assert adaptive.converged.all()
    difference = np.abs(adaptive.output - adaptive.base_value)
    assert (adaptive.error <= np.maximum(0.01 * difference, 0.001)).all()
    fixed = create("integrated-gradients", reference_bundle, steps=int(adaptive.evaluations.mean()))
    assert not explain(fixed, real_rows, targets).converged.all()  # the same work, spread evenly, is not enough


def test_expected_gradients_are_the_mean_of_integrated_gradients(
    reference_bundle: Path, real_rows: NDArray[np.float32]
) -> None:
    bundle = Bundle.read(reference_bundle)
    background, model = References.read(bundle), TorchScriptModel(bundle, "cpu")
    few = References(background.rows[:6], np.array([0.3, 0.3, 0.1, 0.1, 0.1, 0.1]))
    rows, targets = real_rows[::60], np.zeros(10, dtype=np.int64)
    got = explain(
        explainer_class("expected-gradients")(model, few, ExplainSettings().of_method("expected-gradients")),
        rows,
        targets,
    )
    assert got.converged is not None
    assert got.converged.all()
    expected = np.zeros_like(got.values, dtype=np.float64)
    for reference, weight in zip(few.rows, few.weights, strict=True):
        single = References(reference[None], np.ones(1))
        dense = explainer_class("integrated-gradients")(
            model, single, ExplainSettings.of(steps=300).of_method("integrated-gradients")
        )
        expected += weight * explain(dense, rows, targets).values
    allowed = np.maximum(0.01 * np.abs(got.output - got.base_value), 0.001)
    assert (np.abs(got.values - expected) <= 3 * allowed[:, None]).all()


def test_a_smaller_tolerance_takes_more_evaluations(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    real_rows = real_rows[::4]
    targets = np.ones(len(real_rows), dtype=np.int64)
    loose = explain(create("integrated-gradients", reference_bundle, tolerance=0.1), real_rows, targets)
    tight = explain(create("integrated-gradients", reference_bundle, tolerance=0.003), real_rows, targets)
    assert loose.evaluations.min() >= 8
    assert tight.evaluations.mean() > 1.5 * loose.evaluations.mean()
    assert tight.error.mean() < 0.3 * loose.error.mean()


def test_a_row_that_is_given_up_says_so(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    targets = np.ones(len(real_rows), dtype=np.int64)
    settings = {"tolerance": 1e-5, "absolute_tolerance": 1e-5}
    given_up = create("integrated-gradients", reference_bundle, max_evaluations=20, **settings)
    attribution = explain(given_up, real_rows, targets)
    assert attribution.converged is not None
    assert not attribution.converged.all()
    assert (attribution.evaluations[~attribution.converged] == 20).all()
    assert attribution.evaluations.max() <= 20


def test_a_row_that_is_the_reference_has_no_reasons(reference_bundle: Path) -> None:
    explainer = create("integrated-gradients", reference_bundle)
    assert explainer.references is not None
    attribution = explain(explainer, explainer.references.rows, np.array([0]))
    np.testing.assert_array_equal(attribution.values, 0)
    assert attribution.converged is not None
    assert attribution.converged.all()


def test_more_steps_come_closer(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    real_rows = real_rows[::4]
    targets = np.ones(len(real_rows), dtype=np.int64)
    errors = [
        explain(create("integrated-gradients", reference_bundle, steps=steps), real_rows, targets).error.mean()
        for steps in (2, 20, 200)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_the_error_is_measured_against_the_scores_that_are_given(bundle: Path) -> None:
    shares = Shares(np.array([[1.0, 2.0]], dtype=np.float32), np.array([99.0]), np.array([1], dtype=np.int32))
    request = Request.of_one_target(np.zeros((1, 2), np.float32), np.array([[5.0]], np.float32), np.array([0]))
    measured = create("input-x-gradient", bundle).measure(shares, request, base_values=np.array([1.5]))
    np.testing.assert_allclose(measured.error, [0.5])
    assert measured.converged is not None
    assert measured.converged.tolist() == [False]
    np.testing.assert_array_equal(measured.values, shares.values)  # the residual is never spread over them


@pytest.mark.parametrize(("error", "converged"), [(0.0099, True), (0.0101, False)])
def test_convergence_is_one_percent_of_the_difference(bundle: Path, error: float, converged: bool) -> None:
    shares = Shares(np.array([[1.0 + error]], dtype=np.float32), np.zeros(1), np.ones(1, dtype=np.int32))
    request = Request.of_one_target(np.zeros((1, 1), np.float32), np.array([[1.0]], np.float32), np.array([0]))
    measured = create("input-x-gradient", bundle).measure(shares, request, base_values=np.array([0.0]))
    assert measured.converged is not None
    assert measured.converged.tolist() == [converged]


def test_the_background_is_weighted(bundle: Path) -> None:
    background = References.read(Bundle.read(bundle))
    np.testing.assert_allclose(background.mean(Bundle.read(bundle).sidecar.columns).rows[0], MEAN_REFERENCE, rtol=1e-6)
    expected = background.weights @ logits_of(background.rows)
    np.testing.assert_allclose(background.mean_of(lambda rows: logits_of(rows)), expected)


def test_training_mode_of_recurrent_layers_alone_changes_nothing(
    reference_bundle: Path, real_rows: NDArray[np.float32]
) -> None:
    """What lets cuDNN run the backward pass, shown to be the same computation where there is no card."""
    model = TorchScriptModel(Bundle.read(reference_bundle), "cpu")
    targets = np.ones(len(real_rows), dtype=np.int64)
    before = model.gradients(real_rows, targets)
    allow_recurrent_backward(model._module)
    training = [layer.original_name for layer in model._module.modules() if layer.training]
    assert set(training) == {"LSTM"} <= RECURRENT
    for got, expected in zip(model.gradients(real_rows, targets), before, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
def test_cudnn_runs_the_backward_pass_in_evaluation_mode(
    reference_bundle: Path, real_rows: NDArray[np.float32]
) -> None:
    bundle = Bundle.read(reference_bundle)
    targets = np.ones(len(real_rows), dtype=np.int64)
    got, _ = TorchScriptModel(bundle, "cuda").gradients(real_rows, targets)
    expected, _ = TorchScriptModel(bundle, "cpu").gradients(real_rows, targets)
    spread = real_rows.std(axis=0)
    np.testing.assert_allclose(got * spread, expected * spread, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA card")
def test_explaining_on_cuda_without_a_card_is_refused(bundle: Path) -> None:
    with pytest.raises(ProviderError, match="this PyTorch cannot use a CUDA card"):
        TorchScriptModel(Bundle.read(bundle), "cuda")


def test_torchscript_is_not_executed_before_its_digest_matched(tmp_path: Path) -> None:
    path = linear_bundle(tmp_path / "bundle")
    bundle = Bundle.read(path)
    content = (path / TORCHSCRIPT_MODEL).read_bytes()
    (path / TORCHSCRIPT_MODEL).write_bytes(content + b" ")
    with pytest.raises(DigestError, match="has changed"):
        TorchScriptModel(bundle, "cpu")


def test_a_file_that_is_no_torchscript_is_named(tmp_path: Path) -> None:
    from support.bundles import linear_sidecar, refresh_digests

    path = linear_bundle(tmp_path / "bundle")
    (path / TORCHSCRIPT_MODEL).write_bytes(b"nothing of the kind")
    refresh_digests(path, linear_sidecar(True, ("a", "b", "c"), ("no", "yes")))
    with pytest.raises(BundleError, match=r"cannot load TorchScript: .*, in .*model\.pt"):
        TorchScriptModel(Bundle.read(path), "cpu")


def test_the_gradient_at_the_rows_is_computed_once_for_all_methods(
    reference_bundle: Path, real_rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.read(reference_bundle)
    model, background = TorchScriptModel(bundle, "cpu"), References.read(bundle)
    names = [name for name, method in METHODS.items() if TORCHSCRIPT in method.engines]
    methods = [explainer_class(name)(model, background, ExplainSettings().of_method(name)) for name in names]
    rows, targets = real_rows[:3], np.array([0, 1, 0])
    expected = [explain(method, rows, targets).values for method in methods]
    seen = []
    gradients = model.gradients
    monkeypatch.setattr(model, "gradients", lambda rows, targets: (seen.append(rows), gradients(rows, targets))[1])
    request = Request.of_one_target(rows, model.scores(rows), targets)
    together = [method.explain(request).values for method in methods]
    assert sum(np.array_equal(given, rows) for given in seen) == 1
    for alone, shared in zip(expected, together, strict=True):
        np.testing.assert_array_equal(alone, shared)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown explanation method 'integrated-gradient' \(did you mean"):
        explainer_class("integrated-gradient")


def test_the_number_of_threads_does_not_show(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    targets = np.ones(len(real_rows), dtype=np.int64)
    bundle = Bundle.read(reference_bundle)
    expected = TorchScriptModel(bundle, "cpu", threads=1).gradients(real_rows, targets)
    for got, values in zip(
        TorchScriptModel(bundle, "cpu", threads=5).gradients(real_rows, targets), expected, strict=True
    ):
        np.testing.assert_array_equal(got, values)


@pytest.mark.parametrize("name", ["steps", "max_evaluations", "samples"])
@pytest.mark.parametrize("value", [0, -1])
def test_counts_are_at_least_one(name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{name}: expected at least 1, got {value}"):
        ExplainSettings.of(**{name: value})


@pytest.mark.parametrize("name", ["tolerance", "absolute_tolerance", "noise"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_tolerances_are_above_zero(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name}: expected a number above 0"):
        ExplainSettings.of(**{name: value})
