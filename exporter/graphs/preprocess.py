"""Imputation and standardisation as modules, so that they are inside the exported graphs."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from whyport.exporter.graphs.categories import EncodeCategories
from whyport.runtime.bundle.columns import IMPUTE, LENGTH, Column


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


class BesideLengths(nn.Module):
    """Changes the numbers of a row but those that say how many steps its lists have.

    Args:
        runs: the runs of numbers between them, each [start, end) with its module; they cover the row.
    """

    def __init__(self, runs: Sequence[tuple[int, int, nn.Module]]) -> None:
        super().__init__()
        self.ends = [(start, end) for start, end, _ in runs]
        self.parts = nn.ModuleList(module for _, _, module in runs)

    def forward(self, rows: Tensor) -> Tensor:
        """[N, F] float32 in and out."""
        made = [part(rows[:, start:end]) for (start, end), part in zip(self.ends, self.parts, strict=True)]
        return torch.cat(made, dim=1)


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
    lengths = [i for i, feature in enumerate(features) if feature.kind == LENGTH]
    if lengths:
        return nn.Sequential(BesideLengths(list(_runs(features, lengths, standardise=standardise))))
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


def _runs(
    features: Sequence[Column], lengths: Sequence[int], *, standardise: bool
) -> Iterator[tuple[int, int, nn.Module]]:
    """The lengths, and the runs of other features around them, each with its module."""
    start = 0
    for place in (*lengths, len(features)):
        if place > start:
            yield start, place, build_preprocessing(features[start:place], standardise=standardise)
        if place < len(features):
            yield place, place + 1, nn.Identity()
        start = place + 1
