"""Each breach is provoked: nothing that disagrees gets past."""

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from support import example_networks as networks
from whyport.exporter.graphs.compiled import Compiled, OnnxFile, TorchScriptFile
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.onnx import compile_onnx, finish
from whyport.exporter.graphs.torchscript import compile_torchscript
from whyport.exporter.verify.engines import torch_outputs
from whyport.exporter.verify.outputs import (
    BATCH_SIZES,
    PROBE_ROWS,
    measure,
    verify_outputs,
)
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ExportError, ParityError

PROBES = np.random.default_rng(0).normal(size=(PROBE_ROWS, networks.FEATURES)).astype(np.float32)
TRACED = torch.randn(5, networks.FEATURES, generator=torch.Generator().manual_seed(0))


def graph_of(network):
    return build_graph(network, nn.Sequential(), TRACED)


def verify(graph, torchscript, model, rows=PROBES):
    file = None if torchscript is None else TorchScriptFile(torchscript)
    compiled = Compiled(graph.outputs, graph.capabilities, OnnxFile(onnx.load_from_string(model)), graph, file)
    return verify_outputs(compiled, rows)


def perturb(network, by=1e-3):
    changed = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.add_(by)
    return changed


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return networks.Convolution()


@pytest.fixture(scope="module")
def graph(network):
    return graph_of(network)


@pytest.fixture(scope="module")
def torchscript(graph):
    return compile_torchscript(graph, TRACED)


@pytest.fixture(scope="module")
def model(graph):
    return finish(compile_onnx(graph, TRACED), "{}")


def test_agreement_is_measured(graph, torchscript, model):
    parity = verify(graph, torchscript, model)
    assert list(parity) == ["onnx_outputs", "torchscript_outputs"]
    assert all(0 <= value < 1e-5 for value in parity.values())


def test_without_torchscript(graph, model):
    parity = verify(graph, None, model)
    assert list(parity) == ["onnx_outputs"]


def test_tampered_onnx_weights(graph, torchscript, model):
    tampered = onnx.load_model_from_string(model)
    weights = next(tensor for tensor in tampered.graph.initializer if tensor.name == "network.head.weight")
    values = onnx.numpy_helper.to_array(weights) + np.float32(1e-3)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    with pytest.raises(ParityError, match=r"logits: ONNX Runtime: expected a deviation of at most 0.0001, got 0.00\d+"):
        verify(graph, torchscript, tampered.SerializeToString())


def test_torchscript_of_other_weights(network, graph, model):
    other = compile_torchscript(graph_of(perturb(network)), TRACED)
    with pytest.raises(
        ParityError, match="logits: TorchScript: expected a deviation of at most 0.0001, got .* size 1,"
    ):
        verify(graph, other, model)


def test_torchscript_with_another_split(network, graph, model):
    class Halved(networks.Convolution):
        """The same outputs by way of maps that are not those of eager mode."""

        def features(self, rows):
            return torch.tanh(self.convolution(rows.unsqueeze(1))) * 0.5

    halved = Halved()
    halved.load_state_dict(network.state_dict())
    other = compile_torchscript(graph_of(halved), TRACED)
    with pytest.raises(ParityError, match="TorchScript"):
        verify(graph, other, model)


def test_a_split_that_is_not_the_forward(torchscript, model):
    with pytest.raises(ParityError, match=r"logits: eager PyTorch's classify\(features\(rows\)\): .* got 0.01"):
        verify(graph_of(networks.Contradictory()), torchscript, model)


def test_rows_that_depend_on_their_batch(torchscript, model):
    with pytest.raises(ParityError, match="logits: eager PyTorch: .* at batch size 1, compared with one batch of 257"):
        verify(graph_of(networks.BatchDependent()), torchscript, model)


def test_a_trace_that_holds_its_batch_size(model):
    baked, free = networks.Baked(), networks.Unscriptable()
    free.load_state_dict(baked.state_dict())
    graph = graph_of(baked)
    traced = compile_torchscript(graph, TRACED)
    good_onnx = finish(compile_onnx(graph_of(free), TRACED), "{}")
    with pytest.raises(ParityError, match="TorchScript fails at batch size 1: RuntimeError"):
        verify(graph, traced, good_onnx)
    with pytest.raises(ExportError, match=f"expected one of any number of rows, got one of {len(TRACED)}"):
        compile_onnx(graph, TRACED)


def test_values_that_are_not_finite(torchscript, model):
    with pytest.raises(ParityError, match=r"logits: expected finite values, got others in \d+ of 257 probe rows"):
        verify(graph_of(networks.Logarithm()), torchscript, model)


def test_an_output_of_another_shape(graph, model):
    names = ["logits", "probabilities"]
    expected = torch_outputs(graph.module, names)(PROBES)

    def engine(rows):
        return {name: values[:, :2] for name, values in torch_outputs(graph.module, names)(rows).items()}

    with pytest.raises(ParityError, match=r"logits: cut: expected shape \[1, 3\], got \[1, 2\], at batch size 1"):
        measure("cut", engine, PROBES, expected, 1e-4)


@pytest.mark.parametrize("size", BATCH_SIZES)
def test_a_breach_at_one_batch_size_alone(graph, size):
    names = ["logits", "probabilities"]
    expected = torch_outputs(graph.module, names)(PROBES)

    def engine(rows):
        outputs = torch_outputs(graph.module, names)(rows)
        return {name: values + (0.01 if len(rows) == size else 0) for name, values in outputs.items()}

    with pytest.raises(ParityError, match=f"at batch size {size},"):
        measure("odd", engine, PROBES, expected, 1e-4)


def test_onnx_alone(graph, model):
    alone = Compiled(graph.outputs, {}, OnnxFile(onnx.load_from_string(model)))
    parity = verify_outputs(alone, PROBES)
    assert parity.get("onnx_outputs") < 1e-5
    assert parity.get("torchscript_outputs") is None


def test_onnx_alone_that_depends_on_its_batch():
    network = networks.BatchDependent()
    alone = Compiled(graph_of(network).outputs, {}, OnnxFile(compile_onnx(graph_of(network), TRACED)))
    with pytest.raises(ParityError, match="logits: ONNX Runtime: .* at batch size 1, compared with one batch of 257"):
        verify_outputs(alone, PROBES)


@pytest.mark.parametrize(
    ("operator", "options"),
    [("ReduceMax", {"keepdims": 0}), ("ReduceMean", {"keepdims": 1}), ("Identity", {}), ("Flatten", {"axis": 0})],
)
def test_an_output_with_another_number_of_rows_is_refused(operator, options):
    """A number, a row, a constant row, and all rows in one."""
    node = helper.make_node(operator, ["row" if operator == "Identity" else "features"], ["logits"], **options)
    model = helper.make_model(
        helper.make_graph(
            [node],
            "rows",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", networks.FEATURES])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.ones((1, 3), np.float32), "row")],
        ),
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 18)],
    )
    compiled = Compiled((TensorSpec("logits", "float32", ("N", 3)),), {}, OnnxFile(model))
    with pytest.raises(ParityError, match=rf"logits: expected {PROBE_ROWS} rows for as many, got shape \["):
        verify_outputs(compiled, PROBES)
