"""Compiles DeepSHAP's program, and checks that it adds up on rows it was not traced with."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from whyport.exporter.deepshap import build_program, trace_program
from whyport.exporter.deepshap.program import Program
from whyport.exporter.graphs.compiled import TorchScriptFile
from whyport.exporter.graphs.graph import Graph, capability
from whyport.exporter.reasons.budget import check_time
from whyport.exporter.reasons.left_out import left_out
from whyport.exporter.reasons.passes import attributions, checked_sample
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.attribution import within_rounding
from whyport.runtime.bundle import deepshap as deepshap_file
from whyport.runtime.bundle.lengths import Length
from whyport.runtime.bundle.sidecar import DEEPSHAP_MODEL, Capability
from whyport.runtime.errors import ParityError
from whyport.runtime.parity import deviation

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeepShap:
    """DeepSHAP's program, in eager mode and compiled."""

    program: Program
    file: TorchScriptFile
    """deepshap.pt, which is verified in float64."""


def compile_program(
    graph: Graph, traced: NDArray[np.float32], others: NDArray[np.float32], lengths: Sequence[Length] = ()
) -> tuple[DeepShap | None, Capability]:
    """The program, or why there is none.

    Args:
        graph: the graph in eager mode.
        traced: a few finite rows to trace with, [N, F].
        others: finite rows to check with, [M, F].
        lengths: where a row says how many steps its lists have; the same in all rows of each argument.
    """
    places = [each.place for each in lengths]
    try:
        program = build_program(graph.of_cells, torch.from_numpy(traced), encoding=graph.encoding, lengths=places)
        check_time(DEEPSHAP_MODEL, len(program.steps))
        logger.info("compiling %s, of %d operators", DEEPSHAP_MODEL, len(program.steps))
        file = TorchScriptFile(trace_program(program, torch.from_numpy(traced)), in_float64=True)
        check_completeness(file.module, graph, others)
    except Exception as error:  # whatever PyTorch raises on a network that it runs
        return None, left_out("deepshap", error)
    return DeepShap(program, file), capability("")


def check_completeness(deepshap: deepshap_file.Program, graph: Graph, rows: NDArray[np.float32]) -> None:
    """Explain half the rows against the other half; ParityError where the result is off.

    Of long rows, a few are explained, in some of many classes.

    Args:
        deepshap: deepshap.pt in float64.
        graph: the graph in eager mode.
        rows: finite rows [M, F].
    """
    tolerance = TOLERANCES["completeness"]
    with torch.no_grad():
        count, classes = checked_sample(deepshap.activations(torch.from_numpy(rows[:1]).double()))
        rows = rows[: 2 * count]
        explained, references = torch.from_numpy(rows).double().tensor_split(2)
        weights = torch.full((len(references),), 1 / len(references), dtype=torch.float64)
        of_rows, of_references = deepshap.activations(explained), deepshap.activations(references)
        total = attributions(deepshap, of_rows, of_references, weights, classes).sum(2)
        logits = graph.module(torch.from_numpy(rows))[0].double()
    expected, base_values = logits[: len(explained)].numpy(), (weights @ logits[len(explained) :]).numpy()
    off = np.abs(total.numpy() - (expected - base_values)[:, classes])
    for what, worst in {
        "logits": deviation(of_rows[0].numpy(), expected),
        # The graph computes in float32.
        "sums of attributions": float((off / within_rounding(1, expected, base_values)[:, classes]).max()),
    }.items():
        if not worst <= tolerance:
            raise ParityError(f"{what} of the compiled DeepSHAP: expected within {tolerance:g}, got {worst:.3g} off")
