"""Whatever goes wrong with what gives reasons, the bundle is made without it and says why."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from whyport.exporter.bundle.target import Target
from whyport.exporter.data.statistics import describe_columns
from whyport.exporter.export import export_bundle
from whyport.exporter.graphs.compiled import Compiled, OnnxFile, TorchScriptFile
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.onnx import compile_onnx
from whyport.exporter.graphs.torchscript import compile_torchscript
from whyport.exporter.reasons.program import compile_program
from whyport.exporter.source import ModelSource
from whyport.exporter.verify.outputs import PROBE_ROWS, verify_outputs, with_right_gradients
from whyport.runtime.bundle.sidecar import DEEPSHAP_MODEL, EXPLAIN_MODEL, GRADIENT_MODEL

ROWS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
PROBES = np.random.default_rng(1).normal(size=(PROBE_ROWS, 4)).astype(np.float32)
SERVED = {"deepshap": DEEPSHAP_MODEL, "explain-onnx": EXPLAIN_MODEL, "gradient-onnx": GRADIENT_MODEL}


def fail(error: Exception) -> Callable[..., Any]:
    def failing(*_: Any, **__: Any) -> Any:
        raise error

    return failing


COMPILER = "whyport.exporter.deepshap.compile"
IN_THE_PROGRAM: dict[str, tuple[str, Any, str]] = {
    "torch.export": ("torch.export.export", fail(RecursionError("too deep")), "RecursionError: too deep"),
    "lowering": (f"{COMPILER}.lower", fail(KeyError("a node")), "KeyError: 'a node'"),
    "tracing": ("torch.jit.trace_module", fail(RuntimeError("no trace")), "RuntimeError: no trace"),
    "saving": (f"{COMPILER}.without_debug_records", fail(MemoryError()), "MemoryError"),
    "shares that do not add up": (
        "whyport.exporter.deepshap.rules.linear.MatrixProduct.transpose",
        lambda self, m: m @ self.matrix.T * 1.01,
        "sums of attributions of the compiled DeepSHAP: expected within 0.0001",
    ),
    "shares that are not finite": (
        "whyport.exporter.deepshap.rules.linear.MatrixProduct.transpose",
        lambda self, m: m @ self.matrix.T * torch.nan,
        "sums of attributions of the compiled DeepSHAP: expected within 0.0001, got nan off",
    ),
}


@pytest.mark.parametrize("fault", IN_THE_PROGRAM)
def test_a_fault_in_the_program_is_its_reason(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place, happens, reason = IN_THE_PROGRAM[fault]
    graph = build_graph(nn.Linear(4, 3), nn.Identity(), torch.from_numpy(ROWS[:5]))
    monkeypatch.setattr(place, happens)
    program, capability = compile_program(graph, ROWS[:5], ROWS[5:])
    assert (program, capability.available) == (None, False)
    assert reason in capability.reason
    assert "the bundle will not serve deepshap" in caplog.text


# What happens where; and the reason of each capability that is missing then.
IN_THE_EXPORT: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "before the graphs": (
        {f"{COMPILER}.lower": fail(KeyError("a node"))},
        dict.fromkeys(SERVED, "KeyError: 'a node'"),
    ),
    "while they are made": (
        {
            "whyport.exporter.reasons.portable.summarise": fail(ValueError("NaN in the samples")),
            "whyport.exporter.reasons.portable.export_lean": fail(AssertionError()),
        },
        {"explain-onnx": "ValueError: NaN in the samples", "gradient-onnx": "AssertionError"},
    ),
    "while they are compared": (
        {
            "whyport.exporter.reasons.graphs.settled": lambda m, value: 1.01 * m,
            "whyport.exporter.verify.reasons.verify_gradient": fail(IndexError("row 7")),
        },
        {
            "explain-onnx": "attribution: ONNX Runtime's reasons: expected a deviation of at most 0.0001",
            "gradient-onnx": "IndexError: row 7",
        },
    ),
}


@pytest.mark.parametrize("stage", IN_THE_EXPORT)
def test_the_bundle_is_made_without(
    stage: str, complete_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults, reasons = IN_THE_EXPORT[stage]
    for place, happens in faults.items():
        monkeypatch.setattr(place, happens)
    bundle = export_bundle(ModelSource("example_networks:linear", complete_path), Target(tmp_path / "bundle"))
    missing = {name: c.reason for name in SERVED if not (c := bundle.sidecar.capabilities[name]).available}
    assert missing.keys() == reasons.keys()
    assert all(reasons[name] in reason for name, reason in missing.items())
    assert {SERVED[name] for name in SERVED.keys() - missing} == set(SERVED.values()) & bundle.sidecar.files.keys()


class HiddenNan(nn.Linear):
    """Finite scores by way of slopes that are NaN or infinite for negative features."""

    def __init__(self, hides: str) -> None:
        super().__init__(4, 3)
        self.hides = hides

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
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
    graph = build_graph(HiddenNan(hides), nn.Identity(), torch.from_numpy(ROWS[:5]))
    script = TorchScriptFile(compile_torchscript(graph, torch.from_numpy(ROWS[:5])))
    model = OnnxFile(compile_onnx(graph, torch.from_numpy(ROWS[:5])))
    compiled = Compiled(graph.outputs, graph.capabilities, model, graph, script)
    features, classes = describe_columns(list("abcd"), list(PROBES.T.astype(np.float64))), list("xyz")
    left = with_right_gradients(compiled, PROBES, features, classes)
    reason = "gradient of x: expected finite values, got others in"
    assert left.torchscript is script
    assert left.graph is not None
    assert not left.graph.differentiable
    assert reason in left.capabilities["gradients"].reason
    assert left.capabilities["grad-cam"] == graph.capabilities["grad-cam"]
    assert f"the bundle will not serve gradients: {reason}" in caplog.text
    assert "torchscript_gradients" not in verify_outputs(left, PROBES, features, classes)


def test_derivatives_that_torchscript_has_wrong_are_left_out() -> None:
    """Its own derivative of Softplus, of calls after the first, does not know the threshold."""
    network = nn.Sequential(nn.Linear(4, 6), nn.Softplus(threshold=1), nn.Linear(6, 3))
    graph = build_graph(network, nn.Identity(), torch.from_numpy(ROWS[:5]))
    script = TorchScriptFile(compile_torchscript(graph, torch.from_numpy(ROWS[:5])))
    compiled = Compiled(graph.outputs, graph.capabilities, OnnxFile(compile_onnx(graph, torch.from_numpy(ROWS[:5]))))
    compiled = dataclasses.replace(compiled, graph=graph, torchscript=script)
    features = describe_columns(list("abcd"), list(PROBES.T.astype(np.float64)))
    left = with_right_gradients(compiled, PROBES, features, list("xyz"))
    assert "gradient of x: TorchScript: expected a deviation of at most" in left.capabilities["gradients"].reason
    assert left.torchscript is script  # deepshap takes its scores from it
    assert "torchscript_gradients" not in verify_outputs(left, PROBES, features, list("xyz"))


class AtABend(nn.Module):
    """Scores that do not depend on the number of rows, and slopes that do, as where rounding decides about a bend."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, rows: Tensor) -> Tensor:
        bent = (rows - rows.detach()).sum(1, keepdim=True) * (1e-2 / rows.shape[0])
        scores: Tensor = self.layer(rows) + bent
        return scores


