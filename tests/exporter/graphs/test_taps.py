"""The maps of every convolution of a network, by model.pt, against captum's LayerGradCam."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from support.bundles import with_outputs
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.maps.specs import array_specs, chosen_layers
from whyport.exporter.graphs.graph import Graph, build_graph
from whyport.exporter.graphs.torchscript import check_layers, compile_torchscript, load_torchscript
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import Axis, ImagePreparation, Input
from whyport.runtime.bundle.layers import default_layer, figures_of
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import UsageError

HEIGHT, WIDTH = 5, 6
IMAGE = Input(
    "photo",
    (),
    ImagePreparation("image", "L", True, (), (), 10**6),
    (TensorSpec("photo", "uint8", ("N", HEIGHT, WIDTH, 1)),),
    (Axis("y", HEIGHT, None), Axis("x", WIDTH, None)),
)
ROWS = torch.randn(7, HEIGHT * WIDTH, generator=torch.Generator().manual_seed(0))


class Residual(nn.Module):
    """Three convolutions with a skip connection past the second, and activations in place."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(inplace=True))
        self.inner = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, 5, 2, stride=2)
        self.out = nn.Linear(5, 2)

    def forward(self, rows: Tensor) -> Tensor:
        x = self.stem(rows.reshape(-1, 1, HEIGHT, WIDTH))
        x = x + torch.relu_(self.inner(x))
        x = torch.tanh(self.last(x))
        return self.out(x.mean((2, 3)))


def graph_of(network: nn.Module) -> Graph:
    return check_layers(build_graph(network, nn.Sequential(), ROWS, inputs=(IMAGE,)), ROWS)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(1)
    return Residual().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def graph(network: nn.Module) -> Graph:
    return graph_of(network)


def test_the_layers_have_their_modules_names(graph: Graph) -> None:
    assert [(layer.name, layer.channels, layer.shape) for layer in graph.layers] == [
        ("stem.0", 8, (5, 6)),
        ("inner", 8, (5, 6)),
        ("last", 5, (2, 3)),
    ]
    assert default_layer(graph.layers).name == "last"
    assert graph.capabilities["grad-cam"].available


@pytest.fixture(scope="module")
def model(graph: Graph, reference_bundle: Path) -> TorchScriptModel:
    """The network in place of a bundle's own, whose rows have as many cells."""
    bundle = Bundle.read(reference_bundle)
    sidecar = with_outputs(bundle.sidecar, bundle.sidecar.signature.outputs[:2])
    figures = figures_of(graph.layers)
    graphs = tuple(dataclasses.replace(each, figures=figures) for each in sidecar.graphs)
    made = TorchScriptModel(dataclasses.replace(bundle, sidecar=dataclasses.replace(sidecar, graphs=graphs)), "cpu")
    made._module = load_torchscript(compile_torchscript(graph, ROWS)).eval()
    return made


def test_maps_of_every_layer_and_target_are_captums(network: nn.Module, model: TorchScriptModel) -> None:
    rows = torch.randn(300, HEIGHT * WIDTH, generator=torch.Generator().manual_seed(2))
    targets = np.stack([np.arange(300) % 2, 1 - np.arange(300) % 2], axis=1)
    layers = chosen_layers(model.bundle.sidecar, "*")
    assert [layer.name for layer in layers] == ["stem.0", "inner", "last"]

    of_layers, scores = model.layer_maps(rows.numpy(), targets, layers)

    plain = copy.deepcopy(network)
    plain.stem[1].inplace = False  # captum reads the maps after what follows has changed them
    for layer, maps in zip(layers, of_layers, strict=True):
        for j in range(2):
            target = torch.tensor(targets[:, j])
            method = LayerGradCam(plain, plain.get_submodule(layer.name))
            expected = method.attribute(rows.clone().requires_grad_(), target, relu_attributions=True)[:, 0].detach()
            np.testing.assert_allclose(maps[:, j], expected, atol=1e-5 * float(expected.max()))
            np.testing.assert_allclose(scores[:, j], network(rows).gather(1, target[:, None])[:, 0], atol=1e-5)
            assert expected.max() > 0.001


def test_a_layer_alone_has_the_same_maps(model: TorchScriptModel) -> None:
    rows = torch.randn(5, HEIGHT * WIDTH).numpy()
    targets = np.zeros((5, 1), dtype=np.int64)
    every = chosen_layers(model.bundle.sidecar, "*")
    together, _ = model.layer_maps(rows, targets, every)
    for layer, maps in zip(every, together, strict=True):
        np.testing.assert_array_equal(model.layer_maps(rows, targets, (layer,))[0][0], maps)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("last,inner", ["inner", "last"]), ("st*", ["stem.0"]), ("*n*, inner", ["inner"]), (None, ["last"])],
)
def test_layers_are_named_by_patterns_in_their_own_order(
    asked: str | None, expected: list[str], model: TorchScriptModel
) -> None:
    assert [layer.name for layer in chosen_layers(model.bundle.sidecar, asked)] == expected


def test_an_unknown_layer_is_refused_with_those_there_are(model: TorchScriptModel) -> None:
    with pytest.raises(UsageError, match=r"layer 'stem'.*'stem\.0', 'inner', 'last'"):
        array_specs(model.bundle.sidecar, {"layer": "stem"})


def test_a_bundle_without_layers_has_none_to_choose(reference_bundle: Path) -> None:
    with pytest.raises(UsageError, match="without layers"):
        array_specs(Bundle.read(reference_bundle).sidecar, {"layer": "stem"})


def test_weights_are_stored_once() -> None:
    large = graph_of(Residual(64).eval())
    weights = sum(parameter.numel() * 4 for parameter in large.module.parameters())
    assert weights < len(compile_torchscript(large, ROWS)) < 1.6 * weights


def test_a_module_that_is_called_twice_is_two_layers() -> None:
    class Twice(Residual):
        def forward(self, rows: Tensor) -> Tensor:
            x = self.inner(self.inner(self.stem(rows.reshape(-1, 1, HEIGHT, WIDTH))))
            return self.out(x.mean((2, 3))[:, :5])

    assert [layer.name for layer in graph_of(Twice()).layers] == ["stem.0", "inner", "inner:2"]


def test_maps_that_a_trace_cannot_give_are_left_out() -> None:
    class Branching(Residual):
        def forward(self, rows: Tensor) -> Tensor:
            scores = super().forward(rows)
            return scores if scores.shape[0] > 2 else scores + 1

    graph = graph_of(Branching())
    assert not graph.layers
    assert "cannot be traced" in graph.capabilities["grad-cam"].reason
