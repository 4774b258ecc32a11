"""Compiles a network into deepshap.pt."""

import io
from typing import Any

import torch
from torch import Tensor, nn

from exporter.deepshap.graph import export_row
from exporter.deepshap.lowering import lower
from exporter.deepshap.program import Program
from exporter.torchscript import quiet, without_debug_records
from runtime.errors import ExportError

TOLERANCE = 1e-4
"""How far the program's logits may be from the network's: |a - b| / max(1, |b|)."""


def build_program(module: nn.Module, rows: Tensor, *, fused: bool = True) -> Program:
    """The program of a network, in eager mode.

    Args:
        module: raw rows [N, F] to logits [N, C], alone or first in a tuple; in evaluation mode.
        rows: two or more finite rows [N, F].
        fused: one rule for each recurrent layer; otherwise it is unrolled into single operators.

    Raises:
        UnsupportedOperatorError: an operator on the way to the logits has no rule.
        ExportError: torch.export cannot take the network, or it is not a function of one row at a time.
    """
    program = lower(export_row(module, rows, fused=fused)).to(rows.dtype).eval()
    with torch.no_grad():
        given = module(rows)
        expected = given[0] if isinstance(given, tuple) else given
        got = program.activations(rows)[0]
    if got.shape != expected.shape or not (got - expected).abs().le(TOLERANCE * expected.abs().clamp(min=1)).all():
        raise ExportError("the network does not treat every row of a batch alike, as explaining single rows needs")
    return program


def compile_deepshap(module: nn.Module, rows: Tensor) -> bytes:
    """deepshap.pt: TorchScript with the methods `activations` and `attribute` of `Program`, for any N and R.

    Args:
        module: raw rows [N, F] to logits [N, C], alone or first in a tuple; in evaluation mode.
        rows: five or more finite rows [N, F].

    Raises:
        As `build_program`.
    """
    program = build_program(module, rows)
    # Different sizes, neither of them 1, so that the trace takes neither for the other, nor for a constant.
    with torch.no_grad(), quiet():
        of_rows, of_references = program.activations(rows[:3]), program.activations(rows[3:5])
        inputs = {"activations": (rows[:3],), "attribute": (of_rows, of_references, rows.new_full((2,), 0.5))}
        traced: Any = torch.jit.trace_module(  # type: ignore[no-untyped-call]
            program, inputs, check_trace=False, strict=False
        )
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer)
    return without_debug_records(buffer.getvalue())
