"""DeepSHAP as a method of a run, on a bundle whose program is compiled here."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from support.bundles import BIAS, IMPUTATION, WEIGHTS, linear_bundle, logits_of
from whyport.batch.methods.alone import explain
from whyport.batch.methods.deepshap import deepshap
from whyport.batch.methods.deepshap.deepshap import DeepShap
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import ExplainSettings
from whyport.exporter.deepshap import compile_deepshap
from whyport.runtime.bundle.deepshap import pairs_per_pass
from whyport.runtime.bundle.folder import Bundle, write_sidecar
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import DEEPSHAP_MODEL
from whyport.runtime.errors import BundleError, DigestError


class Linear(nn.Module):
    """The model of `linear_bundle`."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.linear.weight.data = torch.tensor(WEIGHTS)
        self.linear.bias.data = torch.tensor(BIAS)

    def forward(self, rows: Tensor) -> Tensor:
        return self.linear(torch.where(torch.isnan(rows), torch.tensor(IMPUTATION), rows))


class Recurrent(nn.Module):
    """A recurrent layer over the features, whose program has a fused kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(1, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.layer(rows.unsqueeze(2))[0][:, -1])


class Offset(nn.Module):
    """The squares of two features, by way of terms so large that float32 keeps few digits of their differences."""

    def forward(self, rows: Tensor) -> Tensor:
        lifted = rows[:, :2] + 1000.0
        return lifted * lifted - 2000.0 * rows[:, :2] - 1e6


def make_bundle(path: Path, network: nn.Module) -> Path:
    """The linear bundle with the program of another network."""
    sidecar = Bundle.read(linear_bundle(path)).sidecar
    torch.manual_seed(0)
    (path / DEEPSHAP_MODEL).write_bytes(compile_deepshap(network.eval(), torch.randn(5, 3)))
    write_sidecar(path, sidecar)
    return path


def create(path: Path) -> DeepShap:
    bundle = Bundle.read(path)
    model = TorchScriptModel(bundle, "cpu", threads=2)
    return DeepShap(model, References.read(bundle), ExplainSettings().of_method("deepshap"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("deepshap") / "bundle", Linear())


@pytest.fixture
def rows() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)


def test_the_closed_form_with_a_weighted_background(path: Path, rows: NDArray[np.float32]) -> None:
    explainer, targets = create(path), np.arange(300) % 2
    attribution = explain(explainer, rows, targets)
    assert explainer.references is not None
    mean = explainer.references.weights @ explainer.references.rows
    np.testing.assert_allclose(attribution.values, WEIGHTS[targets] * (rows - mean), atol=2e-6)
    assert attribution.converged is not None
    assert attribution.converged.all()
    assert attribution.values.dtype == np.float32


def test_rows_that_come_once_for_every_class_are_computed_once(
    path: Path, rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = create(path)
    seen = []
    run = explainer._single.explain
    monkeypatch.setattr(
        explainer._single, "explain", lambda rows, *other: (seen.append(len(rows)), run(rows, *other))[1]
    )
    attribution = explain(explainer, rows)
    assert seen == [300]
    for target in (0, 1):
        alone = explain(explainer, rows, np.full(300, target))
        np.testing.assert_array_equal(attribution.values[target::2], alone.values)
        np.testing.assert_array_equal(attribution.output[target::2], alone.output)


def test_passes_of_any_size_agree(path: Path, rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch) -> None:
    targets = np.zeros(300, dtype=np.int64)
    expected = explain(create(path), rows, targets).values
    monkeypatch.setattr(deepshap, "pairs_per_pass", lambda pair_bytes: 1)
    np.testing.assert_allclose(explain(create(path), rows, targets).values, expected, atol=1e-6)


def test_long_rows_have_fewer_pairs_in_a_pass(
    path: Path, rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [pairs_per_pass(size) for size in (1, 1 << 20, 1 << 30)] == [400, 64, 1]
    monkeypatch.setattr("whyport.runtime.bundle.deepshap.PASS_BYTES", 1 << 12)
    explainer, most = create(path), []
    attribute = explainer._single._attribute

    def watched(of_rows: list[torch.Tensor], of_references: list[torch.Tensor], *others: Any) -> torch.Tensor:
        pairs = len(of_rows[0]) * len(of_references[0])
        sizes = [value[0].numel() * value.element_size() for value in of_rows[1:]]
        most.append((pairs, max(sizes) * of_rows[0].shape[1]))
        return attribute(of_rows, of_references, *others)

    monkeypatch.setattr(explainer._single, "_attribute", watched)
    explain(explainer, rows, np.zeros(300, dtype=np.int64))
    assert all(pairs == 1 or pairs * size <= 1 << 12 for pairs, size in most)


@pytest.mark.parametrize("kept", [0, 2, 4])
@pytest.mark.parametrize("network", [Linear, Recurrent])
def test_the_targets_asked_for_of_long_rows_have_the_shares_that_all_give_them(
    network: type[nn.Module], kept: int, rows: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_bundle(tmp_path / "bundle", network())
    targets = np.random.default_rng(2).integers(0, 2, 300)
    expected = explain(create(path), rows, targets)
    monkeypatch.setattr("whyport.runtime.bundle.deepshap.PASS_BYTES", 1 << 12)
    monkeypatch.setattr(deepshap, "ACTIVATED_BYTES", 1)
    activations = create(path)._single._activations(rows[:1])
    # The activations of the other references are made anew for every row.
    size = sum(value.numel() * value.element_size() for value in activations)
    monkeypatch.setattr(deepshap, "KEPT_BYTES", kept * size)
    explainer, seen = create(path), []
    assert explainer._single.selects
    assert len(explainer._single._kept) == kept
    attribute = explainer._single._attribute
    monkeypatch.setattr(
        explainer._single, "_attribute", lambda *given: (seen.append(given[-1].shape[1]), attribute(*given))[1]
    )
    got = explain(explainer, rows, targets)
    assert set(seen) == {1}
    np.testing.assert_allclose(got.values, expected.values, atol=1e-5 * np.abs(expected.values).max())
    np.testing.assert_array_equal(got.output, expected.output)


def request_of(rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Request:
    """A request by a method that does not look at the scores."""
    return Request.of_one_target(rows, np.zeros((len(rows), 2), dtype=np.float32), targets)


def attribution_of(path: Path, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return explain(create(path), rows, np.zeros(len(rows), dtype=np.int64)).values


def test_without_numba_the_program_runs_as_it_is(
    rows: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_bundle(tmp_path / "bundle", Recurrent())
    fused = attribution_of(path, rows)
    for name in ("numba", "whyport.batch.methods.deepshap.kernels", "whyport.batch.methods.deepshap.fused"):
        monkeypatch.setitem(sys.modules, name, None)
    with caplog.at_level("INFO", "whyport.batch"):
        portable = attribution_of(path, rows)
    assert "without its fused kernels" in caplog.text
    np.testing.assert_allclose(portable, fused, atol=1e-5 * np.abs(fused).max())
    assert (portable != fused).any()


def test_a_program_without_a_record_of_its_parts_runs_as_it_is(
    rows: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_bundle(tmp_path / "bundle", Recurrent())
    fused = attribution_of(path, rows)
    monkeypatch.setattr(deepshap, "PARTS_RECORD", "of an earlier version")
    portable = attribution_of(path, rows)
    np.testing.assert_allclose(portable, fused, atol=1e-5 * np.abs(fused).max())
    assert (portable != fused).any()


def test_no_rows_give_empty_arrays(path: Path, rows: NDArray[np.float32]) -> None:
    attribution = explain(create(path), rows[:0], np.zeros(0, dtype=np.int64))
    assert attribution.values.shape == (0, 3)


def test_rows_that_miss_the_tolerance_are_redone_in_float64(tmp_path: Path, rows: NDArray[np.float32]) -> None:
    explainer = create(make_bundle(tmp_path / "bundle", Offset()))
    every = np.tile(np.arange(2), (300, 1))
    values, _, differences = explainer._single.explain(rows, every, explainer.players)
    assert (np.abs(values.sum(axis=2) - differences) > 0.01).any()
    targets = np.arange(300) % 2
    shares = explainer.attribute(request_of(rows, targets))
    assert explainer.references is not None
    squares = explainer.references.weights @ explainer.references.rows.astype(np.float64) ** 2
    expected = np.zeros((300, 3))
    expected[np.arange(300), targets] = (rows.astype(np.float64) ** 2 - squares)[np.arange(300), targets]
    np.testing.assert_allclose(shares.values, expected, atol=2e-4)


def test_a_row_that_no_precision_can_explain_is_flagged(path: Path, rows: NDArray[np.float32]) -> None:
    rows[3, 1] = np.inf
    with np.errstate(invalid="ignore"):
        attribution = explain(create(path), rows, np.zeros(300, dtype=np.int64))
    assert attribution.converged is not None
    assert np.flatnonzero(~attribution.converged).tolist() == [3]


def test_the_program_is_not_executed_before_its_digest_matched(path: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(path, tmp_path / "bundle")
    bundle = Bundle.read(copied)
    model: Any = TorchScriptModel(bundle, "cpu")
    (copied / DEEPSHAP_MODEL).write_bytes(b"something else")
    with pytest.raises(DigestError, match="has changed"):
        DeepShap(model, References.read(bundle), ExplainSettings().of_method("deepshap"))
    write_sidecar(copied, bundle.sidecar)
    with pytest.raises(BundleError, match=r"cannot load TorchScript: .*, in .*deepshap\.pt"):
        create(copied)


def test_scores_are_the_models(path: Path, rows: NDArray[np.float32]) -> None:
    shares = create(path).attribute(request_of(rows, np.ones(300, dtype=np.int64)))
    np.testing.assert_allclose(shares.output, logits_of(rows)[:, 1], atol=1e-5)
