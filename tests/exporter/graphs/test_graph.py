import numpy as np
import pytest
import torch
from torch import nn

from support import example_networks as networks
from whyport.exporter.graphs.categories import EncodeCategories, Numbers
from whyport.exporter.graphs.graph import ENCODED, build_graph
from whyport.exporter.graphs.preprocess import Impute
from whyport.exporter.graphs.torchscript import compile_torchscript, load_torchscript
from whyport.runtime.bundle.inputs import Axis, ImagePreparation, Input
from whyport.runtime.bundle.layers import Layer
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ExportError
from whyport.runtime.task import ProbabilityClassification

PIXELS = TensorSpec("photo", "uint8", ("N", 2, 2, 1))
IMAGE = Input(
    "photo",
    (),
    ImagePreparation("image", "L", True, (), (), 10**6),
    (PIXELS,),
    (Axis("y", 2, None), Axis("x", 2, None)),
)
ROWS = torch.randn(5, networks.FEATURES, generator=torch.Generator().manual_seed(0))


def shapes(graph):
    return {spec.name: spec.shape for spec in graph.outputs}


def test_logits_alone():
    graph = build_graph(networks.linear(), nn.Sequential(), ROWS)
    assert shapes(graph) == {"logits": ("N", 3), "probabilities": ("N", 3)}
    logits, probabilities = (output.numpy() for output in graph.module(ROWS))
    np.testing.assert_allclose(probabilities, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-6)
    assert not graph.split
    assert {name: c.available for name, c in graph.capabilities.items()} == {
        "gradients": True,
        "grad-cam": False,
        "attention": False,
    }
    assert graph.capabilities["grad-cam"].reason == "the network has no method features and no method classify"
    assert graph.capabilities["gradients"].reason == ""


@pytest.mark.parametrize("factory", [networks.linear, networks.Convolution, networks.Recurrent])
def test_probabilities_as_they_are(factory):
    """The network's own scores are the only ones, without a second softmax, by forward and by way of the maps."""
    network = factory().eval()
    graph = build_graph(network, nn.Sequential(), ROWS, ProbabilityClassification)
    assert graph.names == ["probabilities", *(["attention"] if factory is networks.Recurrent else [])]
    given = network(ROWS)
    expected = given[0] if isinstance(given, tuple) else given
    for module in (graph.module, graph.whole):
        np.testing.assert_allclose(module(ROWS)[0], expected.detach(), atol=1e-6)
    scripted = load_torchscript(compile_torchscript(graph, ROWS))
    assert isinstance(scripted(ROWS), tuple)
    np.testing.assert_allclose(scripted(ROWS)[0], expected.detach(), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 3), (1, 4), (4, 1)])
def test_a_second_output_that_is_no_attention(shape):
    network = networks.linear()
    second = nn.Linear(networks.FEATURES, shape[0] * shape[1])

    class Hidden(nn.Module):
        def forward(self, rows):
            return network(rows), second(rows).reshape(-1, *shape)

    message = (
        rf"the network's second output has the shape \[5, {shape[0]}, {shape[1]}\]: it is no attention; expected log"
    )
    with pytest.raises(ExportError, match=message):
        build_graph(Hidden(), nn.Sequential(), ROWS)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_a_network_that_is_compiled_already():
    traced = torch.jit.trace(networks.linear(), ROWS)
    with pytest.raises(ExportError, match="TorchScript already; expected the module that it was made of"):
        build_graph(traced, nn.Sequential(), ROWS)


def test_a_network_that_cannot_be_copied():
    network = networks.linear()
    network.hidden = network(ROWS)
    with pytest.raises(
        ExportError, match="the network cannot be copied: RuntimeError: Only Tensors created explicitly"
    ):
        build_graph(network, nn.Sequential(), ROWS)


def test_attention():
    graph = build_graph(networks.Recurrent(), nn.Sequential(), ROWS)
    assert shapes(graph)["attention"] == ("N", 4, 4)
    assert graph.capabilities["attention"].available


