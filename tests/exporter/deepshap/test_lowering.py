"""What no rule can explain is refused by name, with the true reason, whatever operator it comes by."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from support.function_network import Network
from support.oracles import attribute, sample
from whyport.exporter.deepshap import build_program
from whyport.runtime.errors import ExportError, UnsupportedOperatorError

INDEX = "operator aten.max.dim where more than its values is used"
ROUNDING = "whose rounding would be nobody's share"
INFINITE = "on a value that can be infinite where the row is finite"

REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "index as a number": (lambda x: x.max(1, keepdim=True).indices.to(x.dtype), INDEX),
    "index beside its value": (lambda x: (m := x.max(1, keepdim=True)).values * m.indices, INDEX),
    "index to pick": (lambda x: x[torch.arange(x.shape[0]), x.max(1).indices][:, None], INDEX),
    "index to gather what it is no index of": (lambda x: x.exp().gather(1, x.max(1, keepdim=True).indices), INDEX),
    "index to gather along another axis": (
        lambda x: (y := x.reshape(-1, 2, 2)).gather(1, y.sort(2).indices).flatten(1),
        r"aten\.sort\.default where more than",
    ),
    "ranks": (lambda x: x.argsort(1).argsort(1).to(x.dtype), r"aten\.sort\.default where more than"),
    "values at their places": (
        lambda x: torch.zeros_like(x).scatter(1, x.topk(2, 1).indices, x.topk(2, 1).values),
        r"aten\.topk\.default where more than",
    ),
    "index of a minimum": (lambda x: x.min(1, keepdim=True).indices.to(x.dtype), r"aten\.min\.dim where more than"),
    "position of a maximum": (lambda x: x.argmax(1, keepdim=True).to(x.dtype), r"operator aten\.argmax"),
    "positions of pooled maxima": (
        lambda x: F.max_unpool1d(*F.max_pool1d(x[:, None], 2, return_indices=True), 2)[:, 0],
        "max_pool2d_with_indices.default where more than",
    ),
    "bytes": (lambda x: x.to(torch.uint8).to(x.dtype), "a result in uint8, in"),
    "a sum in whole numbers": (lambda x: x.sum(1, keepdim=True, dtype=torch.int64) * 1.0, "a result in int64, in"),
    "half": (lambda x: (x.half() * 1.3).float(), f"a result in float16, {ROUNDING}"),
    "bfloat16": (lambda x: (x.bfloat16() * 1.3).float(), f"a result in bfloat16, {ROUNDING}"),
    "a sum in half": (lambda x: x.sum(1, keepdim=True, dtype=torch.float16).float(), ROUNDING),
    "nan_to_num of a quotient": (lambda x: torch.nan_to_num(x[:, :2] / x[:, 2:]), INFINITE),
    "nan_to_num of a product": (lambda x: torch.nan_to_num(x.exp() * x), INFINITE),
    "nan_to_num of a sum of logarithms": (lambda x: torch.nan_to_num(x.log().sum(1, keepdim=True)), INFINITE),
    "isnan of a root": (lambda x: torch.where(torch.isnan(x.sqrt()), 0.0, x), INFINITE),
    "isfinite of an inverse": (lambda x: torch.where(torch.isfinite(1 / x), x, 0.0), "with an infinite bound"),
    "isinf of an inverse": (lambda x: torch.where(torch.isinf(1 / x), 0.0, x), INFINITE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_name(name: str) -> None:
    body, reason = REFUSED[name]
    with pytest.raises(UnsupportedOperatorError, match=reason):
        build_program(Network(body), sample(5, 4, 1).abs())


FINITE: dict[str, Callable[[Tensor], Tensor]] = {
    "the row": torch.nan_to_num,
    "the standardised row": lambda x: torch.nan_to_num((x - 1) / 3),
    "an imputed row": lambda x: torch.nan_to_num(torch.where(torch.isnan(x), 1.0, x)[:, [1, 0, 3, 2]]),
    "a finite row": lambda x: x * torch.isfinite(x),
    "an imputed infinity": lambda x: torch.where(torch.isinf(2 * x), 1.0, x),
}


@pytest.mark.parametrize("name", FINITE)
def test_what_is_finite_with_the_row_passes(name: str) -> None:
    rows, references = sample(5, 4, 1), sample(1, 4, 2)
    got = attribute(build_program(Network(FINITE[name]), rows), rows, references, torch.ones(1))
    torch.testing.assert_close(got.sum(2), FINITE[name](rows) - FINITE[name](references))


@pytest.mark.parametrize("shape", [(5,), (5, 4, 3), (5, 1, 4, 3)])
def test_rows_that_are_no_table_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ExportError, match=r"expected shape \[N, F\], got \[5"):
        build_program(nn.Flatten(), torch.zeros(shape))
