"""Compiles the explanation that a bundle carries, and checks that it adds up on rows it was not traced with."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from whyport.exporter.deepshap import build_program, trace_program
from whyport.exporter.deepshap.program import Program
from whyport.exporter.graphs.graph import Graph, capability
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.runtime.bundle.sidecar import Capability
from whyport.runtime.errors import ExportError, ParityError

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""Of |sum of attributions - (f(x) - mean f(reference))|, relative to the larger of 1 and |f(x) - mean f(reference)|."""


@dataclass(frozen=True)
class Explanation:
    """DeepSHAP's program, in eager mode and compiled."""

    program: Program
    content: bytes
    """deepshap.pt"""


def compile_explanation(
    graph: Graph, traced: NDArray[np.float32], others: NDArray[np.float32]
) -> tuple[Explanation | None, Capability]:
    """The explanation, or why there is none.

    Args:
        graph: the graph in eager mode.
        traced: a few finite rows to trace with, [N, F].
        others: finite rows to check with, [M, F].

    Raises:
        ParityError: the compiled program does not give the graph's logits, or its attributions do not add up.
    """
    try:
        program = build_program(graph.module, torch.from_numpy(traced))
        content = trace_program(program, torch.from_numpy(traced))
    except ExportError as error:
        logger.warning("the bundle will not serve deepshap: %s", error)
        return None, capability(str(error))
    check_completeness(content, graph, others)
    return Explanation(program, content), capability("")


def check_completeness(program: bytes, graph: Graph, rows: NDArray[np.float32]) -> None:
    """Explain half the rows against the other half, in float64, and compare; ParityError if it is off."""
    module = load_torchscript(program).double()
    explained, references = torch.from_numpy(rows).double().tensor_split(2)
    weights = torch.full((len(references),), 1 / len(references), dtype=torch.float64)
    with torch.no_grad():
        of_rows, of_references = module.activations(explained), module.activations(references)
        total = module.attribute(of_rows, of_references, weights).sum(2)
        logits = graph.module(torch.from_numpy(rows))[0].double()
    expected, base_values = logits[: len(explained)], weights @ logits[len(explained) :]
    for what, got, wanted in (
        ("logits", of_rows[0], expected),
        ("sums of attributions", total, expected - base_values),
    ):
        worst = float(((got - wanted).abs() / wanted.abs().clamp(min=1)).max())
        if not worst <= TOLERANCE:
            raise ParityError(f"{what} of the compiled DeepSHAP: expected within {TOLERANCE:g}, got {worst:.3g} off")
