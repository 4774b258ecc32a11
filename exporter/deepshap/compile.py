"""Compiles a network into deepshap.pt."""

import io
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from whyport.exporter.deepshap.lowering import lower
from whyport.exporter.deepshap.program import Program, Value
from whyport.exporter.deepshap.row_graph import export_row
from whyport.exporter.graphs.categories import EncodeCategories
from whyport.exporter.graphs.fast_path import no_fast_path
from whyport.exporter.graphs.torchscript import quiet, without_debug_records
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.bundle import deepshap as contract
from whyport.runtime.errors import ExportError

LONG, TRACED_CLASSES = 4096, 4
"""The features from which on a row is long, and the classes that are traced for long rows."""


def build_program(
    module: nn.Module,
    rows: Tensor,
    *,
    fused: bool = True,
    encoding: EncodeCategories | None = None,
    lengths: Sequence[int] = (),
) -> Program:
    """The program of a network, in eager mode.

    Args:
        module: cells [N, P] to logits [N, C], alone or first in a tuple; in evaluation mode.
        rows: two or more finite rows [N, F].
        fused: one rule for each recurrent layer; otherwise it is unrolled into single operators.
        encoding: what gives the rows' cells; None where they are the rows themselves.
        lengths: the rows' features that hold lengths of sequences, whose cells are theirs alone: the same in all of
            these rows, and in all rows and references of a later call.

    Raises:
        UnsupportedOperatorError: an operator on the way to the logits has no rule.
        ExportError: the rows have not two axes, or not the same lengths; torch.export cannot take the network; or it
            is not a function of one row at a time.
    """
    if rows.ndim != 2:
        raise ExportError(f"the rows that a program is built with: expected shape [N, F], got {list(rows.shape)}")
    of_rows = rows[:, list(lengths)]
    if (of_rows != of_rows[:1]).any():
        found = sorted(set(map(tuple, of_rows.tolist())))
        raise ExportError(f"the rows that a program is built with: expected the same lengths in all, got {found}")
    cells = rows if encoding is None else encoding(rows)
    places = [place if encoding is None else encoding.cells[place][0] for place in lengths]
    program = lower(export_row(module, cells, fused=fused), places).to(rows.dtype).eval()
    if encoding is not None:
        program.encoded_by(encoding)
    shorter = rows.clone()
    shorter[:, list(lengths)] = (of_rows / 2).ceil()
    for some in (rows, shorter) if lengths else (rows,):
        if not _computes(program, module, some, encoding):
            raise ExportError("the network does not treat every row of a batch alike, as explaining single rows needs")
    return program


def _computes(program: Program, module: nn.Module, rows: Tensor, encoding: EncodeCategories | None) -> bool:
    """Whether a program gives the logits of a whole batch as the network does."""
    with torch.no_grad(), no_fast_path():
        given = module(rows if encoding is None else encoding(rows))
        expected = given[0] if isinstance(given, tuple) else given
        got = program.activations(rows)[0]
    off = (got - expected).abs() if got.shape == expected.shape else torch.tensor(torch.inf)
    return bool(off.le(TOLERANCES["outputs"] * expected.abs().clamp(min=1)).all())


def compile_deepshap(module: nn.Module, rows: Tensor) -> bytes:
    """deepshap.pt of a network; takes and raises what `build_program` does, with five or more rows."""
    return trace_program(build_program(module, rows), rows)


def trace_program(program: Program, rows: Tensor) -> bytes:
    """deepshap.pt: a program as TorchScript, for any N and R, with the names of `runtime.bundle.deepshap`.

    `attribute` is also there in parts, for consumers with fused kernels: each part's `propagate`, then `finish`.

    Args:
        program: of a network; it gains a method for each part.
        rows: five or more finite rows [N, F].
    """
    identity = program.identity
    # A trace holds every value at once, of every class that it is made with: of images, a few are enough.
    program.identity = identity[:TRACED_CLASSES].clone() if rows.shape[1] >= LONG else identity
    with torch.no_grad(), quiet():
        traced: Any = torch.jit.trace_module(  # type: ignore[no-untyped-call]
            program, _example_inputs(program, rows), check_trace=False, strict=False
        )
        program.identity = traced.identity = identity
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer, _extra_files={contract.PARTS_RECORD: contract.write_parts(_describe(program))})
    return without_debug_records(buffer.getvalue())


def _example_inputs(program: Program, rows: Tensor) -> dict[str, tuple[Any, ...]]:
    """What each method is traced with; gives the program a method for each of its parts."""
    # Different sizes, neither of them 1, so that the trace takes neither for the other, nor for a constant.
    of_rows, of_references = program.activations(rows[:3]), program.activations(rows[3:5])
    weights = rows.new_full((2,), 0.5)
    inputs: dict[str, tuple[Any, ...]] = {
        contract.ACTIVATIONS: (rows[:3],),
        contract.ATTRIBUTE: (of_rows, of_references, weights),
    }
    multipliers = program.begin()
    for i, part in enumerate(program.parts):
        method = partial(program.propagate, part)
        setattr(program, contract.part_name(i), method)
        inputs[contract.part_name(i)] = (multipliers, of_rows, of_references)
        multipliers = method(multipliers, of_rows, of_references)
    return inputs | {contract.FINISH: (multipliers, of_rows, of_references, weights)}


def _describe(program: Program) -> list[contract.Part | None]:
    """For each part the kernel that can take its place, and None where there is none."""
    described: list[contract.Part | None] = []
    for part in program.parts:
        rule = program.steps[part.steps[0] - 1].rule
        if rule.kernel is None:
            described.append(None)
            continue
        (step,) = part.steps
        outputs = [Value(step, i) for i in range(rule.outputs)]
        described.append(
            contract.Part(
                kernel=rule.kernel.name,
                options=dict(rule.kernel.options),
                rule=step - 1,
                given=[[i for i, value in enumerate(part.given) if value == output] for output in outputs],
                passed=[i for i, value in enumerate(part.given) if value.step != step],
                reads=program.positions(step),
            )
        )
    return described
