import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from support import example_networks as networks
from support.function_network import Network
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.onnx import compile_onnx, export_onnx, finish, row_values, walk
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.runtime.errors import ExportError, UsageError

ROWS = torch.randn(5, networks.FEATURES, generator=torch.Generator().manual_seed(0))
GRAPH = build_graph(networks.Convolution(), nn.Sequential(), ROWS)


@pytest.fixture(scope="module")
def model():
    return compile_onnx(GRAPH, ROWS)


def run(model, rows):
    session = onnxruntime.InferenceSession(finish(model, "{}"), providers=["CPUExecutionProvider"])
    return session.run(["logits", "probabilities"], {"features": rows.numpy()})


@pytest.mark.parametrize("rows", [1, 2, 33])
def test_takes_any_number_of_rows(model, rows):
    batch = torch.randn(rows, networks.FEATURES)
    for got, expected in zip(run(model, batch), GRAPH.module(batch), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_versions_that_every_runtime_reads(model):
    assert model.ir_version == 10
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]


@pytest.mark.parametrize(("opset", "ir_version"), [(21, 10), (26, 13)])
def test_another_opset(opset, ir_version):
    model = compile_onnx(GRAPH, ROWS, opset)
    assert [entry.version for entry in model.opset_import] == [opset]
    assert model.ir_version == ir_version
    np.testing.assert_allclose(run(model, ROWS)[0], GRAPH.module(ROWS)[0], atol=1e-6)


@pytest.mark.parametrize("opset", [17, 27])
def test_an_opset_that_is_not_read(opset):
    with pytest.raises(UsageError, match=f"expected an opset from 18 to 26, got {opset}"):
        compile_onnx(GRAPH, ROWS, opset)


def test_carries_the_metadata_and_no_notes(model):
    read = onnx.load_model_from_string(finish(model, '{"a": 1}'))
    assert {prop.key: prop.value for prop in read.metadata_props} == {
        "whyport": '{"a": 1}',
        "whyport.row_values": str(row_values(model)),
    }
    del read.metadata_props[:]
    for message in walk(read):
        assert not getattr(message, "doc_string", "")
        assert not len(getattr(message, "metadata_props", []))
    assert b".py" not in read.SerializeToString()


def test_an_invalid_model():
    model = onnx.ModelProto()
    model.ir_version = 10
    with pytest.raises(ExportError, match="not valid ONNX"):
        finish(model, "{}")


def test_a_network_that_cannot_be_exported():
    class Branching(nn.Module):
        def forward(self, rows):
            return rows[:, :2] if bool((rows > 0).all()) else rows[:, 1:3]

    graph = build_graph(Branching(), nn.Sequential(), ROWS)
    with pytest.raises(ExportError, match="the network cannot be exported to ONNX: .*data-dependent"):
        compile_onnx(graph, ROWS)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda x: x * torch.ones(len(x), 1), r"expected one of any number of rows, got one of 5, those .* len\(x\)"),
        (torch.erfinv, r"ONNX has no operator for prims\.erf_inv$"),
    ],
)
def test_it_is_refused_by_name(body, message):
    with pytest.raises(ExportError, match=message):
        export_onnx(Network(body).eval(), {INPUT: torch.rand(5, 3)}, ["y"], 18)
