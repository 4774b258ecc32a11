"""Runs over pictures or texts as shap's own plots of these take them: values over y and x, or one a token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.positions import Block
from whyport.batch.output.columns import SOURCE_ROW
from whyport.batch.output.tokens import TOKENS
from whyport.batch.report.gather.collect import Columns
from whyport.batch.report.shap_package import load_shap
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.runtime.bundle.inputs import ImagePreparation
from whyport.runtime.bundle.row import Source
from whyport.runtime.errors import WhyportError
from whyport.runtime.inputs.encoders import encoder_of

if TYPE_CHECKING:
    from shap import Explanation

AT_ONCE = 64
"""Pictures that are decoded in one go."""


def text_explanation(run: FinishedRun, sample: Columns, target: str) -> "Explanation":
    """The texts of the sampled rows, for `shap.plots.text`: of each row its tokens, and as many values.

    Args:
        run: a run over one text, and nothing beside it.
        sample: the rows by `source` and `row`, with their `values` [N, tokens] and `base_value` [N].
        target: the explained target.
    """
    shap = load_shap()
    name = run.columns.tokens.name(TOKENS, run.columns.tokens.inputs[0])
    wanted = {place: i for i, place in enumerate(zip(sample["source"].tolist(), sample["row"].tolist(), strict=True))}
    tokens: list[list[str]] = [[] for _ in wanted]
    for batch in run.batches([SOURCE_ROW, name]):
        for row, own in zip(batch.table[SOURCE_ROW].to_pylist(), batch.table[name].to_pylist(), strict=True):
            if (place := wanted.get((batch.index, row))) is not None:
                tokens[place] = own
    values = _ragged([row[: len(own)] for row, own in zip(sample["values"], tokens, strict=True)])
    # A blank behind each: the plot writes them one after the other.
    data = _ragged([np.array([f"{token} " for token in own], dtype=object) for own in tokens])
    made: Explanation = shap.Explanation(
        values=values, base_values=sample["base_value"], data=data, output_names=target
    )
    return made


def image_explanation(run: FinishedRun, source: Source, block: Block, sample: Columns) -> "Explanation":
    """The pictures of the sampled rows, for `shap.image_plot`: values [N, y, x, 1], and the pixels uint8 [N, H, W, C].

    The plot stretches the pixels over the values' places. Without the input, or with another one, there is no data.

    Args:
        run: a run over one image, and nothing beside it.
        source: its column.
        block: the shares' places.
        sample: the rows, as in `text_explanation`.
    """
    shap = load_shap()
    values = block.of(sample["values"]).reshape(len(sample["row"]), *block.shape[:2], -1)
    try:
        data = _pixels(run, source, sample)
    except WhyportError:
        data = None
    made: Explanation = shap.Explanation(values=values, base_values=sample["base_value"], data=data)
    return made


def _pixels(run: FinishedRun, source: Source, sample: Columns) -> NDArray[np.uint8]:
    """The pixels of the sampled rows, [N, height, width, channels]; raises WhyportError where an input has changed."""
    assert source.feeds is not None
    assert isinstance(source.feeds.prepare, ImagePreparation)
    shape = [int(length) for length in source.feeds.tensors[0].shape[1:]]
    pixels = np.zeros((len(sample["row"]), *shape), dtype=np.uint8)
    encoder = encoder_of(source)
    for index in np.unique(sample["source"]):
        inputs = RunInputs(run, [source.column.name])
        file = inputs.open(int(index))
        places = np.flatnonzero(sample["source"] == index)
        places = places[np.argsort(sample["row"][places])]
        for start in range(0, len(places), AT_ONCE):
            own = places[start : start + AT_ONCE]
            column = inputs.rows(file, sample["row"][own]).column(source.column.name)
            pixels[own] = encoder.encode(column)[0].reshape(len(own), *shape)
    return pixels


def _ragged(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Arrays of different lengths as one array of objects."""
    made = np.empty(len(rows), dtype=object)
    made[:] = rows
    return made
