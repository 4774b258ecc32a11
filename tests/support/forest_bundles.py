"""Bundles of trees made by hand: model.onnx sums the leaves of trees.npz with ONNX Runtime's own operator."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from support.bundles import linear_sidecar, write_vectors
from whyport.runtime.bundle.columns import MODEL
from whyport.runtime.bundle.folder import write_sidecar
from whyport.runtime.bundle.inputs import Axis
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.score import CLASSIFICATION, MARGIN, VALUE, Score, Target
from whyport.runtime.bundle.sidecar import (
    BACKGROUND,
    CONFORMANCE,
    CONFORMANCE_JSON,
    METADATA_KEY,
    ONNX_MODEL,
    TREES_FILE,
    Baseline,
    Capability,
    Graph,
    Sidecar,
)
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.trees import Trees

NO_GRADIENTS = "trees have no gradients: they are constant but for jumps; treeshap explains them"


def tree_bundle(
    path: Path, trees: Trees, references: References, names: tuple[str, ...], targets: tuple[str, ...], task: str
) -> Path:
    """A bundle of trees over columns of numbers.

    Args:
        path: its folder.
        trees: the trees; leaves that float32 holds.
        references: the background.
        names: the columns' names.
        targets: the names of the scores.
        task: CLASSIFICATION by margins, or REGRESSION.
    """
    path.mkdir(parents=True)
    sidecar = _sidecar(names, targets, task, len(references.rows))
    (path / ONNX_MODEL).write_bytes(_onnx(trees, sidecar))
    (path / TREES_FILE).write_bytes(trees.write())
    write_vectors(path / BACKGROUND, {"features": references.rows}, weight=references.weights)
    (path / CONFORMANCE_JSON).write_text("{}")
    scores = trees.scores(references.rows)
    vectors = {"features": references.rows, sidecar.score.output: scores}
    if sidecar.score.probabilities is not None:
        vectors["probabilities"] = 1 / (1 + np.exp(-scores))
    write_vectors(path / CONFORMANCE, vectors)
    write_sidecar(path, sidecar)
    return path


def _sidecar(names: tuple[str, ...], targets: tuple[str, ...], task: str, references: int) -> Sidecar:
    base = linear_sidecar(False, names[:3], targets)
    table = base.inputs[0]
    columns = tuple(dataclasses.replace(table.columns[0], name=name, missing=MODEL) for name in names)
    rows = (TensorSpec("features", "float32", ("N", len(names))),)
    is_classes = task == CLASSIFICATION
    score = Score(
        task,
        MARGIN if is_classes else VALUE,
        "margin" if is_classes else "value",
        "probabilities" if is_classes else None,
        tuple(Target(name, None) for name in targets),
    )
    outputs = tuple(
        TensorSpec(name, "float32", ("N", len(targets)))
        for name in (score.output, score.probabilities)
        if name is not None
    )
    reasons = {name: Capability(False, NO_GRADIENTS) for name in base.capabilities}
    return dataclasses.replace(
        base,
        name="trees",
        inputs=(dataclasses.replace(table, columns=columns, tensors=rows, axes=(Axis("feature", len(names), names),)),),
        players=dataclasses.replace(base.players, names=names),
        score=score,
        baselines=(Baseline("background", "rows", BACKGROUND, references, True, None, {}),),
        graphs=(
            Graph(ONNX_MODEL, "predict", None, rows, outputs, {}),
            Graph(TREES_FILE, "trees", None, (), (), {}),
        ),
        capabilities=reasons | {"treeshap": Capability(True, "")},
        tolerances=base.tolerances | dict.fromkeys(("outputs", "completeness"), 1e-5),
        parity={"onnx_outputs": 1e-7},
    )


def _onnx(trees: Trees, sidecar: Sidecar) -> bytes:
    score = sidecar.score
    nodes = [
        helper.make_node("Gather", ["features", "columns"], ["cells"], axis=1),
        _ensemble(trees),
        helper.make_node("Gemm", ["raw", "weights", "offset"], [score.output], transB=1),
    ]
    if score.probabilities is not None:
        nodes.append(helper.make_node("Sigmoid", [score.output], [score.probabilities]))
    constants: dict[str, NDArray[Any]] = {
        "columns": trees.columns.astype(np.int64),
        "weights": trees.weights.astype(np.float32),
        "offset": trees.offset.astype(np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "trees",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", len(sidecar.column_names)])],
        [helper.make_tensor_value_info(each.name, TensorProto.FLOAT, each.shape) for each in sidecar.signature.outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    helper.set_model_props(model, {METADATA_KEY: sidecar.embedded()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _ensemble(trees: Trees) -> NodeProto:
    """The trees' raw scores by TreeEnsembleRegressor."""
    tree = np.searchsorted(trees.roots, np.arange(len(trees.cell)), side="right") - 1
    node = np.arange(len(trees.cell)) - trees.roots[tree]
    is_leaf = trees.left < 0

    def child(side: NDArray[np.int32]) -> list[int]:
        return np.where(is_leaf, 0, side - trees.roots[tree]).tolist()

    leaves = np.flatnonzero(is_leaf).repeat(trees.value.shape[1])
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["cells"],
        ["raw"],
        domain="ai.onnx.ml",
        n_targets=trees.value.shape[1],
        nodes_treeids=tree.tolist(),
        nodes_nodeids=node.tolist(),
        nodes_featureids=np.maximum(trees.cell, 0).tolist(),
        nodes_modes=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_values=trees.threshold.tolist(),
        nodes_truenodeids=child(trees.left),
        nodes_falsenodeids=child(trees.right),
        nodes_missing_value_tracks_true=trees.missing_left.astype(int).tolist(),
        target_treeids=tree[leaves].tolist(),
        target_nodeids=node[leaves].tolist(),
        target_ids=np.tile(np.arange(trees.value.shape[1]), is_leaf.sum()).tolist(),
        target_weights=trees.value[is_leaf].reshape(-1).tolist(),
    )
