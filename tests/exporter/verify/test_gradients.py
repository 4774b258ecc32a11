"""Gradients are served only where the engines agree on them; what rounding decides is compared where it does not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whyport.exporter.data.statistics import describe_columns
from whyport.exporter.graphs.compiled import Compiled, OnnxFile, TorchScriptFile
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.onnx import compile_onnx
from whyport.exporter.graphs.torchscript import compile_torchscript
from whyport.exporter.verify.gradients import at_bends, compared_classes, with_right_gradients
from whyport.exporter.verify.outputs import PROBE_ROWS, measure
from whyport.runtime.errors import ParityError

ROWS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
PROBES = np.random.default_rng(1).normal(size=(PROBE_ROWS, 4)).astype(np.float32)
FEATURES = describe_columns(["w", "x", "y", "z"], list(PROBES.T.astype(np.float64)))
CLASSES = ["x", "y", "z"]


def compiled_of(network: nn.Module, scripted: nn.Module | None = None) -> Compiled:
    """A network as it is compiled, or with the TorchScript of another."""
    traced = torch.from_numpy(ROWS[:5])
    graph, other = (build_graph(each, nn.Identity(), traced) for each in (network, scripted or network))
    script = TorchScriptFile(compile_torchscript(other, traced))
    return Compiled(graph.outputs, graph.capabilities, OnnxFile(compile_onnx(graph, traced)), graph, script)


class HiddenNan(nn.Linear):
    """Finite scores by way of slopes that are NaN or infinite for negative features."""

    def __init__(self, hides: str) -> None:
        super().__init__(4, 3)
        self.hides = hides

    def forward(self, rows: Tensor) -> Tensor:
        if self.hides == "relu":  # finite in eager PyTorch
            return super().forward(torch.sqrt(torch.relu(rows)))
        root = torch.sqrt(rows)
        if self.hides == "nansum":
            return super().forward(rows) + torch.nansum(root, 1, keepdim=True)
        if self.hides == "nan_to_num":
            return super().forward(torch.nan_to_num(root))
        return super().forward(torch.where(torch.isnan(root), torch.zeros_like(root), root))


@pytest.mark.parametrize("hides", ["nansum", "nan_to_num", "where", "relu"])
def test_slopes_that_are_not_finite_cost_no_bundle(hides: str, caplog: pytest.LogCaptureFixture) -> None:
    compiled = compiled_of(HiddenNan(hides))
    assert compiled.graph is not None
    left, parity = with_right_gradients(compiled, PROBES, FEATURES, CLASSES)
    reason = "gradient of x: expected finite values, got others in"
    assert left.torchscript is compiled.torchscript
    assert left.graph is not None
    assert not left.graph.differentiable
    assert reason in left.capabilities["gradients"].reason
    assert left.capabilities["grad-cam"] == compiled.graph.capabilities["grad-cam"]
    assert f"the bundle will not serve gradients: {reason}" in caplog.text
    assert parity == {}


def test_derivatives_that_torchscript_has_wrong_are_left_out() -> None:
    """Its own derivative of Softplus, of calls after the first, does not know the threshold."""
    compiled = compiled_of(nn.Sequential(nn.Linear(4, 6), nn.Softplus(threshold=1), nn.Linear(6, 3)))
    left, parity = with_right_gradients(compiled, PROBES, FEATURES, CLASSES)
    assert "gradient of x: TorchScript: expected a deviation of at most" in left.capabilities["gradients"].reason
    assert left.torchscript is compiled.torchscript  # deepshap takes its scores from it
    assert parity == {}


def test_equal_outputs_with_other_gradients() -> None:
    class Detached(nn.Linear):
        def forward(self, rows: Tensor) -> Tensor:
            return super().forward(rows.detach()) + 0 * rows[:, :1]

    torch.manual_seed(0)
    linear, detached = nn.Linear(4, 3), Detached(4, 3)
    detached.load_state_dict(linear.state_dict())
    left, _ = with_right_gradients(compiled_of(linear, detached), PROBES, FEATURES, CLASSES)
    assert "gradient of x: TorchScript: expected a deviation of at most 0.0001" in left.capabilities["gradients"].reason


class DependsOnItsBatch(nn.Module):
    """Scores that do not depend on the number of rows, and slopes that do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, rows: Tensor) -> Tensor:
        bent = (rows - rows.detach()).sum(1, keepdim=True) * (1e-2 / rows.shape[0])
        scores: Tensor = self.layer(rows) + bent
        return scores


def test_slopes_that_depend_on_the_number_of_rows_are_left_out() -> None:
    graph = build_graph(DependsOnItsBatch(), nn.Identity(), torch.from_numpy(ROWS[:5]))
    model = OnnxFile(compile_onnx(graph, torch.from_numpy(ROWS[:5])))
    left, _ = with_right_gradients(Compiled(graph.outputs, graph.capabilities, model, graph), PROBES, FEATURES, CLASSES)
    reason = left.capabilities["gradients"].reason
    assert "gradient of x: eager PyTorch: expected a deviation of at most 0.0001" in reason
    assert "at batch size 1" in reason


def test_finite_slopes_stay() -> None:
    compiled = compiled_of(nn.Linear(4, 3))
    same, parity = with_right_gradients(compiled, PROBES, FEATURES, CLASSES)
    assert same is compiled
    assert 0 <= parity["torchscript_gradients"] < 1e-5


