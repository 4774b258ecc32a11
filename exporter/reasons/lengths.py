"""References with the lengths of the rows that are explained."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from whyport.runtime.bundle.lengths import Length


class OfLength(nn.Module):
    """Cuts references to the lengths of a call's rows, which all have the same.

    Args:
        lengths: the inputs of varying length.
        features: the number of the row's features.
    """

    def __init__(self, lengths: Sequence[Length], features: int) -> None:
        super().__init__()
        self.places = [each.place for each in lengths]
        for i, each in enumerate(lengths):
            step = torch.full((features,), -1.0)
            step[each.cells] = torch.arange(each.steps, dtype=step.dtype).repeat_interleave(each.width)
            self.register_buffer(f"step_{i}", step)
            self.register_buffer(f"is_length_{i}", torch.arange(features) == each.place)

    def forward(self, references: Tensor, rows: Tensor) -> Tensor:
        """References [R, F] of the longest rows, with the lengths of the first of the rows [N, F]."""
        for i, place in enumerate(self.places):
            length = rows[:1, place : place + 1]
            references = torch.where(self.get_buffer(f"step_{i}") < length, references, 0.0)
            references = torch.where(self.get_buffer(f"is_length_{i}"), length, references)
        return references
