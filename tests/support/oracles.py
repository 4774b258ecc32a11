"""What every test of DeepSHAP measures."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from support.reference import exact_shapley


def shapley_of_maximum(x: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Shapley values [k] of the maximum of k values, each in its row's or its reference's state."""
    return exact_shapley(lambda rows: rows.max(axis=1, keepdims=True), x, r[None], np.ones(1))[:, 0]


def attribute(program: nn.Module, rows: Tensor, references: Tensor, weights: Tensor) -> Tensor:
    """Attributions [N, C, F]."""
    with torch.no_grad():
        return program.attribute(program.activations(rows), program.activations(references), weights)


def incompleteness(program: nn.Module, rows: Tensor, references: Tensor, weights: Tensor) -> float:
    """The largest |sum of attributions - (f(x) - E f)| / max(1, |f(x) - E f|)."""
    with torch.no_grad():
        of_rows, of_references = program.activations(rows), program.activations(references)
        values = program.attribute(of_rows, of_references, weights)
        difference = of_rows[0] - weights @ of_references[0]
        return float(((values.sum(-1) - difference).abs() / difference.abs().clamp(min=1)).max())


def sample(rows: int, features: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal rows."""
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def uneven_weights(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Weights of references that differ, with the sum 1."""
    weights = torch.arange(1, count + 1, dtype=torch.float64)
    return (weights / weights.sum()).to(dtype)
