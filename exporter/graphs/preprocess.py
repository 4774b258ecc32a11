"""Imputation and standardisation as modules, so that they are inside the exported graphs."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn

from whyport.exporter.graphs.categories import EncodeCategories
from whyport.runtime.bundle.columns import IMAGE, IMPUTE, LENGTH, TOKEN, Column

KEPT = (LENGTH, IMAGE, TOKEN)
"""The kinds of feature that stay as they are."""


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


class InRuns(nn.Module):
    """Changes the numbers of a row run by run: what is no number of the user's stays as it is.

    Args:
        runs: the runs, each [start, end) with its module; they cover the row.
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

    Numbers of steps stay as they are, and so do pixels: what they become is the image's own.

    Args:
        features: the F columns of a row.
        standardise: whether numbers are standardised.
        encoding: what gives a row's cells; None where they are the row itself.

    Returns:
        A module from cells [N, P] to as many.
    """
    if all(feature.kind in KEPT for feature in features):
        return nn.Sequential()
    if any(feature.kind in KEPT for feature in features):
        return nn.Sequential(InRuns(list(_runs(features, standardise=standardise))))
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


def _runs(features: Sequence[Column], *, standardise: bool) -> Iterator[tuple[int, int, nn.Module]]:
    """The runs of features that stay as they are, and of others, each with its module."""
    start = 0
    for is_kept, group in groupby(features, lambda feature: feature.kind in KEPT):
        own = list(group)
        end = start + len(own)
        yield start, end, nn.Identity() if is_kept else build_preprocessing(own, standardise=standardise)
        start = end
