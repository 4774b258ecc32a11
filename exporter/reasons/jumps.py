"""Features that move the score by jumps alone, which no gradient sees."""

import numpy as np
import torch
from numpy.typing import NDArray

from whyport.exporter.deepshap.program import Program
from whyport.exporter.deepshap.rules.rule import Pair
from whyport.exporter.reasons.passes import attributions, checked_sample


def jumping_features(program: Program, rows: NDArray[np.float32]) -> list[int]:
    """The features that have shares between these rows, and in all of them the derivative 0.

    Args:
        program: DeepSHAP's, whose multipliers are derivatives where row and reference are the same tensor.
        rows: finite rows [N, F]; of long ones a few are compared, in some of many classes.
    """
    with torch.no_grad():
        given = torch.from_numpy(rows).to(program.identity.dtype)
        count, classes = checked_sample(program.activations(given[:1]))
        given = given[:count]
        weights = given.new_full((len(given),), 1 / len(given))
        values = program.activations(given)

        def at_itself(position: int) -> Pair:
            value = values[position].unsqueeze(1)
            return Pair(value, value)

        slopes = program.of_columns(program.multipliers(program.identity[classes], at_itself))
        shares = attributions(program, values, values, weights, classes)
    flat = (slopes == 0).flatten(0, -2).all(0)
    moves = (shares != 0).flatten(0, -2).any(0)
    return torch.nonzero(flat & moves).flatten().tolist()
