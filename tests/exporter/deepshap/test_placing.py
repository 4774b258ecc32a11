"""What is written into other values: sums of what is added, and refusals where the row says where."""

import pytest
import torch
from torch import Tensor, nn

from support.oracles import attribute, sample
from whyport.exporter.deepshap import build_program
from whyport.runtime.errors import UnsupportedOperatorError


class Overwritten(nn.Module):
    """Two features are lost, one is there twice, and a constant is written."""

    def forward(self, rows: Tensor) -> Tensor:
        copy = rows.clone()
        copy[:, 1:3] = 5 * rows[:, :1]
        copy[:, 0] = 7
        return copy


class Scattered(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return torch.zeros_like(rows).scatter(1, rows.argsort(1), rows)


class Averaged(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        index = torch.tensor([0, 0, 1, 1]).expand(rows.shape[0], -1)
        return rows.scatter_reduce(1, index, rows, "mean")


def test_what_is_overwritten_has_no_share() -> None:
    rows, references = sample(5, 4, 1), sample(1, 4, 2)
    got = attribute(build_program(Overwritten(), rows), rows, references, torch.ones(1))
    weights = torch.tensor([[0.0, 0, 0, 0], [5, 0, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]])
    torch.testing.assert_close(got, weights * (rows - references)[:, None])


def test_positions_that_depend_on_the_row_are_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"aten\.sort\.default"):
        build_program(Scattered(), sample(5, 4, 1))


def test_other_reductions_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"two with the reduction 'mean', in the network"):
        build_program(Averaged(), sample(5, 4, 1))
