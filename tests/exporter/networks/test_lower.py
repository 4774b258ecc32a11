import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from whyport.exporter.networks.lower import lower

FEATURES = 3
ROWS = np.random.default_rng(0).normal(size=(9, FEATURES)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(4, FEATURES)).round(3)
OPPOSITE = np.stack([-WEIGHTS[0], WEIGHTS[0]])


def model_of(operator, opset=18, labels=0, **attributes):
    outputs = ["label", "y"] if labels else ["y"]
    values = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    if labels:
        attributes["classlabels_ints"] = list(range(labels))
        values.append(helper.make_tensor_value_info("label", TensorProto.INT64, None))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURES])]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], outputs, domain="ai.onnx.ml", **attributes)], "g", inputs, values
    )
    sets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=sets, ir_version=8)


def run(model, rows):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": rows})[0]


def classifier(weights, transform, **attributes):
    """LinearClassifier's attributes."""
    bias = np.arange(len(weights)) - 1.0 if len(weights) > 2 else np.array([-0.3, 0.3])
    return {
        "labels": len(weights),
        "coefficients": weights.reshape(-1).tolist(),
        "intercepts": bias.tolist(),
        "post_transform": transform,
        **attributes,
    }


@pytest.mark.parametrize("opset", [12, 18])
@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("Scaler", {"offset": [1.0, 2.0, 3.0], "scale": [0.5, 2.0, -1.0]}),
        ("Scaler", {"offset": [1.0], "scale": [0.5]}),
        ("Imputer", {"imputed_value_floats": [1.0, 2.0, 3.0], "replaced_value_float": float("nan")}),
        ("Imputer", {"imputed_value_floats": [1.0, 2.0, 3.0], "replaced_value_float": 0.0}),
        ("Normalizer", {"norm": "L1"}),
        ("Normalizer", {"norm": "L2"}),
        ("LinearRegressor", {"coefficients": WEIGHTS[:2].reshape(-1).tolist(), "targets": 2}),
        ("LinearRegressor", {"coefficients": WEIGHTS[0].tolist(), "intercepts": [0.7]}),
        ("LinearClassifier", classifier(WEIGHTS, "NONE")),
        ("LinearClassifier", classifier(WEIGHTS, "SOFTMAX")),
        ("LinearClassifier", classifier(WEIGHTS, "LOGISTIC")),
        ("LinearClassifier", classifier(OPPOSITE, "LOGISTIC")),
        (
            "SVMRegressor",
            {
                "kernel_type": "LINEAR",
                "kernel_params": [0.3, 0.0, 3.0],
                "n_supports": 4,
                "support_vectors": WEIGHTS.reshape(-1).tolist(),
                "coefficients": [1.0, -2.0, 0.5, 0.25],
                "rho": [0.7],
            },
        ),
        ("FeatureVectorizer", {"inputdimensions": [FEATURES]}),
    ],
)
def test_plain_operators_compute_the_same(operator, attributes, opset):
    model = model_of(operator, opset, **attributes)
    lowered = lower(model, "y")
    assert {node.domain for node in lowered.graph.node} == {""}
    assert [entry.domain for entry in lowered.opset_import] == [""]
    rows = ROWS.copy()
    rows[0] = 0
    if operator == "Imputer":
        rows[1, 1] = attributes["replaced_value_float"]
    np.testing.assert_allclose(run(lowered, rows), run(model, rows), atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("Normalizer", {"norm": "MAX"}),
        ("LinearRegressor", {"coefficients": WEIGHTS[0].tolist(), "post_transform": "LOGISTIC"}),
        ("LinearClassifier", classifier(WEIGHTS, "SOFTMAX_ZERO")),
        ("SVMRegressor", {"kernel_type": "RBF", "n_supports": 4}),
        ("Binarizer", {"threshold": 0.5}),
    ],
)
def test_what_has_no_plain_form_stays(operator, attributes):
    lowered = lower(model_of(operator, **attributes), "y")
    assert [node.op_type for node in lowered.graph.node] == [operator]


def test_columns_that_are_taken():
    model = model_of("ArrayFeatureExtractor")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([[2, 0]]), "columns"))
    model.graph.node[0].input.append("columns")
    np.testing.assert_array_equal(run(lower(model, "y"), ROWS), ROWS[:, [2, 0]])


def test_labels_go():
    model = model_of("LinearClassifier", **classifier(WEIGHTS, "SOFTMAX"))
    model.graph.node.append(helper.make_node("Binarizer", ["x"], ["unused"], domain="ai.onnx.ml"))
    lowered = lower(model, "y")
    assert [value.name for value in lowered.graph.output] == ["y"]
    assert "Binarizer" not in {node.op_type for node in lowered.graph.node}
    assert len(model.graph.output) == 2


def test_a_model_without_such_operators_is_left_alone():
    model = model_of("Relu")
    model.graph.node[0].domain = ""
    assert lower(model, "y") is model
