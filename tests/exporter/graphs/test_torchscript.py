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
