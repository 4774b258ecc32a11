import io
import logging
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from support import example_networks as networks
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.torchscript import compile_torchscript, load_torchscript
from whyport.runtime.errors import ExportError

ROWS = torch.randn(5, networks.FEATURES, generator=torch.Generator().manual_seed(0))
OTHER = torch.randn(3, networks.FEATURES, generator=torch.Generator().manual_seed(1))


def compiled(network):
    graph = build_graph(network, nn.Sequential(), ROWS)
    return graph, load_torchscript(compile_torchscript(graph, ROWS))


def assert_same(got, expected):
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one.detach(), other.detach(), atol=1e-6)


@pytest.mark.parametrize("factory", [networks.linear, networks.Convolution, networks.Recurrent])
def test_scripts_what_can_be_scripted(factory, caplog):
    with caplog.at_level(logging.INFO):
        graph, module = compiled(factory())
    assert "traced" not in caplog.text
    assert_same(module(OTHER), graph.module(OTHER))
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("factory", [networks.Unscriptable, networks.UnscriptableConvolution])
def test_traces_the_rest_and_says_why(factory, caplog):
    with caplog.at_level(logging.INFO):
        graph, module = compiled(factory())
    assert "cannot be scripted and is traced instead: " in caplog.text
    assert_same(module(OTHER), graph.module(OTHER))


class Ignoring(nn.Linear):
    """It can be scripted, and not saved."""

    def __init__(self):
        super().__init__(networks.FEATURES, networks.CLASSES)

    @torch.jit.ignore
    def scale(self, rows: torch.Tensor) -> torch.Tensor:
        return rows * 2.0

    def forward(self, rows):
        return super().forward(self.scale(rows))


class Unused(Ignoring):
    """It can be scripted and saved, and not run."""

    @torch.jit.unused
    def scale(self, rows: torch.Tensor) -> torch.Tensor:
        return rows * 2.0


class Branching(Ignoring):
    """It can be scripted, saved and run, and gives something else then."""

    def scale(self, rows: torch.Tensor) -> torch.Tensor:
        return rows * (3.0 if torch.jit.is_scripting() else 2.0)


class IgnoringSplit(networks.Convolution):
    @torch.jit.ignore
    def scale(self, rows: torch.Tensor) -> torch.Tensor:
        return rows * 2.0

    def features(self, rows):
        return super().features(self.scale(rows))


@pytest.mark.parametrize("factory", [Ignoring, Unused, Branching, IgnoringSplit])
def test_traces_what_scripts_and_is_not_the_network_then(factory, caplog):
    with caplog.at_level(logging.INFO):
        graph, module = compiled(factory())
    assert "cannot be scripted and is traced instead: " in caplog.text
    assert_same(module(OTHER), graph.module(OTHER))


class UntraceableFunction(torch.autograd.Function):
    @staticmethod
    def forward(context, rows):
        return rows * 2

    @staticmethod
    def backward(context, gradient):
        return gradient * 2


def test_a_function_of_ones_own_can_be_neither():
    class Own(Ignoring):
        def scale(self, rows):
            return UntraceableFunction.apply(rows)

    with pytest.raises(
        ExportError, match="neither scripted nor traced: RuntimeError: Could not export Python function"
    ):
        compiled(Own())


class Attentive(nn.Module):
    """A lambda keeps it from being scripted; in evaluation mode the layer has a fused kernel without a derivative."""

    def __init__(self, layer):
        super().__init__()
        self.pool = lambda sequence: sequence.mean(1)
        self.embed = nn.Linear(1, 4)
        self.layer = layer
        self.head = nn.Linear(4, networks.CLASSES)

    def forward(self, rows):
        sequence = self.embed(rows.unsqueeze(2))
        inputs = [sequence] * 3 if isinstance(self.layer, nn.MultiheadAttention) else [sequence]
        given = self.layer(*inputs)
        return self.head(self.pool(given[0] if isinstance(given, tuple) else given))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.MultiheadAttention(4, 2, batch_first=True),
        lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2),
    ],
)
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
def test_traced_attention_has_a_gradient(layer):
    graph, module = compiled(Attentive(layer()))
    gradients = []
    for each in (graph.module, module):
        leaf = OTHER.clone().requires_grad_()
        gradients += torch.autograd.grad(each(leaf)[0][:, 0].sum(), leaf)
    np.testing.assert_allclose(gradients[1], gradients[0], atol=1e-6)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("factory", [networks.Convolution, networks.UnscriptableConvolution])
def test_keeps_the_split(factory):
    graph, module = compiled(factory())
    maps = module.features(OTHER)
    np.testing.assert_allclose(maps, graph.module.features(OTHER), atol=1e-6)
    assert_same(module.classify(maps), graph.module(OTHER))


def test_recurrent_layers_alone_can_be_put_into_training_mode():
    graph, module = compiled(networks.Recurrent())
    module.network.lstm.train()
    assert_same(module(OTHER), graph.module(OTHER))
    assert_same(module(OTHER), module(OTHER))
    assert graph.module.network.lstm.dropout == 0.5


def test_the_file_holds_no_source_locations():
    graph = build_graph(networks.Unscriptable(), nn.Sequential(), ROWS)
    content = compile_torchscript(graph, ROWS)
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert not [name for name in archive.namelist() if "debug" in name]
    for name in archive.namelist():
        assert b"example_networks.py" not in archive.read(name)
        assert b"site-packages" not in archive.read(name)


def test_a_network_that_cannot_be_compiled(monkeypatch):
    graph = build_graph(networks.Unscriptable(), nn.Sequential(), ROWS)

    def fail(*arguments, **options):
        raise RuntimeError("no trace\nand more")

    monkeypatch.setattr(torch.jit, "trace_module", fail)
    with pytest.raises(ExportError, match="neither scripted nor traced: RuntimeError: no trace$"):
        compile_torchscript(graph, ROWS)