class Kinked(nn.Module):
    """Linear but for a saw whose bends are nearer to each other than float32 tells rows apart."""

    def __init__(self, slope: float = 5e-3, holds_float32: bool = False) -> None:
        super().__init__()
        self.layer, self.slope = nn.Linear(4, 3), slope
        self.holds_float32 = holds_float32

    def forward(self, rows: Tensor) -> Tensor:
        phase = rows[:, :1] * 0.75e6  # half a tooth between the two sides of a row
        saw = (phase - torch.floor(phase)).clamp(max=0.5) * 1e-6  # values of 5e-7 at most, with slopes 0 and 1
        if self.holds_float32:
            saw = saw @ torch.eye(1, dtype=torch.float32)
        scores: Tensor = self.layer(rows) + self.slope * saw
        return scores


def test_where_most_rows_are_at_bends_gradients_are_compared_in_float64(caplog: pytest.LogCaptureFixture) -> None:
    """In float32 the same gradients differ; in float64 another network's are still told apart."""
    caplog.set_level("INFO", "whyport")
    torch.manual_seed(0)
    network, other = Kinked(), Kinked(slope=6e-3)
    other.load_state_dict(network.state_dict())
    compiled = compiled_of(network)
    same, parity = with_right_gradients(compiled, PROBES, FEATURES, CLASSES)
    assert "comparing gradients in float64" in caplog.text
    assert same is compiled
    assert parity["torchscript_gradients"] < 1e-9
    left, _ = with_right_gradients(compiled_of(network, other), PROBES, FEATURES, CLASSES)
    assert "gradient of x: TorchScript: expected a deviation of at most 0.0001" in left.capabilities["gradients"].reason


class LosesDigits(nn.Module):
    """Smooth, with slopes that float32 has not the digits for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, rows: Tensor) -> Tensor:
        near = torch.sin(rows * 1e6)
        scores: Tensor = self.layer(rows) + near.sum(1, keepdim=True) * 1e-6
        return scores


def test_slopes_without_digits_are_not_served() -> None:
    left, _ = with_right_gradients(compiled_of(LosesDigits()), PROBES, FEATURES, CLASSES)
    expected = "rounding decides between several: expected float32 to change at most 0.01 of its size in most rows, got"
    assert expected in left.capabilities["gradients"].reason


def test_a_network_without_float64_has_no_gradients_there() -> None:
    left, _ = with_right_gradients(compiled_of(Kinked(holds_float32=True)), PROBES, FEATURES, CLASSES)
    expected = "at most rows rounding decides between several gradients, and the network has none in float64: Runtime"
    assert left.capabilities["gradients"].reason.startswith(expected)


def test_fewer_rows_of_a_costly_network_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    class Counting(nn.Linear):
        def forward(self, rows: Tensor) -> Tensor:
            compared.append(len(rows))
            return super().forward(rows)

    graph = build_graph(Counting(4, 3), nn.Identity(), torch.from_numpy(ROWS[:5]))
    compiled = Compiled(graph.outputs, graph.capabilities, compiled_of(nn.Linear(4, 3)).onnx, graph)
    for operations, most in ((10**11, PROBE_ROWS), (10**4, 10**4 // (2 * 4 * 3 * 4)), (1, 8)):
        # A row's operations: two for each of 4 x 3 weights, once forward and once back for each of three classes.
        monkeypatch.setattr("whyport.exporter.verify.gradients.PASS_OPERATIONS", operations)
        compared.clear()
        assert with_right_gradients(compiled, PROBES, FEATURES, CLASSES)[0] is compiled
        assert max(compared) == most


@pytest.mark.parametrize(
    ("classes", "values", "expected"),
    [
        (3, 257 * 30, [0, 1, 2]),
        (5, 1 << 21, [0, 4]),  # the most of any probes: images of 256 x 256
        (1000, 1 << 20, [0, 333, 666, 999]),
        (4, 1 << 23, [0]),
        (1, 0, [0]),
    ],
)
def test_the_gradients_of_a_few_classes_are_compared_where_rows_are_long(
    classes: int, values: int, expected: list[int]
) -> None:
    assert compared_classes(classes, values) == expected


def gradients_by(weight: NDArray[np.float64], side: int) -> Callable[[NDArray[Any]], dict[str, NDArray[Any]]]:
    """An engine of sum(relu(weight x)), whose slope at a bend is that of a side, or the mean of both for 0."""

    def run(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
        slope = np.where(rows * weight == 0, (1 + side) / 2, rows * weight > 0)
        return {"gradient of a": (weight * slope).astype(np.float32)}

    return run


def test_rows_at_a_bend_are_told_from_the_others() -> None:
    weight = np.array([1.0, -2.0, 3.0, 0.5])
    rows = PROBES.copy()
    expected = np.arange(len(rows)) % 5 == 2
    rows[expected, 1] = 0
    np.testing.assert_array_equal(at_bends(gradients_by(weight, 1), rows, FEATURES, 1e-4), expected)
    assert not at_bends(gradients_by(weight, 1), PROBES, FEATURES, 1e-4).any()


@pytest.mark.parametrize("side", [-1, 0])
def test_another_gradient_at_a_bend_alone_is_none(side: int) -> None:
    weight, rows = np.array([1.0, -2.0, 3.0, 0.5]), PROBES.copy()
    rows[::7, 2] = 0
    steady = rows[~at_bends(gradients_by(weight, 1), rows, FEATURES, 1e-4)]
    expected = gradients_by(weight, 1)(steady)
    assert measure("the other", gradients_by(weight, side), steady, expected, 1e-4) == 0
    with pytest.raises(ParityError, match="gradient of a: the other: expected a deviation of at most 0.0001"):
        measure("the other", gradients_by(weight * 1.001, side), steady, expected, 1e-4)
