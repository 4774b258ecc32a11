"""Features of sequences that a user should look at again: constants, and those that give the target away."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.suspects import CONSTANT, LEAK, Suspect, find_leaks
from whyport.runtime.bundle.inputs import Input, SequencePreparation
from whyport.runtime.bundle.row import row_shape, row_size, varies

SCREENED = 2_000
"""The most rows that a feature's most telling step is chosen by."""
BINS = 20


def find_sequence_suspects(
    inputs: Sequence[Input], rows: NDArray[np.float32], labels: NDArray[Any], seed: int
) -> tuple[Suspect, ...]:
    """The features of sequences that look like a mistake, each with the first reason that holds.

    A leak is looked for in the mean over the steps, and in the step that tells most of the target.

    Args:
        inputs: the inputs of a model.
        rows: their training rows [N, F], one input after the other.
        labels: as `find_suspects` takes them, and so `seed`.
    """
    found: list[Suspect] = []
    start = 0
    for each in inputs:
        shape = row_shape(each)
        if isinstance(each.prepare, SequencePreparation):
            values = rows[:, start : start + prod(shape)].reshape(-1, *shape)
            if varies(each):  # the number of a row's own steps follows its cells
                steps = rows[:, start + prod(shape)]
                values = np.where((np.arange(shape[0]) < steps[:, None])[..., None], values, np.float32("nan"))
            found += _of_sequence(each, values, labels, seed)
        start += row_size(each)
    return tuple(found)


def _of_sequence(each: Input, values: NDArray[np.float32], labels: NDArray[Any], seed: int) -> Iterator[Suspect]:
    places = each.axes[1].labels or ()
    screened = np.sort(np.random.default_rng(seed).permutation(len(values))[:SCREENED])
    steps = {
        k: int(np.argmax([_tells(cells, labels[screened]) for cells in values[screened, :, k].T]))
        for k in range(values.shape[2])
    }
    told = {f"{k} in step {step}": values[:, step, k] for k, step in steps.items()}
    told |= {f"{k} in the mean of its steps": np.nanmean(values[..., k], 1) for k in steps}
    leaks = find_leaks(pd.DataFrame(told), list(told), labels, seed)
    for k, label in enumerate(places):
        feature = f"feature {label!r} of the input {each.name!r}"
        if np.nanmin(values[..., k]) == np.nanmax(values[..., k]):
            text = f"{feature} has one value in every step of all training rows: the model can learn nothing from it"
            yield Suspect(f"{each.name}.{label}", CONSTANT, text)
            continue
        for name, share in leaks.items():
            number, _, where = name.partition(" ")
            if number == str(k):
                text = f"{feature} alone predicts the target almost perfectly, {where} ({share}): is it known only "
                yield Suspect(f"{each.name}.{label}", LEAK, f"{text}afterwards?")
                break


def _tells(cells: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """How far the outcomes of rows in the same bin of a value are alike, from 0 to 1; NaN is in the last bin."""
    present = cells[~np.isnan(cells)]
    edges = np.unique(np.quantile(present, np.arange(1, BINS) / BINS)) if len(present) else present
    bins = np.searchsorted(edges, cells)
    counts = np.maximum(np.bincount(bins, minlength=BINS), 1)
    if labels.ndim == 1:
        classes = int(labels.max()) + 1
        table = np.bincount(bins * classes + labels, minlength=BINS * classes).reshape(BINS, classes)
        return float((table**2 / counts[:, None]).sum() / len(cells))
    ranks = labels.argsort(0).argsort(0) / len(cells) - 0.5
    means = [np.bincount(bins, weights=own, minlength=BINS) for own in ranks.T]
    return float(max((mean**2 / counts).sum() for mean in means) * 12 / len(cells))
