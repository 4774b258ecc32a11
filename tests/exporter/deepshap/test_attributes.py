"""Every argument of an operator that is not its default counts: in values, and in shares that add up."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from support.oracles import attribute, sample, uneven_weights
from whyport.exporter.deepshap import build_program

FEATURES = 12
Function = Callable[[Tensor], Tensor]
POSITIONS = torch.arange(FEATURES)


def signal(x: Tensor) -> Tensor:
    return x.unsqueeze(1)


def image(x: Tensor) -> Tensor:
    return x.reshape(-1, 1, 3, 4)


def weights(*shape: int) -> Tensor:
    return torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape)


class Network(nn.Module):
    """Every function's values, behind each other."""

    def forward(self, rows: Tensor) -> Tensor:
        return torch.cat([body(rows).flatten(1) for body in FUNCTIONS.values()], 1)


# One function a group of arguments; each would be another function with the defaults.
FUNCTIONS: dict[str, Function] = {
    **{
        f"softplus, {beta} and {threshold}": lambda x, b=beta, t=threshold: F.softplus(x, b, t)
        for beta, threshold in ((1, 1), (0.5, -1), (3, 0), (1, 1e-3), (-1, 0.5))
    },
    "leaky relu": lambda x: F.leaky_relu(x, -0.3),
    "elu": lambda x: torch.ops.aten.elu(x, 0.5, 1.3, 0.7),
    "celu": lambda x: F.celu(x, 2.5),
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "hardtanh": lambda x: F.hardtanh(x, -0.2, 1.7),
    "relu6": F.relu6,
    "clamp below": lambda x: x.clamp(min=0.3),
    "clamp with its ends crossed": lambda x: x.clamp(0.5, -0.5),
    "clamp to tensors, one of them": lambda x: torch.clamp(x, max=POSITIONS / 12),
    "glu over another axis": lambda x: F.glu(x.reshape(-1, 4, 3), 1),
    "softmin": lambda x: F.softmin(3 * x, 1),
    "softmax in another precision": lambda x: F.softmax(x, 1, dtype=torch.float64).float(),
    "log_softmax in another precision": lambda x: F.log_softmax(x, 1, dtype=torch.float64).float(),
    "add with a factor": lambda x: torch.add(x, x.flip(1).abs(), alpha=-1.7),
    "sub with a factor": lambda x: torch.sub(x.abs(), x.flip(1), alpha=0.4),
    "rsub with a factor": lambda x: torch.rsub(x, 2.0, alpha=3),
    "addmm with factors": lambda x: torch.addmm(weights(3), x, weights(FEATURES, 3), beta=0.3, alpha=1.7),
    "baddbmm with factors": lambda x: torch.baddbmm(
        weights(1, 2, 4).expand(x.shape[0], -1, -1),
        x.reshape(-1, 2, 6), weights(1, 6, 4).expand(x.shape[0], -1, -1), beta=0.5, alpha=2,
    ),
    "addcmul with a factor": lambda x: torch.addcmul(x, x.flip(1), x.abs(), value=-0.5),
    "addcdiv with a factor": lambda x: torch.addcdiv(x, x.flip(1), x.abs() + 1, value=2.5),
    "lerp": lambda x: torch.lerp(x, x.flip(1).abs(), 0.3),
    "sum that keeps its axis, in another precision": lambda x: image(x).sum((2, 3), True, dtype=torch.float64).float(),
    "mean that keeps its axis": lambda x: image(x).mean((-1, 1), True),
    "mean in another precision": lambda x: x.mean(1, True, dtype=torch.float64).float(),
    "cumulative sum from behind": lambda x: x.flip(1).cumsum(-1, dtype=torch.float64).float(),
    "variance over n": lambda x: image(x).var((1, 3), correction=0),
    "variance over n - 2": lambda x: x.var(1, correction=2, keepdim=True),
    "standard deviation over n": lambda x: x.std(1, correction=0, keepdim=True),
    "largest that keeps its axis": lambda x: image(x).amax((1, 3), True),
    "least that keeps its axis": lambda x: x.reshape(-1, 3, 4).min(-2, True).values,
    "logsumexp that keeps its axis": lambda x: image(x).logsumexp((1, 3), True),
    "norm of order 4": lambda x: torch.linalg.vector_norm(image(x), 4, (1, 3), True),
    "norm of order -inf": lambda x: torch.linalg.vector_norm(image(x), -torch.inf, (1, 3)),
    "normalize with a large eps": lambda x: F.normalize(0.3 * x, dim=1, eps=1.0),
    "cosine similarity with eps": lambda x: F.cosine_similarity(0.3 * x, weights(1, FEATURES), eps=3.0)[:, None],
    "pairwise distance with eps": lambda x: F.pairwise_distance(x, weights(1, FEATURES), p=3, eps=0.5, keepdim=True),
    "layer norm": lambda x: F.layer_norm(image(x), (3, 4), weights(3, 4), weights(3, 4), eps=0.7),
    "group norm": lambda x: F.group_norm(x.reshape(-1, 4, 3), 2, weights(4), weights(4), eps=0.7),
    "instance norm": lambda x: F.instance_norm(x.reshape(-1, 3, 4), weight=weights(3), bias=weights(3), eps=0.7),
    "rms norm": lambda x: F.rms_norm(x, (FEATURES,), weights(FEATURES), eps=0.7),
    "batch norm": lambda x: F.batch_norm(x, weights(FEATURES), weights(FEATURES) + 2, eps=0.7),
    "average pooling": lambda x: F.avg_pool1d(signal(x), 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "average pooling 2d": lambda x: F.avg_pool2d(image(x), 2, (2, 1), 1, ceil_mode=True, divisor_override=3),
    "max pooling": lambda x: F.max_pool1d(signal(x), 3, 2, 1, dilation=2, ceil_mode=True),
    "max pooling 2d": lambda x: F.max_pool2d(image(x), (2, 3), (1, 2), (1, 0), ceil_mode=True),
    "convolution": lambda x: F.conv1d(x.reshape(-1, 2, 6), weights(4, 1, 2), weights(4), 2, 1, 2, groups=2),
    "convolution to the same size": lambda x: F.conv1d(signal(x), weights(2, 1, 3), padding="same"),
    "convolution, transposed": lambda x: F.conv_transpose1d(
        x.reshape(-1, 2, 6), weights(2, 2, 3), weights(4), 2, 1, 1, groups=2, dilation=2
    ),
    "pad by a value": lambda x: F.pad(x, (-1, 2), value=3.0),
    "pad of a picture": lambda x: F.pad(x.reshape(x.shape[0], 1, 2, -1), (1, 0, 2, -1), value=-0.5).flatten(1),
    "pad by reflection": lambda x: F.pad(signal(x), (2, 1), mode="reflect"),
    "pad by repetition": lambda x: F.pad(signal(x), (2, 1), mode="replicate"),
    "upsample": lambda x: F.interpolate(signal(x), size=17, mode="nearest-exact"),
    "upsample linearly": lambda x: F.interpolate(signal(x), size=17, mode="linear", align_corners=True),
    "slice with a step": lambda x: x[:, 1:-2:3],
    "slice of all": lambda x: x[:, :FEATURES],
    "nan_to_num": lambda x: torch.nan_to_num(x.abs().log() * torch.inf, nan=1.5, posinf=2.0, neginf=-3.0),
    "attention": lambda x: F.scaled_dot_product_attention(
        x.reshape(-1, 1, 3, 4), x.reshape(-1, 1, 3, 4), x.reshape(-1, 1, 3, 4), weights(3, 3), scale=0.3
    ),
}  # fmt: skip


def test_values_and_sums_are_those_of_pytorch() -> None:
    network = Network()
    rows, references = 2 * sample(10, FEATURES, 1), 2 * sample(3, FEATURES, 2)
    with torch.no_grad():
        expected, of_references = network(rows), network(references)
    program = build_program(network, rows)
    values = program.activations(rows)[0]
    sums = attribute(program, rows, references, uneven_weights(3)).sum(2)
    difference = expected - uneven_weights(3) @ of_references
    sizes = [body(rows).flatten(1).shape[1] for body in FUNCTIONS.values()]
    by_function = zip(*(tensor.split(sizes, 1) for tensor in (values, expected, sums, difference)), strict=True)
    wrong = [
        name
        for name, (value, wanted, total, change) in zip(FUNCTIONS, by_function, strict=True)
        if not torch.allclose(value, wanted, rtol=1e-4, atol=1e-5)
        or not torch.allclose(total, change, rtol=1e-4, atol=1e-4)
    ]
    assert wrong == []