def test_slopes_that_depend_on_the_number_of_rows_are_left_out() -> None:
    graph = build_graph(AtABend(), nn.Identity(), torch.from_numpy(ROWS[:5]))
    model = OnnxFile(compile_onnx(graph, torch.from_numpy(ROWS[:5])))
    compiled = Compiled(graph.outputs, graph.capabilities, model, graph)
    features = describe_columns(list("abcd"), list(PROBES.T.astype(np.float64)))
    left = with_right_gradients(compiled, PROBES, features, list("xyz"))
    reason = left.capabilities["gradients"].reason
    assert "gradient of x: eager PyTorch: expected a deviation of at most 0.0001" in reason
    assert "at batch size 1" in reason
    verify_outputs(left, PROBES, features, list("xyz"))


def test_finite_slopes_stay() -> None:
    graph = build_graph(nn.Linear(4, 3), nn.Identity(), torch.from_numpy(ROWS[:5]))
    model = OnnxFile(compile_onnx(graph, torch.from_numpy(ROWS[:5])))
    compiled = Compiled(graph.outputs, graph.capabilities, model, graph)
    features = describe_columns(list("abcd"), list(PROBES.T.astype(np.float64)))
    assert with_right_gradients(compiled, PROBES, features, list("xyz")) is compiled
