"""Imputation and standardisation as modules, so that they are inside the exported graphs."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from whyport.exporter.graphs.categories import EncodeCategories
from whyport.runtime.bundle.columns import IMPUTE, Column


class Impute(nn.Module):
    """Replaces NaN by a value for each feature; the gradient is 0 there.

    Args:
        values: [F] float32, in the features' own units.
    """

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)

    def forward(self, rows: Tensor) -> Tensor:
        """[N, F] float32 in and out."""
        return torch.where(torch.isnan(rows), self.values, rows)


class Standardise(nn.Module):
    """(row - mean) / scale.

    Args:
        mean: [F] float32.
        scale: [F] float32, not 0.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, rows: Tensor) -> Tensor:
        """[N, F] float32 in and out."""
        return (rows - self.mean) / self.scale


def build_preprocessing(
    features: Sequence[Column], *, standardise: bool, encoding: EncodeCategories | None = None
) -> nn.Sequential:
    """The module in front of a network, which changes numbers alone; a constant one is centred and not scaled.

    Args:
        features: the F columns of a row.
        standardise: whether numbers are standardised.
        encoding: what gives a row's cells; None where they are the row itself.

    Returns:
        A module from cells [N, P] to as many.
    """
    widths = [1] * len(features) if encoding is None else [len(cells) for cells in encoding.cells]
    parts: list[nn.Module] = []
    if any(feature.missing == IMPUTE for feature in features):
        values = [np.nan if feature.imputation is None else feature.imputation for feature in features]
        parts.append(Impute(torch.from_numpy(np.repeat(np.array(values, dtype=np.float32), widths))))
    if standardise:
        mean = np.array([feature.numbers.mean if feature.numbers else 0 for feature in features], dtype=np.float32)
        spread = np.array([feature.spread for feature in features], dtype=np.float32)
        scale = np.where(spread > 0, spread, np.float32(1))
        parts.append(Standardise(*(torch.from_numpy(np.repeat(values, widths)) for values in (mean, scale))))
    return nn.Sequential(*parts)
