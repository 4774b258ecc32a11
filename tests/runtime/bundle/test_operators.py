"""The operators of an ONNX file, against the package onnx; and which models stay on the CPU."""

import numpy as np
import onnx
import pytest
from onnx import helper

from whyport.runtime.bundle.operators import model_on_the_cpu, operators
from whyport.runtime.errors import BundleFormatError


def model(*names: str) -> bytes:
    """Nodes by these names, with attributes and a tensor, which hold no operators."""
    nodes = [helper.make_node(name, ["x"], ["y"], name="TreeEnsemble", text="SVMRegressor") for name in names]
    weights = onnx.numpy_helper.from_array(np.arange(3.0), "LinearRegressor")
    return helper.make_model(helper.make_graph(nodes, "graph", [], [], [weights])).SerializeToString()


@pytest.mark.parametrize("names", [(), ("Relu",), ("Gemm", "Relu", "Gemm"), ("TreeEnsembleRegressor", "Exp")])
def test_operators_are_those_of_the_nodes(names: tuple[str, ...]) -> None:
    content = model(*names)
    assert operators(content) == {node.op_type for node in onnx.load_from_string(content).graph.node} == set(names)


def test_trees_and_vectors_are_models_on_the_cpu() -> None:
    assert model_on_the_cpu(model("TreeEnsembleRegressor", "Exp")) == "TreeEnsembleRegressor"
    assert model_on_the_cpu(model("SVMClassifier")) == "SVMClassifier"
    assert model_on_the_cpu(model("Gemm", "LabelEncoder", "Softmax")) is None


def test_other_files_are_refused() -> None:
    with pytest.raises(BundleFormatError, match="expected an ONNX file"):
        operators(b"\xff\xff")
