"""Networks of the sweep: activations."""

from torch import nn

from support.sweep.network import Case, layer

CASES = {
    "nn.ReLU": layer(nn.ReLU),
    "nn.LeakyReLU": layer(nn.LeakyReLU),
    "nn.ReLU6": layer(nn.ReLU6),
    "nn.ELU": layer(nn.ELU),
    "nn.SELU": layer(nn.SELU),
    "nn.CELU": layer(nn.CELU),
    "nn.GELU": layer(nn.GELU),
    "nn.SiLU": layer(nn.SiLU),
    "nn.Mish": layer(nn.Mish),
    "nn.Sigmoid": layer(nn.Sigmoid),
    "nn.Tanh": layer(nn.Tanh),
    "nn.Softplus": layer(nn.Softplus),
    "nn.Softsign": layer(nn.Softsign),
    "nn.LogSigmoid": layer(nn.LogSigmoid),
    "nn.Hardtanh": layer(nn.Hardtanh),
    "nn.Hardswish": layer(nn.Hardswish),
    "nn.Hardsigmoid": layer(nn.Hardsigmoid),
    "nn.Hardshrink": layer(nn.Hardshrink),
    "nn.Softshrink": layer(nn.Softshrink),
    "nn.Tanhshrink": layer(nn.Tanhshrink),
    "nn.PReLU": layer(nn.PReLU),
    "nn.RReLU": layer(nn.RReLU),
    "nn.GELU(tanh)": layer(lambda: nn.GELU("tanh")),
    "nn.Threshold": layer(lambda: nn.Threshold(0.1, -1.0)),
    "nn.Softplus(beta=3,thr=1)": layer(lambda: nn.Softplus(3, 1)),
    "nn.ReLU(inplace)": Case(
        lambda net, x: net.layer(net.linear(x)), parts=lambda: {"layer": nn.ReLU(True), "linear": nn.Linear(8, 8)}
    ),
    "nn.GLU": layer(lambda: nn.GLU(1)),
    "nn.Softmax": layer(lambda: nn.Softmax(1)),
    "nn.Softmin": layer(lambda: nn.Softmin(1)),
    "nn.LogSoftmax": layer(lambda: nn.LogSoftmax(1)),
    "nn.Softmax2d": layer(nn.Softmax2d, (2, 2, 2)),
}
