"""The texts of the chosen rows, each token coloured by its share."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.positions import Block as InputBlock
from whyport.batch.report.gather.cases import RowCase, RowExplanation
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Heading, Paint, PaintedText, Section
from whyport.batch.report.sections.words import share_unit

RAISES, LOWERS = "214 39 40", "31 119 180"
"""Red and blue, as in the pictures, as red, green and blue from 0 to 255."""
PALEST, STRONGEST = 0.04, 0.68
"""The opacity of a share that is not 0, and of the largest one: a text keeps a contrast of 4.5 to 1 on it."""


def texts_section(view: View) -> Section | None:
    """The texts of the chosen rows; None for a model or a run without shares of tokens."""
    found: list[Block] = []
    for block in view.run.layout.positions.blocks:
        if block.input not in view.run.columns.tokens.inputs:
            continue
        for case in view.cases:
            tokens = case.tokens.get(block.input)
            if tokens and case.explanations:
                found.append(Heading(f"{block.input}, row {case.choice.row:,}"))
                found += [_painted(view, block, tokens, case, each) for each in case.explanations]
    if not found:
        return None
    lead = "The texts as the model read them, token by token: what raises each score is red, what lowers it blue."
    return Section("texts", "Texts", lead, tuple(found), of_rows=True)


def _painted(view: View, block: InputBlock, tokens: Sequence[str], case: RowCase, each: RowExplanation) -> PaintedText:
    shares = block.of(each.values[: block.stop])[: len(tokens)]
    unit = share_unit(view, each.method, each.target)
    title = f"What speaks for and against {each.target} in row {case.choice.row:,}, {each.method}"
    caption = f"The darkest has {np.abs(shares).max():.3g} {unit}. {_strongest(tokens, shares)}."
    if not np.isnan(each.base_value):
        against = view.run.settings.explain_settings.baseline
        caption += f" Measured against a base value of {each.base_value:.4g}"
        caption += f", of the baseline {against!r}." if against else "."
    pieces = tuple(_pieces(tokens, shares, unit))
    return PaintedText(title, caption, pieces, data=lambda: {"token": tokens, unit: shares})


def _pieces(tokens: Sequence[str], shares: NDArray[np.float64], unit: str) -> Iterator[Paint]:
    largest = np.abs(shares).max() or 1.0
    for token, share in zip(tokens, shares.tolist(), strict=True):
        opacity = PALEST + (STRONGEST - PALEST) * abs(share) / largest
        colour = f"rgb({RAISES if share > 0 else LOWERS} / {opacity:.2f})" if share else ""
        yield Paint(token, f"{share:+.3g} {unit}", colour)


def _strongest(tokens: Sequence[str], shares: NDArray[np.float64]) -> str:
    order = np.argsort(-np.abs(shares), kind="stable")[:5]
    return "Strongest: " + ", ".join(f"{tokens[k]} {shares[k]:+.3g}" for k in order)
