"""Small bundles made by hand, from nothing but ONNX operators: their every output has a closed form."""

import dataclasses
import functools
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from whyport.exporter.deepshap import compile_deepshap
from whyport.runtime.bundle.columns import IMPUTE, NUMBER, REFUSE, Column, NumberStatistics
from whyport.runtime.bundle.folder import write_sidecar
from whyport.runtime.bundle.inputs import Axis, Input, TablePreparation
from whyport.runtime.bundle.score import CLASSIFICATION, LOGIT, Players, Score, Target
from whyport.runtime.bundle.sidecar import (
    BACKGROUND,
    CONFORMANCE,
    CONFORMANCE_JSON,
    DEEPSHAP_MODEL,
    FORMAT_VERSION,
    METADATA_KEY,
    ONNX_MODEL,
    SIDECAR,
    TORCHSCRIPT_MODEL,
    Baseline,
    Capability,
    Graph,
    Provenance,
    Sidecar,
)
from whyport.runtime.bundle.signature import TensorSpec

WEIGHTS = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]], dtype=np.float32)
BIAS = np.array([0.5, -0.25], dtype=np.float32)
IMPUTATION = np.array([10.0, 20.0, 30.0], dtype=np.float32)
BOUND = 5.0
"""The largest a + b of a bounded model."""


