"""A bundle made by hand over a raw table, with a closed form: numbers, texts, dates and booleans."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from support.bundles import softmax, write_vectors
from support.columns import category_column, number_column, time_column
from whyport.runtime.bundle.columns import NumberStatistics
from whyport.runtime.bundle.folder import write_sidecar
from whyport.runtime.bundle.inputs import Axis, Input, TablePreparation
from whyport.runtime.bundle.score import CLASSIFICATION, LOGIT, Players, Score, Target
from whyport.runtime.bundle.sidecar import (
    BACKGROUND,
    CONFORMANCE,
    CONFORMANCE_JSON,
    FORMAT_VERSION,
    METADATA_KEY,
    ONNX_MODEL,
    Baseline,
    Capability,
    Graph,
    Provenance,
    Sidecar,
)
from whyport.runtime.bundle.signature import TensorSpec

AGES = NumberStatistics(0.0, 100.0, 40.0, 20.0, 30.0, bin_edges=(30.0,), bin_fractions=(0.5, 0.5))
COLUMNS = (
    number_column("age", statistics=AGES),
    category_column("region", ("north", "south")),
    time_column("since"),
    category_column("grade", ("1", "2"), "number"),
    category_column("member", ("false", "true"), "boolean"),
)
NAMES = tuple(column.name for column in COLUMNS)
PARTS: Mapping[str, Sequence[float]] = {
    "region": (1.0, -1.0, 0.25, 0.5),
    "grade": (2.0, -2.0, 0.125, -0.5),
    "member": (0.0, 3.0, 1.5, 0.75),
}
"""What each code of a category adds to the score of "yes": the known ones, an unseen one, and a missing one."""
SLOPES = {"age": 0.1, "since": 0.001}
IMPUTED = {"age": 30.0, "since": 19000.0}

RAW: dict[str, list[Any]] = {
    "age": [20.0, 30.0, 40.0, 50.0],
    "region": ["north", "south", "north", "south"],
    "since": [dt.date(2020, 1, 1), dt.date(2021, 1, 1), dt.date(2022, 1, 1), dt.date(2023, 1, 1)],
    "grade": [1, 2, 1, 2],
    "member": [True, False, True, True],
}


def yes_of(codes: NDArray[np.floating]) -> NDArray[np.float64]:
    """The oracle: the score of "yes" for rows of codes [N, F]; that of "no" is 0."""
    total = np.zeros(len(codes))
    for j, name in enumerate(NAMES):
        values = codes[:, j].astype(np.float64)
        if name in PARTS:
            total += np.asarray(PARTS[name])[values.astype(int)]
        else:
            total += SLOPES[name] * np.where(np.isnan(values), IMPUTED[name], values)
    return total


def mixed_bundle(path: Path) -> Path:
    """Write the bundle."""
    path.mkdir(parents=True)
    sidecar = mixed_sidecar()
    (path / ONNX_MODEL).write_bytes(_model(sidecar))
    background = np.array([[30, 0, 18262, 0, 1], [50, 1, 19000, 1, 0], [40, 0, 18500, 3, 3]], dtype=np.float32)
    write_vectors(path / BACKGROUND, {"features": background}, weight=np.array([0.5, 0.25, 0.25]))
    logits = np.stack([np.zeros(3), yes_of(background)], axis=1)
    write_vectors(path / CONFORMANCE, {"features": background, "logits": logits, "probabilities": softmax(logits)})
    (path / CONFORMANCE_JSON).write_text("{}")
    write_sidecar(path, sidecar)
    return path


def mixed_sidecar() -> Sidecar:
    kinds = {"region": "string"}
    tensors = tuple(TensorSpec(name, kinds.get(name, "float32"), ("N", 1)) for name in NAMES)
    outputs = tuple(TensorSpec(name, "float32", ("N", 2)) for name in ("logits", "probabilities"))
    other = ("gradients", "deepshap", "explain-onnx", "gradient-onnx", "grad-cam", "attention")
    return Sidecar(
        format_version=FORMAT_VERSION,
        name="mixed",
        inputs=(Input("table", COLUMNS, TablePreparation("table", False), tensors, (Axis("feature", 5, NAMES),)),),
        players=Players(NAMES, None),
        score=Score(CLASSIFICATION, LOGIT, "logits", "probabilities", (Target("no", None), Target("yes", None))),
        baselines=(Baseline("background", "rows", BACKGROUND, 3, True, None, {}),),
        graphs=(Graph(ONNX_MODEL, "predict", None, tensors, outputs, {}),),
        capabilities=dict.fromkeys(other, Capability(False, "made by hand")),
        tolerances=dict.fromkeys(("outputs", "gradients", "attributions", "completeness"), 1e-4),
        parity={"onnx_outputs": 1e-7},
        provenance=Provenance("by hand", {}, None, None, {}, {}),
        files={},
        opset=18,
        ir_version=10,
    )


def _model(sidecar: Sidecar) -> bytes:
    nodes: list[NodeProto] = []
    constants = {f"{name} slope": np.float32(slope) for name, slope in SLOPES.items()}
    constants |= {f"{name} imputed": np.float32(value) for name, value in IMPUTED.items()}
    for column in COLUMNS:
        name = column.name
        if column.categories is None:
            nodes += [
                helper.make_node("IsNaN", [name], [f"{name} missing"]),
                helper.make_node("Where", [f"{name} missing", f"{name} imputed", name], [f"{name} whole"]),
                helper.make_node("Mul", [f"{name} whole", f"{name} slope"], [f"{name} part"]),
            ]
            continue
        values, (*parts, other, missing) = column.categories.values, PARTS[name]
        if column.categories.type == "text":
            nodes.append(_encoder(name, f"{name} part", keys_strings=[*values, ""], values=[*parts, missing, other]))
            continue
        numbers = [0.0, 1.0] if column.categories.type == "boolean" else [float(value) for value in values]
        constants[f"{name} absent"] = np.float32(missing)
        nodes += [
            _encoder(name, f"{name} known", keys_floats=numbers, values=[*parts, other]),
            helper.make_node("IsNaN", [name], [f"{name} missing"]),
            helper.make_node("Where", [f"{name} missing", f"{name} absent", f"{name} known"], [f"{name} part"]),
        ]
    constants["zero"] = np.float32(0)
    nodes += [
        helper.make_node("Sum", [f"{name} part" for name in NAMES], ["yes"]),
        helper.make_node("Mul", ["yes", "zero"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["logits"], axis=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    types = {"float32": TensorProto.FLOAT, "string": TensorProto.STRING}
    signature = sidecar.signature
    graph = helper.make_graph(
        nodes,
        "mixed",
        [helper.make_tensor_value_info(spec.name, types[spec.dtype], spec.shape) for spec in signature.inputs],
        [helper.make_tensor_value_info(spec.name, types[spec.dtype], spec.shape) for spec in signature.outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    helper.set_model_props(model, {METADATA_KEY: sidecar.embedded()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _encoder(source: str, result: str, values: Sequence[float], **keys: Any) -> NodeProto:
    """A look-up of one value a key, and of the last one for any other."""
    known = {"values_floats": values[:-1], "default_float": values[-1]}
    return helper.make_node("LabelEncoder", [source], [result], domain="ai.onnx.ml", **keys, **known)
