"""Operators that PyTorch's exporter has no ONNX for give what PyTorch gives, for any number of rows."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from support.function_network import Network
from support.oracles import sample
from whyport.exporter.graphs.onnx import export_onnx, open_onnx
from whyport.exporter.graphs.tensor_names import INPUT

ROWS = sample(7, 10, seed=1)


def grid(rows: Tensor) -> Tensor:
    return rows.reshape(-1, 2, 5)


def flat(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.flatten(1) for tensor in tensors]


def index(rows: Tensor, *positions: int) -> Tensor:
    """The same positions for every row."""
    return torch.tensor([positions]).expand(rows.shape[0], -1)


def reduced(rows: Tensor, reduce: str, include_self: bool) -> Tensor:
    return rows.scatter_reduce(1, index(rows, 3, 1, 3), rows, reduce, include_self=include_self)


BOUNDS = torch.tensor([-1.0, 0.0, 0.5])
ORDERS = (0.0, 1.0, 2.0, 3.0, torch.inf)

torch.manual_seed(0)
PROJECTING = nn.LSTM(5, 4, num_layers=2, proj_size=3, bidirectional=True, batch_first=True).requires_grad_(False)

CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "median": lambda x: torch.cat([x.median(1, keepdim=True).values, grid(x).median(2).values], 1),
    "kthvalue": lambda x: torch.cat([grid(x).kthvalue(1, 1).values, x.kthvalue(7, -1, True).values], 1),
    "place of the kthvalue": lambda x: x.kthvalue(7, 1, True).indices * 1.0,
    "cumprod": lambda x: torch.cat([x.cumprod(1), grid(x).cumprod(1).flatten(1), x[:, :1].cumprod(1)], 1),
    "cummax": lambda x: torch.cat([*x.round().cummax(1), *x[:, :1].cummax(1), *flat(grid(x).cummax(1))], 1),
    "cummin": lambda x: torch.cat([*x.round().cummin(-1), *flat(grid(x).round().cummin(2))], 1),
    "scatter": lambda x: x.scatter(1, index(x, 3, 1, 0), x * 2),
    "scatter_add": lambda x: grid(x).scatter_add(2, index(x, 1, 1, 3).unsqueeze(1), grid(x)),
    **{
        f"scatter_reduce {reduce} {of_self}": partial(reduced, reduce=reduce, include_self=of_self)
        for reduce in ("sum", "prod", "mean", "amax", "amin")
        for of_self in (True, False)
    },
    "fmax and fmin": lambda x: torch.cat([torch.fmax(x.log(), x), torch.fmin(x, x.log())], 1),
    "hypot": lambda x: torch.hypot(x[:, :5], x[:, 5:]),
    "RReLU": nn.RReLU().eval(),
    "cdist": lambda x: torch.cat([torch.cdist(grid(x), grid(x) + 1, order).flatten(1) for order in ORDERS], 1),
    "searchsorted": lambda x: torch.searchsorted(BOUNDS, x) + 2.0 * torch.searchsorted(BOUNDS, x, right=True),
    "copysign": lambda x: torch.copysign(x[:, :5], -x[:, 5:].relu()),
    "take_along_dim": lambda x: torch.take_along_dim(x, x.argsort(1)[:, :3], 1),
    "kron": lambda x: torch.kron(x, torch.arange(2.0).unsqueeze(0)),
    "LSTM with projections": lambda x: PROJECTING(grid(x))[0].flatten(1),
    "AvgPool2d with a divisor": nn.AvgPool2d((2, 3), 1, (1, 0), divisor_override=5),
    "AvgPool2d": nn.AvgPool2d(2, 1, 1, ceil_mode=True),
    "AdaptiveMaxPool1d": lambda x: nn.AdaptiveMaxPool1d(3)(x.squeeze(1)),
    "AdaptiveMaxPool2d": nn.AdaptiveMaxPool2d((2, 3)),
    "AdaptiveMaxPool3d": lambda x: F.adaptive_max_pool3d(x.reshape(-1, 1, 1, 2, 5), (1, 2, 2)).flatten(1),
}
IMAGES = {"AvgPool2d with a divisor", "AvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"}


def network(name: str) -> Network:
    body = CASES[name]
    return Network((lambda x: body(grid(x).unsqueeze(1)).flatten(1)) if name in IMAGES else body).eval()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_it_is_exported(name: str) -> None:
    model = export_onnx(network(name), {INPUT: ROWS[:5]}, ["y"], 18)
    session = open_onnx(model.SerializeToString())
    for count in (1, 7):
        (got,) = session.run(["y"], {INPUT: ROWS[:count].numpy()})
        np.testing.assert_allclose(got, network(name)(ROWS[:count]), rtol=1e-6, atol=1e-7)
