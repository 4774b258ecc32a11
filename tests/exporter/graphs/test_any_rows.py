"""Functions written for any number of rows give what PyTorch's give."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from support.oracles import sample
from whyport.exporter.graphs.any_rows import AnyRows

X = sample(3, 8, seed=1).reshape(3, 4, 2)

CASES: dict[str, Callable[[], Tensor]] = {
    "kron": lambda: torch.kron(X, X[:2, :1]),
    "kron of fewer axes": lambda: X.kron(X[0]) + torch.kron(input=X[0], other=X),
    "along an axis": lambda: torch.take_along_dim(X, X.argsort(1)[:, :2], 1),
    "along the last, of broadcast positions": lambda: X.take_along_dim(torch.tensor([[[1]], [[0]], [[-1]]]), dim=-1),
    "of a broadcast tensor": lambda: torch.take_along_dim(X[:1], torch.tensor([[[3, 1]], [[0, 2]]]), 1),
    "of all": lambda: torch.take_along_dim(X, torch.tensor([[5, 1], [0, 2]])),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_pytorchs(name: str) -> None:
    expected = CASES[name]()
    with AnyRows():
        torch.testing.assert_close(CASES[name](), expected)