def logits_of(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """The oracle of every bundle of this file, in float64."""
    return rows.astype(np.float64) @ WEIGHTS.T.astype(np.float64) + BIAS


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def linear_bundle(
    path: Path,
    *,
    imputes: bool = True,
    names: tuple[str, str, str] = ("a", "b", "c"),
    classes: tuple[str, str] = ("no", "yes"),
    torchscript_bias: float = 0.0,
    maps: bool = False,
    bounded: bool = False,
) -> Path:
    """A bundle of the linear model f(x) = WEIGHTS x + BIAS on three features with training spread 1.

    With `maps` it has one channel of feature maps, the rows themselves, and attention softmax(x_q x_k) over k.
    `torchscript_bias` is added by model.pt alone: where it is not 0, the engines disagree. With `bounded`, the outputs
    are NaN where a + b > BOUND, and infinite where c < -BOUND - 2.
    """
    path.mkdir(parents=True)
    sidecar = linear_sidecar(imputes, names, classes)
    if maps:
        sidecar = _with_maps(sidecar)
    (path / ONNX_MODEL).write_bytes(_onnx_model(sidecar, imputes, bounded))
    _write_torchscript(path / TORCHSCRIPT_MODEL, torchscript_bias, maps, bounded)
    (path / DEEPSHAP_MODEL).write_bytes(_deepshap(torchscript_bias))
    background = np.array([[0, 0, 0], [1, 2, 3], [2, 0, -1], [-1, 1, 1]], dtype=np.float32)
    write_vectors(path / BACKGROUND, {"features": background}, weight=np.array([0.4, 0.3, 0.2, 0.1]))
    rows = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    logits = logits_of(rows)
    write_vectors(path / CONFORMANCE, {"features": rows, "logits": logits, "probabilities": softmax(logits)})
    (path / CONFORMANCE_JSON).write_text("{}")
    write_sidecar(path, sidecar)
    return path


def linear_sidecar(imputes: bool, names: tuple[str, ...], classes: tuple[str, ...]) -> Sidecar:
    numbers = NumberStatistics(-2.0, 2.0, 0.0, 1.0, 0.0, bin_edges=(0.0,), bin_fractions=(0.5, 0.5))
    known = {"kind": NUMBER, "unit": None, "missing_fraction": 0.0, "categories": None, "channels": ()}
    columns = tuple(
        Column(
            name=name,
            missing=IMPUTE if imputes else REFUSE,
            imputation=float(value) if imputes else None,
            numbers=numbers,
            **known,
        )
        for name, value in zip(names, IMPUTATION, strict=True)
    )
    rows = (TensorSpec("features", "float32", ("N", 3)),)
    outputs = (
        TensorSpec("logits", "float32", ("N", 2)),
        TensorSpec("probabilities", "float32", ("N", 2)),
    )
    files = {ONNX_MODEL: "predict", TORCHSCRIPT_MODEL: "torch", DEEPSHAP_MODEL: "deepshap"}
    return Sidecar(
        format_version=FORMAT_VERSION,
        name="linear",
        inputs=(Input("table", columns, TablePreparation("table", False), rows, (Axis("feature", 3, names),)),),
        players=Players(names, None),
        score=Score(CLASSIFICATION, LOGIT, "logits", "probabilities", tuple(Target(name, None) for name in classes)),
        baselines=(Baseline("background", "rows", BACKGROUND, 4, True, None, {}),),
        graphs=tuple(Graph(file, kind, None, rows, outputs, {}) for file, kind in files.items()),
        capabilities={
            "gradients": Capability(True, ""),
            "deepshap": Capability(True, ""),
            "explain-onnx": Capability(False, "made by hand"),
            "gradient-onnx": Capability(False, "made by hand"),
            "grad-cam": Capability(False, "no convolution"),
            "attention": Capability(False, "no attention"),
        },
        tolerances=dict.fromkeys(("outputs", "gradients", "attributions", "completeness"), 1e-4),
        parity=dict.fromkeys(("onnx_outputs", "torchscript_outputs", "torchscript_gradients"), 1e-7),
        provenance=Provenance("by hand", {}, None, None, {}, {}),
        files={},
        opset=18,
        ir_version=10,
    )


def _with_maps(sidecar: Sidecar) -> Sidecar:
    there = {"grad-cam": Capability(True, ""), "attention": Capability(True, "")}
    outputs = (*sidecar.signature.outputs, TensorSpec("attention", "float32", ("N", 3, 3)))
    return dataclasses.replace(with_outputs(sidecar, outputs), capabilities=sidecar.capabilities | there)


def with_outputs(sidecar: Sidecar, outputs: tuple[TensorSpec, ...]) -> Sidecar:
    """The sidecar of the same model with other outputs."""
    graphs = tuple(dataclasses.replace(graph, outputs=outputs) for graph in sidecar.graphs)
    return dataclasses.replace(sidecar, graphs=graphs)


def attention_of(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """The attention [N, 3, 3] of a bundle with maps."""
    rows = rows.astype(np.float64)
    return softmax((rows[:, :, None] * rows[:, None]).reshape(-1, 3)).reshape(-1, 3, 3)


def edit_sidecar(path: Path, **changes: object) -> None:
    """Overwrite top-level keys of bundle.json."""
    document = json.loads((path / SIDECAR).read_text())
    (path / SIDECAR).write_text(json.dumps(document | changes))


def refresh_digests(path: Path, sidecar: Sidecar) -> None:
    """Write bundle.json anew for the files as they are now."""
    write_sidecar(path, dataclasses.replace(sidecar, files={}))


def _onnx_model(sidecar: Sidecar, imputes: bool, bounded: bool) -> bytes:
    constants = {"weights": WEIGHTS, "bias": BIAS, "imputation": IMPUTATION}
    clean, linear = "clean" if imputes else "features", "linear" if bounded else "logits"
    nodes = [
        helper.make_node("Gemm", [clean, "weights", "bias"], [linear], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    if bounded:
        constants |= {
            "minus": np.array([[-1, -1, 0]] * 2, dtype=np.float32),
            "bound": np.full(2, BOUND, dtype=np.float32),
            "zero": np.float32(0),
            "below": np.array([[0, 0, -1]] * 2, dtype=np.float32),
            "minus bound": np.full(2, -BOUND, dtype=np.float32),
            "huge": np.float32(3e38),
        }
        nodes[1:1] = [
            helper.make_node("Gemm", [clean, "minus", "bound"], ["room"], transB=1),
            helper.make_node("Sqrt", ["room"], ["root"]),
            helper.make_node("Mul", ["root", "zero"], ["nothing"]),
            helper.make_node("Gemm", [clean, "below", "minus bound"], ["beyond"], transB=1),
            helper.make_node("Relu", ["beyond"], ["excess"]),
            helper.make_node("Mul", ["excess", "huge"], ["infinite"]),
            helper.make_node("Sum", ["linear", "nothing", "infinite"], ["logits"]),
        ]
    if imputes:
        nodes.insert(0, helper.make_node("Where", ["missing", "imputation", "features"], ["clean"]))
        nodes.insert(0, helper.make_node("IsNaN", ["features"], ["missing"]))
    outputs = sidecar.signature.outputs
    if len(outputs) > 2:
        constants |= {"query axis": np.array([2]), "key axis": np.array([1])}
        clean = "clean" if imputes else "features"
        nodes += [
            helper.make_node("Unsqueeze", [clean, "query axis"], ["queries"]),
            helper.make_node("Unsqueeze", [clean, "key axis"], ["keys"]),
            helper.make_node("Mul", ["queries", "keys"], ["products"]),
            helper.make_node("Softmax", ["products"], ["attention"], axis=2),
        ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info(spec.name, TensorProto.FLOAT, spec.shape) for spec in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if imputes or name != "imputation"],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {METADATA_KEY: sidecar.embedded()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


class LinearModel(torch.nn.Module):
    """The model of every bundle of this file, in PyTorch, with something added to the bias."""

    def __init__(self, extra_bias: float, bounded: bool = False) -> None:
        super().__init__()
        self.bounded = bounded
        self.linear = torch.nn.Linear(3, 2)
        self.linear.weight.data = torch.tensor(WEIGHTS)
        self.linear.bias.data = torch.tensor(BIAS + np.float32(extra_bias))

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.linear(rows)
        if self.bounded:
            logits = logits + 0 * torch.sqrt(BOUND - rows[:, :2].sum(1, keepdim=True))
            logits = logits + 3e38 * torch.relu(-rows[:, 2:] - BOUND)
        return logits, torch.softmax(logits, 1)


class MappedModel(LinearModel):
    """The same by way of feature maps, with attention."""

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.unsqueeze(1)

    def classify(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows = maps[:, 0]
        logits = self.linear(rows)
        return logits, torch.softmax(logits, 1), torch.softmax(rows.unsqueeze(2) * rows.unsqueeze(1), 2)

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.classify(self.features(rows))


def _write_torchscript(path: Path, extra_bias: float, maps: bool, bounded: bool) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        if maps:
            torch.jit.script(MappedModel(extra_bias).eval()).save(str(path))
            return
        torch.jit.trace(LinearModel(extra_bias, bounded).eval(), torch.zeros(2, 3)).save(str(path))


@functools.cache
def _deepshap(extra_bias: float) -> bytes:
    return compile_deepshap(LinearModel(extra_bias).eval(), torch.arange(15.0).reshape(5, 3))


def write_vectors(path: Path, tensors: dict[str, NDArray[np.floating]], **columns: NDArray[np.floating]) -> None:
    lists = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float32).reshape(-1)), values[0].size)
        for name, values in tensors.items()
    }
    pq.write_table(pa.table(lists | columns), path)
