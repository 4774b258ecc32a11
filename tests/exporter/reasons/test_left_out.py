"""Whatever goes wrong with what gives reasons, the bundle is made without it and says why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from whyport.exporter.bundle.target import Target
from whyport.exporter.export import export_bundle
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.reasons.program import compile_program
from whyport.exporter.source import ModelSource
from whyport.runtime.bundle.sidecar import DEEPSHAP_MODEL, EXPLAIN_MODEL, GRADIENT_MODEL

ROWS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
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
    "by the budget of values": (
        {"whyport.exporter.reasons.budget.ROW_VALUES": 100},
        {"explain-onnx": "explain.onnx: expected at most 100 values to compute for a row, got "},
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
