"""Attributions in float64, which those of explain.onnx are compared with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from whyport.exporter.reasons.budget import pairs_per_pass
from whyport.exporter.reasons.passes import attributions
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.deepshap import Program
from whyport.runtime.bundle.lengths import Length, of_length
from whyport.runtime.bundle.references import References


@dataclass(frozen=True)
class Exact:
    """Attributions in float64."""

    attributions: NDArray[np.float64]
    """[N, C, F]"""
    scores: NDArray[np.float64]
    """[N, C]"""
    base_values: NDArray[np.float64]
    """[C]"""


Oracle = Callable[[NDArray[np.float32]], Exact]
"""Rows [N, F], without the missing values that the bundle imputes, to their attributions."""


def exact_attributions(
    deepshap: Program, rows: NDArray[np.float32], references: References, lengths: Sequence[Length] = ()
) -> Exact:
    """Attributions of finite rows in every class.

    Args:
        deepshap: deepshap.pt in float64.
        rows: raw rows [N, F].
        references: without missing values.
        lengths: where a row says how many steps its lists have; all rows have as many, and the references get as many.
    """
    weights = torch.from_numpy(references.weights)
    found, scores = [], []
    with torch.no_grad():
        steps = rows[0, [each.place for each in lengths]]
        cut = of_length(lengths, references.rows, steps)
        of_references = deepshap.activations(torch.from_numpy(cut).double())
        base_values = weights @ of_references[0]
        pairs = pairs_per_pass(of_references, len(base_values))
        for part in batch_slices(len(rows), max(1, pairs // len(references.rows))):
            of_rows = deepshap.activations(torch.from_numpy(rows[part]).double())
            found.append(attributions(deepshap, of_rows, of_references, weights))
            scores.append(of_rows[0])
    return Exact(torch.cat(found).numpy(), torch.cat(scores).numpy(), base_values.numpy())
