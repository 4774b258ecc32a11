"""Networks of the sweep: products."""

import torch
from torch import nn

from support.sweep.network import Case

CASES = {
    "nn.Bilinear": Case(
        lambda net, x: net.layer(x[:, :4], x[:, 4:]),
        parts=lambda: {"layer": nn.Bilinear(4, 4, 3)},
    ),
    "einsum bi,bj": Case(lambda x: torch.einsum("bi,bj->bij", x[:, :4], x[:, 4:])),
    "einsum const": Case(
        lambda net, x: torch.einsum("bi,ijk->bjk", x, net.w), parts=lambda: {"w": nn.Parameter(torch.randn(8, 2, 3))}
    ),
    "outer": Case(lambda x: x.unsqueeze(2) * x.unsqueeze(1)),
    "matmul x x^T": Case(lambda x: x.matmul(x.transpose(1, 2)), shape=(2, 4)),
    "bmm": Case(lambda x: torch.bmm(x, x.transpose(1, 2)), shape=(2, 4)),
    "tensordot": Case(
        lambda net, x: torch.tensordot(x, net.w, dims=1), parts=lambda: {"w": nn.Parameter(torch.randn(8, 3))}
    ),
    "linalg.inv": Case(
        lambda x: torch.linalg.inv(x @ x.transpose(1, 2) + torch.eye(2, dtype=x.dtype)),
        shape=(2, 4),
        refusal="aten.linalg_inv_ex.default",
    ),
    "linalg.det": Case(
        lambda x: torch.linalg.det(x @ x.transpose(1, 2) + torch.eye(2, dtype=x.dtype))[:, None],
        shape=(2, 4),
        refusal="aten._linalg_det.default",
    ),
    "fft.rfft abs": Case(lambda x: torch.fft.rfft(x).abs(), refusal="aten._fft_r2c.default"),
    "kron": Case(lambda net, x: torch.kron(x, net.k), parts=lambda: {"k": nn.Parameter(torch.randn(1, 2))}),
    "cross": Case(lambda x: torch.cross(x[:, :3], x[:, 3:6], dim=1)),
    "FM interaction": Case(
        lambda net, x: 0.5 * ((x @ net.v) ** 2 - x**2 @ net.v**2), parts=lambda: {"v": nn.Parameter(torch.randn(8, 3))}
    ),
}
