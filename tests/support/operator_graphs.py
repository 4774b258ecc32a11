"""Small networks on 12 features, which between them use every operator that has a rule."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whyport.exporter.deepshap.row_graph import RowGraph, export_row

FEATURES = 12

Function = Callable[[Tensor], Tensor]


class Headed(nn.Module):
    """A body with a linear head of two classes."""

    def __init__(self, body: Function) -> None:
        super().__init__()
        self.body = body
        with torch.no_grad():
            width = self._flat(torch.zeros(2, FEATURES)).shape[1]
        self.head = nn.Linear(width, 2)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self._flat(rows))

    def _flat(self, rows: Tensor) -> Tensor:
        return self.body(rows).flatten(1)


class Everything(nn.Module):
    """What a recurrent layer gives: the sequence and all last states."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, rows: Tensor) -> Tensor:
        steps = rows.reshape(-1, 3, 4)
        sequence, last = self.layer(steps if self.layer.batch_first else steps.transpose(0, 1))
        states = last if isinstance(last, tuple) else (last,)
        sequence = sequence if self.layer.batch_first else sequence.transpose(0, 1)
        return torch.cat([sequence.flatten(1), *(state.transpose(0, 1).flatten(1) for state in states)], 1)


def tokens(rows: Tensor) -> Tensor:
    return rows.reshape(-1, 3, 4)


def image(rows: Tensor) -> Tensor:
    return rows.reshape(-1, 1, 3, 4)


def signal(rows: Tensor) -> Tensor:
    return rows.unsqueeze(1)


def positive(rows: Tensor) -> Tensor:
    return rows * rows + 0.1


def written(write: Callable[[Tensor, Tensor], object]) -> Function:
    """What `write` makes of a copy, its first argument."""

    def function(rows: Tensor) -> Tensor:
        copy = rows.clone()
        write(copy, rows)
        return copy

    return function


def beside(rows: Tensor, *values: Tensor) -> Tensor:
    """Values without a derivative, beside the rows, which have one."""
    return torch.cat([rows, *(value.flatten(1).to(rows.dtype) for value in values)], 1)


POSITIONS = torch.arange(FEATURES)
GROUPS = POSITIONS % 3
BOUNDS = torch.linspace(-1, 1, 4)
GRID = torch.tensor([[[[-0.9, -0.4], [0.1, 0.6], [0.8, 0.2]]]])
TABLE = torch.arange(15.0).reshape(5, 3).sin()