def test_split_after_the_preprocessing():
    preprocess = Impute(torch.arange(4.0))
    graph = build_graph(networks.Convolution(), preprocess, ROWS)
    assert graph.split
    assert graph.capabilities["grad-cam"].available
    rows = ROWS.clone()
    rows[0, 1] = torch.nan
    for got, expected in zip(graph.module.classify(graph.module.features(rows)), graph.whole(rows), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert torch.isfinite(graph.module.features(rows)).all()


def test_the_network_itself_is_left_alone():
    network = networks.linear().train()
    build_graph(network, nn.Sequential(), ROWS)
    assert network.training
    assert network.weight.requires_grad
    assert not ROWS.requires_grad


def test_maps_without_positions():
    graph = build_graph(networks.FlatMaps(), nn.Sequential(), ROWS)
    assert not graph.split
    assert "gives a tensor of shape [5, 3], not maps" in graph.capabilities["grad-cam"].reason


@pytest.mark.parametrize("inputs", [(), (IMAGE,)])
def test_maps_of_two_axes_are_an_images(inputs: tuple[Input, ...]):
    network = networks.Convolution()
    network.features = lambda rows: rows.reshape(-1, 1, 2, 2)
    network.classify = lambda maps: network.head(maps.flatten(1).repeat(1, 2))
    graph = build_graph(network, nn.Sequential(), ROWS, inputs=inputs)
    assert graph.split == bool(inputs)
    if inputs:
        assert graph.layers == (Layer("features", 1, (2, 2)),)
    else:
        assert "not maps [N, channels, positions]" in graph.capabilities["grad-cam"].reason
        assert not graph.layers


def test_maps_of_one_axis_are_not_an_images():
    graph = build_graph(networks.Convolution(), nn.Sequential(), ROWS, inputs=(IMAGE,))
    assert "not maps [N, channels, y, x]" in graph.capabilities["grad-cam"].reason


def test_a_split_that_fails():
    network = networks.Convolution()
    network.classify = lambda maps: maps.no_such_method()
    network.forward = lambda rows: rows[:, :3]
    graph = build_graph(network, nn.Sequential(), ROWS)
    assert "AttributeError" in graph.capabilities["grad-cam"].reason


def test_logits_without_gradient():
    graph = build_graph(networks.WithoutGradient(), nn.Sequential(), ROWS)
    assert graph.capabilities["gradients"].reason == "the logits have no gradient with respect to the input"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (networks.Doubles, r"gives \[\[5, 3\]\] torch.float64 for 5 rows; expected logits \[N, classes\] float32"),
        (networks.Listed, r"gives list with 0 \[5, 4\], 1 \[5, 4\]: expected one of the name 'logits'"),
        (lambda: nn.Linear(7, 3), r"the network fails on rows of shape \[5, 4\]: RuntimeError: mat1 and mat2"),
        (lambda: nn.Flatten(0), r"gives \[\[20\]\] torch.float32 for 5 rows"),
    ],
)
def test_networks_that_give_something_else(network, message):
    with pytest.raises(ExportError, match=message):
        build_graph(network(), nn.Sequential(), ROWS)


def test_the_type_of_a_second_output_is_named_too():
    class Mixed(nn.Linear):
        def forward(self, rows):
            return super().forward(rows), torch.eye(4, dtype=torch.float64).expand(len(rows), 4, 4)

    with pytest.raises(ExportError, match=r"gives \[\[5, 3\], \[5, 4, 4\]\] torch.float32, torch.float64 for 5 rows"):
        build_graph(Mixed(4, 3), nn.Identity(), torch.zeros(5, 4))


class Squares(EncodeCategories):
    """Each value's own cell, and its square's."""

    def __init__(self):
        super().__init__([])

    def compiled(self):
        return self

    def forward(self, rows):
        return torch.cat([rows, rows * rows], dim=1)


class Traced(nn.Linear):
    """A network that TorchScript cannot script."""

    def forward(self, rows):
        return super().forward(*[rows])


@pytest.mark.parametrize("kind", [nn.Linear, Traced])
def test_a_row_by_way_of_its_cells(kind):
    network = kind(2 * networks.FEATURES, networks.CLASSES)
    graph = build_graph(network, nn.Sequential(), ROWS, encoding=Squares())
    cells = torch.cat([ROWS, ROWS**2], dim=1)
    expected = cells @ network.weight.T + network.bias
    for module in (graph.module, graph.whole, load_torchscript(compile_torchscript(graph, ROWS))):
        torch.testing.assert_close(module.cells(ROWS), cells)
        torch.testing.assert_close(module.scored(cells)[0], expected)
        torch.testing.assert_close(module(ROWS)[0], expected)


@pytest.mark.parametrize("factory", [networks.Convolution, networks.Recurrent])
def test_positions_of_encoded_columns_are_no_columns(factory):
    graph = build_graph(factory(), nn.Sequential(), ROWS, encoding=EncodeCategories([Numbers(0, networks.FEATURES)]))
    assert not graph.split
    attentive = factory is networks.Recurrent
    assert (graph.capabilities["attention" if attentive else "grad-cam"].reason) == ENCODED
    assert graph.capabilities["gradients"].available
