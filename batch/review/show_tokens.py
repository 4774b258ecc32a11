"""A row's texts in one line each: every token, the strongest with their shares, red for and blue against."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.positions import Positions
from whyport.batch.output.tokens import TOKENS, TokenColumns
from whyport.runtime.terminal import Painted

FOR, AGAINST = "red", "blue"
"""The colours of what raises and what lowers a score, as in the pictures."""


def token_names(columns: TokenColumns, values: dict[str, Any]) -> dict[str, str]:
    """The token that each share of a row's texts is of, by the share's name.

    Args:
        columns: the columns of the run's tokens.
        values: the row's output.
    """
    tokens = {each: values[columns.name(TOKENS, each)] or () for each in columns.inputs}
    return {f"{each}[{i}]": repr(token) for each, own in tokens.items() for i, token in enumerate(own)}


def token_lines(
    positions: Positions, columns: TokenColumns, values: dict[str, Any], shares: NDArray[np.float64], top: int
) -> Iterator[str]:
    """A line for each text.

    Args:
        positions: the positions of the shares.
        columns: the columns of the run's tokens.
        values: the row's output.
        shares: all shares of the row, [G].
        top: how many shares to write as numbers.
    """
    for block in positions.blocks:
        if block.input in columns.inputs:
            tokens = values[columns.name(TOKENS, block.input)]
            own = block.of(shares)[: len(tokens)]
            yield Painted([(f"  {block.input}:", None), *_painted(tokens, own, top)])


def _painted(tokens: Sequence[str], shares: NDArray[np.float64], top: int) -> Iterator[tuple[str, str | None]]:
    strongest = set(np.argsort(-np.abs(shares), kind="stable")[:top].tolist())
    for i, (token, share) in enumerate(zip(tokens, shares.tolist(), strict=True)):
        is_strong = i in strongest and share != 0
        colour = (FOR if share > 0 else AGAINST) if is_strong else None
        yield f" {token}({share:+.2g})" if is_strong else f" {token}", colour
