import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from whyport.exporter.shrink.weights import large_weights, store_float16, store_int8, weight_names, with_stored

RNG = np.random.default_rng(0)


def run(model: onnx.ModelProto, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x": rows})
    return np.asarray(got)


def network(weights: NDArray[np.float32], means: NDArray[np.float32]) -> onnx.ModelProto:
    """(x - means) times the weights, which are stored the other way round."""
    nodes = [
        helper.make_node("Sub", ["x", "means"], ["moved"]),
        helper.make_node("Transpose", ["weights"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["moved", "turned"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", weights.shape[1]])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", weights.shape[0]])]
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(means, "means")]
    graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


WEIGHTS = RNG.normal(size=(24, 80)).astype(np.float32) * np.logspace(-3, 2, 24, dtype=np.float32)[:, None]
MEANS = np.full(80, 100_000.3, dtype=np.float32)  # which float16 could not hold
ROWS = MEANS + RNG.normal(size=(5, 80)).astype(np.float32)


def test_only_what_an_operator_multiplies_with_is_a_weight() -> None:
    assert weight_names(network(WEIGHTS, MEANS).graph) == {"weights"}


def test_float16_is_the_network_with_rounded_weights() -> None:
    rounded = WEIGHTS.astype(np.float16).astype(np.float32)
    made = with_stored(network(WEIGHTS, MEANS), store_float16)
    assert made is not None
    np.testing.assert_array_equal(run(made, ROWS), run(network(rounded, MEANS), ROWS))
    assert made.ByteSize() < 0.65 * network(WEIGHTS, MEANS).ByteSize()


def test_int8_is_the_network_with_a_scale_a_channel() -> None:
    """Channels differ by a factor of 100 000: one scale for all of them would lose the small ones."""
    scale = np.abs(WEIGHTS).max(axis=1, keepdims=True) / np.float32(127)
    rounded = np.rint(WEIGHTS / scale) * scale
    made = with_stored(network(WEIGHTS, MEANS), store_int8)
    assert made is not None
    np.testing.assert_allclose(run(made, ROWS), run(network(rounded, MEANS), ROWS), rtol=1e-6)
    assert made.ByteSize() < 0.4 * network(WEIGHTS, MEANS).ByteSize()


def test_a_weight_that_float16_cannot_hold_stays() -> None:
    assert with_stored(network(WEIGHTS * np.float32(1e6), MEANS), store_float16) is None


def test_weights_that_arrive_by_way_of_other_constants_are_found() -> None:
    """A recurrent layer's gates are put into ONNX's order inside the graph."""
    model = network(WEIGHTS, MEANS)
    model.graph.node[1].input[0] = "whole"
    halves = [numpy_helper.from_array(half, name) for name, half in zip("ab", np.split(WEIGHTS, 2), strict=True)]
    model.graph.initializer.extend(halves)
    model.graph.node.insert(0, helper.make_node("Concat", ["a", "b"], ["whole"], axis=0))
    assert weight_names(model.graph) == {"a", "b"}


def test_a_small_first_layer_is_not_stored_as_int8() -> None:
    model = network(np.tile(WEIGHTS, (4, 1)), MEANS)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((80, 1), dtype=np.float32), "first"))
    model.graph.node.insert(0, helper.make_node("MatMul", ["x", "first"], ["unused"]))
    assert weight_names(model.graph) == {"weights", "first"}
    assert large_weights(model.graph) == {"weights"}


@pytest.mark.parametrize("shape", [(63,), (9, 7), (200,)])
def test_what_would_not_be_smaller_stays(shape: tuple[int, ...]) -> None:
    values = RNG.normal(size=shape).astype(np.float32)
    is_weight = values.size >= 64
    assert (store_int8("w", values) is None) == (values.ndim == 1)
    if values.ndim == 2:
        assert not is_weight
        assert weight_names(network(values, np.zeros(values.shape[1], np.float32)).graph) == set()


def test_a_row_of_zeros_stays_zero() -> None:
    values = np.zeros((8, 64), dtype=np.float32)
    values[1:] = RNG.normal(size=(7, 64))
    made = with_stored(network(values, np.zeros(64, np.float32)), store_int8)
    assert made is not None
    assert (run(made, ROWS[:, :64])[:, 0] == 0).all()
