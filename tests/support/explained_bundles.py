"""Linear bundles with an explain.onnx made by hand: quantities, and a classifier of one logit; all in closed form."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from support.bundles import linear_sidecar
from whyport.runtime.bundle.folder import write_sidecar
from whyport.runtime.bundle.graphs import TARGET_INDEX, reasons_outputs
from whyport.runtime.bundle.score import CLASSIFICATION, LOGIT, REGRESSION, VALUE, Score, Target
from whyport.runtime.bundle.sidecar import METADATA_KEY, Baseline, Capability, Graph, Sidecar
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.vectors import to_json, to_parquet

NAMES = ("age", "dose", "weight")
QUANTITIES = Score(REGRESSION, VALUE, "value", None, (Target("stay", "days"), Target("cost", None)))
ONE_LOGIT = Score(CLASSIFICATION, LOGIT, "logits", "probabilities", (Target("no", None), Target("yes", None)))
REFERENCE = np.array([0.5, -0.25, 1.0], dtype=np.float32)
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


def weights_of(score: Score) -> NDArray[np.float32]:
    """The weights [2, 3]; of one logit z those of -z and z."""
    if score is ONE_LOGIT:
        return np.array([[-1.0, 2.0, -0.25], [1.0, -2.0, 0.25]], dtype=np.float32)
    return np.array([[2.0, -1.0, 0.5], [0.25, 3.0, -1.0]], dtype=np.float32)


def outputs_of(score: Score, rows: NDArray[np.floating], target: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """The closed form of every output of explain.onnx, for rows [N, 3] and the target of each."""
    weights = weights_of(score).astype(np.float64)
    scores = rows @ weights.T
    outputs = {score.output: scores}
    if score.probabilities is not None:
        outputs["probabilities"] = 1 / (1 + np.exp(-scores))
    shares = weights[target] * (rows - REFERENCE)
    own = scores[np.arange(len(rows)), target]
    reasons = {"explained_target": target, "score": own, "base_value": own - shares.sum(axis=1), "attribution": shares}
    return outputs | reasons | {"completeness_error": np.zeros(len(rows))}


def explained_bundle(path: Path, score: Score) -> Path:
    """A bundle of f(x) = W x: `QUANTITIES`, where nothing is a class, or `ONE_LOGIT`; one reference row."""
    path.mkdir(parents=True)
    names = (score.output,) if score.probabilities is None else (score.output, score.probabilities)
    outputs = tuple(TensorSpec(name, "float32", ("N", 2)) for name in names)
    base = linear_sidecar(False, NAMES, score.names)
    explained = reasons_outputs("explain.onnx", outputs, len(NAMES))
    sidecar = dataclasses.replace(
        base,
        score=score,
        graphs=(
            Graph("model.onnx", "predict", None, base.signature.inputs, outputs, {}),
            Graph("explain.onnx", "explain", None, (*base.signature.inputs, TARGET_INDEX), explained, {}),
        ),
        capabilities={"explain-onnx": Capability(True, "")},
        baselines=(Baseline("background", "rows", "background.parquet", 1, False, None, {}),),
        parity={},
    )
    for graph in sidecar.graphs:
        (path / graph.file).write_bytes(_onnx(graph, sidecar))
    rows = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    index = np.array([-1, 0, 1] * 2)
    by_default = rows @ weights_of(score)[1] > 0 if score is ONE_LOGIT else np.zeros(6)
    made = outputs_of(score, rows, np.where(index < 0, by_default, index).astype(np.int64))
    floats = {name: values.astype(np.float32) for name, values in made.items() if name != "explained_target"}
    vectors = made | floats | {"features": rows, TARGET_INDEX.name: index}
    (path / "conformance.parquet").write_bytes(to_parquet(vectors))
    (path / "conformance.json").write_bytes(to_json(vectors, sidecar))
    (path / "background.parquet").write_bytes(to_parquet({"features": REFERENCE[None], "weight": np.ones(1)}))
    write_sidecar(path, sidecar)
    return path


def _onnx(graph: Graph, sidecar: Sidecar) -> bytes:
    score = sidecar.score
    constants = {
        "weights": weights_of(score),
        "minus reference": -REFERENCE,
        "zero": np.int64(0),
        "axis": np.array([1]),
    }
    nodes = [helper.make_node("Gemm", ["features", "weights"], [score.output], transB=1)]
    if score.probabilities is not None:
        nodes.append(helper.make_node("Sigmoid", [score.output], ["probabilities"]))
    if graph.kind == "explain":
        nodes += _reasons(score)
    used = {name for node in nodes for name in node.input}
    made = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(spec.name, TYPES[spec.dtype], spec.shape) for spec in graph.inputs],
        [helper.make_tensor_value_info(spec.name, TYPES[spec.dtype], spec.shape) for spec in graph.outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    model = helper.make_model(made, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {METADATA_KEY: sidecar.embedded()})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _reasons(score: Score) -> list[NodeProto]:
    """From scores to attributions; the default is the larger logit, or the first quantity."""
    largest = helper.make_node("ArgMax", [score.output], ["largest"], axis=1, keepdims=0)
    first = helper.make_node("Mul", ["largest", "zero"], ["default"])
    if score is ONE_LOGIT:
        first = helper.make_node("Identity", ["largest"], ["default"])
    return [
        largest,
        first,
        helper.make_node("Less", ["target_index", "zero"], ["is default"]),
        helper.make_node("Where", ["is default", "default", "target_index"], ["explained_target"]),
        helper.make_node("Unsqueeze", ["explained_target", "axis"], ["column"]),
        helper.make_node("GatherElements", [score.output, "column"], ["own"], axis=1),
        helper.make_node("Squeeze", ["own", "axis"], ["score"]),
        helper.make_node("Gather", ["weights", "explained_target"], ["own weights"], axis=0),
        helper.make_node("Add", ["features", "minus reference"], ["change"]),
        helper.make_node("Mul", ["own weights", "change"], ["attribution"]),
        helper.make_node("ReduceSum", ["attribution", "axis"], ["sum"], keepdims=0),
        helper.make_node("Sub", ["score", "sum"], ["base_value"]),
        helper.make_node("Sub", ["score", "base_value"], ["difference"]),
        helper.make_node("Sub", ["sum", "difference"], ["signed"]),
        helper.make_node("Abs", ["signed"], ["completeness_error"]),
    ]
