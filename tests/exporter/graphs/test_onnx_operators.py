"""Operators that PyTorch's exporter has no ONNX for give what PyTorch gives, for any number of rows."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from support.function_network import Network
from support.oracles import sample
from whyport.exporter.graphs.onnx import export_onnx, open_onnx
from whyport.exporter.graphs.tensor_names import INPUT

ROWS = sample(7, 10, seed=1)


def grid(rows: Tensor) -> Tensor:
    return rows.reshape(-1, 2, 5)


CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "median": lambda x: torch.cat([x.median(1, keepdim=True).values, grid(x).median(2).values], 1),
    "kthvalue": lambda x: torch.cat([grid(x).kthvalue(1, 1).values, x.kthvalue(7, -1, True).values], 1),
    "place of the kthvalue": lambda x: x.kthvalue(7, 1, True).indices * 1.0,
    "cumprod": lambda x: torch.cat([x.cumprod(1), grid(x).cumprod(1).flatten(1), x[:, :1].cumprod(1)], 1),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_exported(name: str) -> None:
    model = export_onnx(Network(CASES[name]).eval(), {INPUT: ROWS[:5]}, ["y"], 18)
    session = open_onnx(model.SerializeToString())
    for count in (1, 7):
        (got,) = session.run(["y"], {INPUT: ROWS[:count].numpy()})
        np.testing.assert_allclose(got, CASES[name](ROWS[:count]), rtol=1e-6, atol=1e-7)
