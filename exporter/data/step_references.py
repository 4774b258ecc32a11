"""References of sequences: rows of the sample, or steps that are all the same."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.data.input_choice import SEQUENCE, InputChoice
from whyport.runtime.bundle.columns import LIST
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.row import row_shape, row_size, varies

ROWS, MEAN, ZERO = "rows", "mean", "zero"
KINDS = (ROWS, MEAN, ZERO)
"""What a sequence's references are made of, the default first."""

IN_WORDS = {
    ROWS: "rows, cut or repeated to the steps of the row",
    MEAN: "steps of every feature's mean",
    ZERO: "steps of zeros",
}


def reference_kinds(choices: Sequence[InputChoice]) -> dict[str, str]:
    """What the references of each input are made of, by name; UsageError where a choice is unknown."""
    return {each.name: each.one_of("references", KINDS) for each in choices if each.kind == SEQUENCE}


def with_constant_steps(references: References, inputs: Sequence[Input], kinds: Mapping[str, str]) -> References:
    """The references with constant steps where these are asked for; of equal rows one is left."""
    rows = references.rows.copy()
    start = 0
    for each in inputs:
        if kinds.get(each.name, ROWS) != ROWS:
            steps, width = row_shape(each)
            means = _means(each, width) if kinds[each.name] == MEAN else np.zeros(width)
            rows[:, start : start + steps * width] = np.tile(means, steps)
        start += row_size(each)
    if len(rows) and (rows == rows[0]).all():
        return References(rows[:1], np.ones(1))
    return References(rows, references.weights)


def method_in_words(inputs: Sequence[Input], kinds: Mapping[str, str]) -> str | None:
    """How the references of sequences came about, where there is more to say than that they are rows."""
    told = {
        each.name: IN_WORDS[kinds.get(each.name, ROWS)]
        for each in inputs
        if varies(each) or kinds.get(each.name, ROWS) != ROWS
    }
    return "; ".join(f"{name}: {words}" for name, words in told.items()) or None


def _means(each: Input, width: int) -> NDArray[np.float64]:
    """The mean of each feature of a step; of wide columns, over its columns."""
    means = [
        [channel.numbers.mean for channel in column.channels] or [column.statistics.mean] for column in each.columns
    ]
    flat = np.concatenate([np.array(own) for own in means])
    if any(column.kind == LIST for column in each.columns):
        return flat
    by_feature: NDArray[np.float64] = flat.reshape(-1, width).mean(axis=0)
    return by_feature
