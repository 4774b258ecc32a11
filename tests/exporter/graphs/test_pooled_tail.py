"""The affine ends of networks that pool their last maps, beside the networks' own weights."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.onnx import compile_onnx, export_onnx
from whyport.exporter.graphs.pooled_tail import PooledTail, find_pooled_tail
from whyport.runtime.errors import ExportError

CHANNELS, TARGETS = 5, 3


class Network(nn.Module):
    """A convolution, and an end: pictures [N, 1, 8, 6] to maps [N, 5, 8, 6] to scores [N, 3]."""

    def __init__(self, end: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, CHANNELS, 3, padding=1), nn.ReLU())
        self.end = end

    def forward(self, photo: Tensor) -> Tensor:
        scores: Tensor = self.end(self.body(photo))
        return scores


class Means(nn.Module):
    """The mean over y and x, over one after the other where they are asked for so."""

    def __init__(self, *, apart: bool = False) -> None:
        super().__init__()
        self.apart = apart

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(3, keepdim=True).mean(2)[..., 0] if self.apart else maps.mean((2, 3))


def linear() -> nn.Linear:
    return nn.Linear(CHANNELS, TARGETS)


def normalised(layer: nn.BatchNorm1d) -> nn.BatchNorm1d:
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    layer.running_mean = torch.randn(CHANNELS)
    layer.running_var = torch.rand(CHANNELS) + 0.5
    return layer


ENDS: dict[str, Callable[[], nn.Module]] = {
    "mean": lambda: nn.Sequential(Means(), linear()),
    "means one after the other": lambda: nn.Sequential(Means(apart=True), linear()),
    "adaptive pooling": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear()),
    "average pooling": lambda: nn.Sequential(nn.AvgPool2d((8, 6)), nn.Flatten(), linear()),
    "normalisation and dropout": lambda: nn.Sequential(
        Means(), normalised(nn.BatchNorm1d(CHANNELS)), nn.Identity(), nn.Dropout(), linear()
    ),
    "two layers": lambda: nn.Sequential(Means(), nn.Linear(CHANNELS, 4), nn.Linear(4, TARGETS)),
}


def exported(end: nn.Module) -> tuple[Network, onnx.ModelProto]:
    network = Network(end).eval()
    return network, export_onnx(network, {"photo": torch.randn(2, 1, 8, 6)}, ["logits"], 18)


def found(model: onnx.ModelProto) -> PooledTail:
    return find_pooled_tail(model, {"photo": np.zeros((1, 1, 8, 6), dtype=np.float32)}, "logits")


@pytest.mark.parametrize("name", ENDS)
def test_an_affine_end_is_that_of_pytorch_in_float64(name: str) -> None:
    torch.manual_seed(0)
    network, model = exported(ENDS[name]())

    tail = found(model)

    assert (tail.shape, tail.size, tail.channels_last) == ((CHANNELS, 8, 6), (8, 6), False)
    end = network.end.double()
    flat = torch.eye(CHANNELS, dtype=torch.float64)[:, :, None, None].expand(-1, -1, 8, 6)
    with torch.no_grad():
        offset = end(torch.zeros(1, CHANNELS, 8, 6, dtype=torch.float64))
        weights = (end(flat) - offset).T
    np.testing.assert_allclose(tail.offset, offset[0], atol=1e-6)
    np.testing.assert_allclose(tail.weights, weights, atol=1e-6)


def test_maps_of_the_targets_themselves_are_an_end() -> None:
    torch.manual_seed(0)
    tail = found(exported(nn.Sequential(nn.Conv2d(CHANNELS, TARGETS, 1), Means()))[1])
    assert tail.shape == (TARGETS, 8, 6)
    np.testing.assert_array_equal(tail.weights, np.eye(TARGETS))
    np.testing.assert_array_equal(tail.offset, np.zeros(TARGETS))


def test_maps_of_one_place_from_top_to_bottom_are_an_end() -> None:
    torch.manual_seed(0)
    end = linear()
    tail = found(exported(nn.Sequential(nn.MaxPool2d((8, 2)), nn.ReLU(), Means(), end))[1])
    assert (tail.shape, tail.size, tail.channels_last) == ((CHANNELS, 1, 3), (1, 3), False)
    np.testing.assert_allclose(tail.weights, end.weight.detach(), atol=1e-6)
    np.testing.assert_allclose(tail.offset, end.bias.detach(), atol=1e-6)


def test_maps_with_their_channels_last_are_an_end() -> None:
    class Last(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return torch.tanh(maps.permute(0, 2, 3, 1)).mean((1, 2))

    torch.manual_seed(0)
    end = linear()
    tail = found(exported(nn.Sequential(Last(), end))[1])
    assert (tail.shape, tail.size, tail.channels_last) == ((8, 6, CHANNELS), (8, 6), True)
    np.testing.assert_allclose(tail.weights, end.weight.detach(), atol=1e-6)


@pytest.mark.parametrize("end", [nn.Linear(CHANNELS, 1), nn.Conv2d(CHANNELS, 1, 1)], ids=["means", "maps"])
def test_a_network_of_one_logit_has_the_maps_of_two(end: nn.Module) -> None:
    torch.manual_seed(0)
    network = Network(nn.Sequential(Means(), end) if isinstance(end, nn.Linear) else nn.Sequential(end, Means()))
    rows = torch.randn(5, 48)
    flat = nn.Sequential(nn.Unflatten(1, (1, 8, 6)), network).eval()
    graph = build_graph(flat, nn.Sequential(), rows)

    tail = find_pooled_tail(compile_onnx(graph, rows), {"features": rows[:1].numpy()}, "logits")

    with torch.no_grad():
        expected, given = graph.module(rows)[0].numpy(), network.body(rows.reshape(-1, 1, 8, 6))
        maps = given if isinstance(end, nn.Linear) else end(given)
    assert tail.weights.shape == (2, 5 if isinstance(end, nn.Linear) else 1)
    sums = maps.double().mean((2, 3)).numpy() @ tail.weights.T + tail.offset
    np.testing.assert_allclose(sums, expected, atol=1e-5)


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "a layer in between": lambda: nn.Sequential(Means(), linear(), nn.ReLU(), nn.Linear(TARGETS, TARGETS)),
    "probabilities": lambda: nn.Sequential(Means(), linear(), nn.Softmax(1)),
    "maxima": lambda: nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), linear()),
    "a limit beyond what is usual": lambda: nn.Sequential(Means(), linear(), nn.Hardtanh(-50, 50)),
    "a weight for every place": lambda: nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * 48, TARGETS)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_ends_are_refused(name: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(ExportError, match=r"affine function .* behind maps \[5, 8, 6\]"):
        found(exported(OTHERS[name]())[1])


def test_a_way_past_the_maps_is_refused() -> None:
    class Past(Network):
        def forward(self, photo: Tensor) -> Tensor:
            return super().forward(photo) + photo.flatten(1)[:, :TARGETS]

    torch.manual_seed(0)
    network = Past(nn.Sequential(Means(), linear())).eval()
    model = export_onnx(network, {"photo": torch.randn(2, 1, 8, 6)}, ["logits"], 18)
    with pytest.raises(ExportError, match="maps over y and x that all of the scores are made of, got none"):
        found(model)