FUNCTIONS: dict[str, Function] = {
    "abs": torch.abs,
    "adaptive average pooling 1d": lambda x: F.adaptive_avg_pool1d(signal(x), 5),
    "adaptive average pooling 2d": lambda x: F.adaptive_avg_pool2d(image(x), (2, 3)),
    "adaptive average pooling 3d": lambda x: F.adaptive_avg_pool3d(x.reshape(-1, 1, 2, 2, 3), (1, 2, 2)),
    "adaptive max pooling 1d": lambda x: F.adaptive_max_pool1d(signal(x), 5),
    "adaptive max pooling 2d": lambda x: F.adaptive_max_pool2d(image(x), (2, 3)),
    "adaptive max pooling 3d": lambda x: F.adaptive_max_pool3d(x.reshape(-1, 1, 2, 2, 3), (1, 2, 2)),
    "amax": lambda x: tokens(x).amax((1, 2)).unsqueeze(1),
    "amin": lambda x: tokens(x).amin(1),
    "as_strided": lambda x: x.unfold(1, 3, 2),
    "as_strided, by itself": lambda x: x.as_strided((x.shape[0], 3, 4), (FEATURES, 3, 1)),
    "assignment": written(lambda copy, x: copy[:, 2:4].copy_(2 * x[:, 5:7])),
    "assignment where a mask holds": written(lambda copy, x: copy.__setitem__(x > 0.3, 2.0)),
    "assignment of a constant": written(lambda copy, _: copy[:, 3].fill_(7.0)),
    "assignment to constants": lambda x: torch.zeros(x.shape[0], 3, 4).select_scatter(x[:, 3:7], 1, 1),
    "angle": lambda x: torch.atan2(x, x.roll(1, 1)),
    "arc cosine": lambda x: torch.acos(0.9 * torch.tanh(x)),
    "arc sine": lambda x: torch.asin(0.9 * torch.tanh(x)),
    "arc tangent": torch.atan,
    "average pooling 1d": lambda x: F.avg_pool1d(signal(x), 3, 2, 1),
    "average pooling 2d": lambda x: F.avg_pool2d(image(x), 2, 1, count_include_pad=False),
    "average pooling 3d": lambda x: F.avg_pool3d(x.reshape(-1, 1, 2, 2, 3), 2, 1),
    "bag of embeddings": lambda x: beside(x, F.embedding_bag((2 + 2 * x.tanh()).long(), TABLE)),
    "bilinear": lambda x: F.bilinear(x[:, :3], x[:, 3:8], TABLE.T.reshape(1, 3, 5), torch.ones(1)),
    "batch product": lambda x: x[:, :3, None] @ x[:, None, 3:6],
    "any and all": lambda x: beside(
        x,
        (tokens(x) > 0).any(2),
        (tokens(x) > -1).all(2),
        (tokens(x) > 1).any(dim=(1, 2))[:, None],
        (tokens(x) > -2).all(dim=(1, 2))[:, None],
    ),
    "cast": lambda x: x.double().float(),
    "ceil and floor": lambda x: x.ceil() + 3 * x.floor(),
    "choice of the first half": lambda x: torch.where(x[:, :1] > 0, x[:, 1:4], x[:, 4:5]),
    "choice of a shared feature": lambda x: torch.where(x > 0, x * x, x.sin()),
    "choice with a constant": lambda x: torch.where(x >= 0.1, POSITIONS, x),
    "comparison with a truth": lambda x: beside(x, (x > 0) == (x < 1), (x > 0).logical_not(), x.round().logical_not()),
    "comparisons of two": lambda x: beside(
        x, x[:, :6] > x[:, 6:], x[:, :6] <= x[:, 6:], x < x.roll(1, 1), x[:, :6] >= x[:, 6:]
    ),
    "comparisons with constants": lambda x: beside(
        x, x < POSITIONS / 8, (x[:, None] <= POSITIONS / -8).sum(1), x <= 0.3, x > POSITIONS / 9, x[:, :6] >= 0.2
    ),
    "equality": lambda x: beside(
        x, x.round() == 1, x.trunc() != 0, x.round() == POSITIONS / 6, x.round() != POSITIONS / 6
    ),
    "equality of two": lambda x: beside(x, x.round() == x.roll(1, 1).round(), x.trunc() != x.roll(2, 1).trunc()),
    "causal attention": lambda x: F.scaled_dot_product_attention(*[tokens(x).unsqueeze(1)] * 3, is_causal=True),
    "circular padding": lambda x: F.pad(image(x), (1, 2, 1, 0), mode="circular"),
    "celu": lambda x: F.celu(x, 0.7),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "clamp above": lambda x: x.clamp(max=0.1),
    "clamp below": lambda x: x.clamp(min=0.1),
    "clamp to tensors": lambda x: x.clamp(POSITIONS / -8, POSITIONS / 8),
    "concatenation": lambda x: torch.cat([x[:, 6:], x[:, :2], torch.ones(x.shape[0], 1)], 1),
    "convolution 1d": lambda x: F.conv1d(signal(x), torch.arange(4.0).reshape(2, 1, 2), stride=3, padding=1),
    "convolution 2d": lambda x: F.conv2d(image(x), torch.arange(8.0).reshape(2, 1, 2, 2), dilation=2, padding=1),
    "convolution, grouped": lambda x: F.conv1d(tokens(x), torch.arange(6.0).reshape(3, 1, 2), groups=3),
    "convolution, transposed": lambda x: F.conv_transpose1d(signal(x), torch.arange(6.0).reshape(1, 2, 3), stride=2),
    "convolution, transposed, with output padding": lambda x: F.conv_transpose1d(
        signal(x), torch.arange(6.0).reshape(1, 2, 3), output_padding=1, dilation=2
    ),
    "cosine": torch.cos,
    "counts of boundaries": lambda x: beside(
        x, torch.bucketize(x, torch.linspace(-1, 1, 4)), torch.bucketize(x, torch.arange(3.0), right=True)
    ),
    "counts of bounds of each feature": lambda x: beside(
        x, torch.searchsorted(BOUNDS, x), torch.searchsorted(BOUNDS.repeat(*x.shape, 1), x.unsqueeze(2), right=True)
    ),
    "copy of a sign": lambda x: torch.copysign(x[:, :6], x[:, 6:]),
    "cumulative sum": lambda x: x.cumsum(1),
    "cumulative maximum": lambda x: tokens(x).cummax(2).values,
    "cumulative minimum": lambda x: tokens(x).cummin(1).values,
    "cumulative product": lambda x: tokens(x).cumprod(1),
    "cumulative sum of steps": lambda x: tokens(x).cumsum(1),
    "diagonal": lambda x: tokens(x).diagonal(1, 1, 2),
    "diagonal, written": lambda x: tokens(x).diagonal_scatter(2 * x[:, :3], 0, 1, 2),
    "distances": lambda x: torch.cdist(tokens(x), x[:, :8].reshape(-1, 2, 4)),
    "division, rounded": lambda x: (
        torch.div(x, 0.7, rounding_mode="floor") + torch.div(x, x.roll(1, 1).abs() + 1, rounding_mode="trunc")
    ),
    "division": lambda x: x / (1 + x.roll(1, 1).abs()),
    "elu": lambda x: F.elu(x, 0.7),
    "embedding": lambda x: torch.cat([F.embedding((2 + 2 * x[:, :2].tanh()).long(), TABLE).flatten(1), x[:, 2:]], 1),
    "erf": torch.erf,
    "erfc": torch.erfc,
    "exp": torch.exp,
    "expand": lambda x: x.unsqueeze(1).expand(-1, 3, -1) * torch.arange(3.0)[:, None],
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "flip": lambda x: x.flip(1),
    "fold": lambda x: F.fold(x.reshape(-1, 4, 3), (2, 4), 2),
    "gather": lambda x: x.gather(1, torch.tensor([[3, 1, 1]]).expand(x.shape[0], -1)),
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "glu": lambda x: F.glu(x, 1),
    "gathered by their order": lambda x: x.gather(1, x.argsort(1, descending=True)) * POSITIONS,
    "gathered where they are largest": lambda x: (t := tokens(x)).gather(2, t.max(2, keepdim=True).indices),
    "grid sampling": lambda x: F.grid_sample(image(x), GRID.expand(x.shape[0], -1, -1, -1), align_corners=False),
    "grid sampling 3d": lambda x: F.grid_sample(
        x.reshape(-1, 1, 2, 2, 3),
        F.pad(GRID, (0, 1)).unsqueeze(1).expand(x.shape[0], -1, -1, -1, -1),
        align_corners=True,
    ),
    "hardshrink": F.hardshrink,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hyperbolic cosine": torch.cosh,
    "hyperbolic sine": torch.sinh,
    "hypotenuse": lambda x: torch.hypot(x, x[:, :1]),
    "hardtanh": F.hardtanh,
    "imputation": lambda x: torch.where(torch.isnan(x), torch.ones(FEATURES), x),
    "inverse hyperbolic cosine": lambda x: torch.acosh(positive(x) + 1),
    "inverse hyperbolic sine": torch.asinh,
    "inverse hyperbolic tangent": lambda x: torch.atanh(0.9 * torch.tanh(x)),
    "index": lambda x: x[:, [1, 1, 3]],
    "index_select": lambda x: x.index_select(1, torch.tensor([5, 0, 5])),
    "index_add": lambda x: x.index_add(1, torch.tensor([0, 0, 2]), x[:, :3].exp(), alpha=2.0),
    "index_add of a constant": lambda x: x.index_add(1, torch.tensor([0, 0, 2]), torch.ones(x.shape[0], 3)),
    "index_copy": lambda x: x.index_copy(1, torch.tensor([0, 5]), 2 * x[:, 2:4]),
    "leaky relu by hand": lambda x: torch.where(x > 0, x, 0.1 * x),
    "leaky relu": lambda x: F.leaky_relu(x, 0.1),
    "kthvalue": lambda x: tokens(x).kthvalue(2, 2).values,
    "log": lambda x: positive(x).log(),
    "log10": lambda x: positive(x).log10(),
    "log2": lambda x: positive(x).log2(),
    "logaddexp": lambda x: torch.logaddexp(x, x[:, :1]),
    "logit": lambda x: torch.logit(x.sigmoid()) + torch.logit(x, eps=0.2),
    "log1p": lambda x: positive(x).log1p(),
    "logic": lambda x: beside(
        x,
        (x > 0) & (x.roll(1, 1) > 0),
        (x > 0) | ~(x < 1),
        (x > 0) ^ (x.roll(1, 1) > 1),
        x.round().logical_and(x > 0.2),
        x.round().logical_or(x > 1),
        x.trunc().logical_xor(x > 0),
    ),
    "logsigmoid": F.logsigmoid,
    "logsumexp": lambda x: tokens(x).logsumexp((1, 2)).unsqueeze(1),
    "logsumexp, cumulative": lambda x: tokens(x).logcumsumexp(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "masked product": lambda x: x * (x.roll(1, 1) > 0),
    "masked attention": lambda x: F.scaled_dot_product_attention(
        *[tokens(x).unsqueeze(1)] * 3, attn_mask=torch.ones(tokens(x).shape[1], tokens(x).shape[1]).tril().bool()
    ),
    "masked softmax": lambda x: x.masked_fill(x.roll(1, 1) > 0, -torch.inf).softmax(1),
    "masked selection": lambda x: x[:, POSITIONS % 3 == 1].exp().cumsum(1),
    "masked selection of steps": lambda x: tokens(x)[:, torch.tensor([True, False, True])].mean(1),
    "matrix product from the left": lambda x: torch.arange(6.0).reshape(2, 3) @ tokens(x),
    "max": lambda x: tokens(x).max(1).values,
    "max of all": lambda x: x.max(1, keepdim=True).values,
    "max pooling 1d": lambda x: F.max_pool1d(signal(x), 2),
    "max pooling 1d, padded": lambda x: F.max_pool1d(signal(x), 3, 2, 1),
    "max pooling 2d": lambda x: F.max_pool2d(image(x), 2, 1, ceil_mode=True),
    "max pooling 3d": lambda x: F.max_pool3d(x.reshape(-1, 1, 2, 2, 3), 2, 1),
    "maximum": lambda x: torch.maximum(x, x.flip(1)),
    "maximum with a constant": lambda x: torch.maximum(POSITIONS / 6 - 1, x),
    "mean": lambda x: tokens(x).mean(1),
    "median": lambda x: tokens(x).median(2, keepdim=True).values,
    "min": lambda x: tokens(x).min(1).values,
    "minimum": lambda x: torch.minimum(x, x[:, :1]),
    "mish": F.mish,
    "masked": lambda x: x.masked_fill(POSITIONS > 4, 0.0),
    "nan_to_num": torch.nan_to_num,
    "nan_to_num of a logarithm": lambda x: torch.nan_to_num(x.abs().log(), neginf=-9.0),
    "negation": torch.neg,
    "norm": lambda x: F.normalize(x, dim=1),
    "norm of order 0": lambda x: torch.linalg.vector_norm((tokens(x) - 0.3).relu(), 0, 2),
    "norm of order 1": lambda x: torch.linalg.vector_norm(tokens(x), 1, dim=(1, 2)).unsqueeze(1),
    "norm of order 3": lambda x: torch.linalg.vector_norm(tokens(x), 3, dim=2),
    "norm of rows": lambda x: torch.linalg.vector_norm(tokens(x), dim=2),
    "pad": lambda x: F.pad(x, (1, 2), value=3.0),
    "permutation": lambda x: tokens(x).permute(0, 2, 1) * torch.arange(3.0),
    "power": lambda x: positive(x) ** 0.3,
    "power of a number": lambda x: 1.7**x,
    "power of a tensor": lambda x: positive(x) ** torch.full((FEATURES,), 1.5),
    "power of two": lambda x: (positive(x.tanh()) + 0.5) ** x.roll(1, 1),
    "power 1.5": lambda x: positive(x) ** 1.5,
    "power 3": lambda x: x**3,
    "power -2": lambda x: positive(x) ** -2,
    "prelu": lambda x: F.prelu(tokens(x), torch.tensor([0.1, 0.2, 0.3])),
    "product": lambda x: x * x.flip(1),
    "product of steps": lambda x: tokens(x).prod(1),
    "quantile": lambda x: torch.quantile(tokens(x), 0.3, dim=2),
    "reciprocal": lambda x: 1 / (x * x + 0.5),
    "relu": F.relu,
    "remainder": lambda x: torch.remainder(x, 0.7) + torch.fmod(x, -0.3),
    "remainder of two": lambda x: torch.remainder(x, positive(x.flip(1))) + torch.fmod(x, positive(x.roll(1, 1))),
    "repeat": lambda x: x.repeat(1, 2),
    "repeat by counts": lambda x: x.repeat_interleave(GROUPS, 1).tanh(),
    "resizing, bicubic": lambda x: F.interpolate(image(x), scale_factor=1.5, mode="bicubic"),
    "resizing, bicubic, smoothed": lambda x: F.interpolate(image(x), size=(2, 3), mode="bicubic", antialias=True),
    "resizing, bilinear": lambda x: F.interpolate(image(x), size=(5, 3), mode="bilinear", align_corners=True),
    "resizing, bilinear, smoothed": lambda x: F.interpolate(image(x), size=(2, 3), mode="bilinear", antialias=True),
    "resizing, linear": lambda x: F.interpolate(signal(x), scale_factor=1.5, mode="linear"),
    "resizing, nearest 1d": lambda x: F.interpolate(signal(x), 7),
    "resizing, nearest 2d": lambda x: F.interpolate(image(x), scale_factor=2),
    "resizing, nearest 3d": lambda x: F.interpolate(x.reshape(-1, 1, 2, 2, 3), scale_factor=2),
    "resizing, nearest exact 1d": lambda x: F.interpolate(signal(x), 7, mode="nearest-exact"),
    "resizing, nearest exact 2d": lambda x: F.interpolate(image(x), (2, 3), mode="nearest-exact"),
    "resizing, nearest exact 3d": lambda x: F.interpolate(x.reshape(-1, 1, 2, 2, 3), (1, 3, 2), mode="nearest-exact"),
    "resizing, trilinear": lambda x: F.interpolate(x.reshape(-1, 1, 2, 2, 3), scale_factor=1.5, mode="trilinear"),
    "roll": lambda x: x.roll(2, 1),
    "rsqrt": lambda x: positive(x).rsqrt(),
    "scatter": lambda x: torch.zeros_like(x).scatter(1, POSITIONS.roll(3).expand(x.shape[0], -1), x),
    "scatter of a number": lambda x: x.scatter(1, torch.tensor([[3, 1]]).expand(x.shape[0], -1), 7.0),
    "scatter_add": lambda x: torch.ones(x.shape[0], 3).scatter_add(1, GROUPS.expand(x.shape[0], -1), x),
    "scatter_reduce": lambda x: x.scatter_reduce(1, GROUPS.expand(x.shape[0], -1), x.exp(), "sum"),
    "select": lambda x: tokens(x)[:, 1],
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": F.silu,
    "sine": torch.sin,
    "slice with a step": lambda x: x[:, 1::3],
    "slice of all": lambda x: x[:, :FEATURES].exp(),
    "slice, written": written(lambda copy, _: copy[:, 1::3].mul_(3.0)),
    "softmax": lambda x: x.softmax(1),
    "softmax over the first axis": lambda x: tokens(x).softmax(1) * torch.arange(4.0),
    "softplus": lambda x: F.softplus(x, beta=2.0),
    "softsign": F.softsign,
    "sort": lambda x: x.sort(1).values * POSITIONS,
    "sort, stable": lambda x: tokens(x).sort(dim=1, stable=True, descending=True).values * torch.arange(4.0),
    "standard deviation": lambda x: tokens(x).std((1, 2), correction=0).unsqueeze(1),
    "standard score": lambda x: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True),
    "split": lambda x: x.split([3, 4, 5], 1)[1],
    "sqrt": lambda x: positive(x).sqrt(),
    "squeeze": lambda x: x.unsqueeze(2).squeeze(2) + x[:, :1].squeeze(1).unsqueeze(1),
    "stack": lambda x: torch.stack(x.unbind(1)[:3], 1),
    "subtraction": lambda x: 1 - 3 * x + (2 * x - x.flip(1)) / 7,
    "sum": lambda x: tokens(x).sum((1, 2), keepdim=True),
    "tangent": lambda x: torch.tan(x.tanh()),
    "table by a number": lambda x: beside(x, TABLE[(2 + 2 * x[:, 0].tanh()).long()]),
    "table by a selection": lambda x: beside(x, TABLE.index_select(0, (2 + 2 * x[:, 0].tanh()).long())),
    "taken along their order": lambda x: torch.take_along_dim(x, x.argsort(1), 1) * POSITIONS,
    "tanh": torch.tanh,
    "variance and mean": lambda x: torch.cat(
        torch.std_mean(x, 1, keepdim=True) + torch.var_mean(x, 1, keepdim=True), 1
    ),
    "xlogy": lambda x: torch.xlogy(x.relu(), positive(x.roll(1, 1))),
    "larger and smaller": lambda x: torch.fmax(x, x.roll(1, 1)) + torch.fmin(x, x[:, :1]),
    "topk": lambda x: tokens(x).topk(2, 1).values,
    "topk of the smallest": lambda x: x.topk(3, largest=False).values,
    "trapezoids": lambda x: torch.cumulative_trapezoid(x, dim=1),
    "variance": lambda x: tokens(x).var(1),
}

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "batch norm": lambda: nn.Sequential(nn.Unflatten(1, (3, 4)), nn.BatchNorm1d(3)),
    "group norm": lambda: nn.Sequential(nn.Unflatten(1, (4, 3)), nn.GroupNorm(2, 4)),
    "gru": lambda: Everything(nn.GRU(4, 5, 2, batch_first=True, bidirectional=True)),
    "gru without bias": lambda: Everything(nn.GRU(4, 5, bias=False)),
    "instance norm": lambda: nn.Sequential(nn.Unflatten(1, (3, 4)), nn.InstanceNorm1d(3)),
    "layer norm": lambda: nn.Sequential(nn.Unflatten(1, (3, 4)), nn.LayerNorm(4)),
    "lstm": lambda: Everything(nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True)),
    "lstm without bias": lambda: Everything(nn.LSTM(4, 5, bias=False)),
    "rrelu": lambda: nn.RReLU(),
    "rms norm": lambda: nn.RMSNorm(FEATURES),
    "rnn relu": lambda: Everything(nn.RNN(4, 5, nonlinearity="relu")),
    "rnn tanh": lambda: Everything(nn.RNN(4, 5, 2, batch_first=True, bidirectional=True)),
    "transformer": lambda: nn.Sequential(
        nn.Unflatten(1, (3, 4)), nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    ),
    "transformer gelu": lambda: nn.Sequential(
        nn.Unflatten(1, (3, 4)),
        nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 8, activation="gelu", norm_first=True, batch_first=True),
            2,
            enable_nested_tensor=False,
        ),
    ),
}

NAMES = [*FUNCTIONS, *LAYERS]


@cache
def network(name: str) -> nn.Module:
    torch.manual_seed(len(name))
    body = FUNCTIONS[name] if name in FUNCTIONS else LAYERS[name]()
    for layer in body.modules() if isinstance(body, nn.Module) else ():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    if isinstance(body, nn.Module):
        body.eval()
    return Headed(body).eval().requires_grad_(False)


@cache
def graph(name: str) -> RowGraph:
    return export_row(network(name), torch.ones(1, FEATURES))


@cache
def active_operators(name: str) -> set[object]:
    """The operators between the row and the logits; full_like takes the shape of its argument alone."""
    nodes = [node for node in graph(name).nodes if node.target is not torch.ops.aten.full_like.default]
    active, needed = {graph(name).row}, {graph(name).logits}
    for node in nodes:
        if active.intersection(node.all_input_nodes):
            active.add(node)
    for node in reversed(nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
    return {node.target for node in active & needed}
