"""Bundles made by hand that predict quantities: the linear model of `support.bundles`, whose outputs have units."""

import dataclasses
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from support.bundles import BIAS, WEIGHTS, linear_sidecar, logits_of, refresh_digests, with_outputs, write_vectors
from whyport.runtime.bundle.score import REGRESSION, VALUE, Score, Target
from whyport.runtime.bundle.sidecar import (
    BACKGROUND,
    CONFORMANCE,
    CONFORMANCE_JSON,
    METADATA_KEY,
    ONNX_MODEL,
    Capability,
    Sidecar,
)
from whyport.runtime.bundle.signature import TensorSpec

REFERENCES = np.array([[0, 0, 0], [1, 2, 3], [2, 0, -1], [-1, 1, 1]], dtype=np.float32)


def quantity_bundle(path: Path, targets: dict[str, str | None], column_unit: str | None = None) -> Path:
    """Write a bundle of the first outputs of f(x) = WEIGHTS x + BIAS on the columns a, b, c.

    Args:
        path: the folder.
        targets: one or two targets, with their units.
        column_unit: the unit of column a.
    """
    path.mkdir(parents=True)
    count, sidecar = len(targets), _sidecar(targets, column_unit)
    node = helper.make_node("Gemm", ["features", "weights", "bias"], ["value"], transB=1)
    graph = helper.make_graph(
        [node],
        "quantities",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["N", count])],
        [numpy_helper.from_array(WEIGHTS[:count], "weights"), numpy_helper.from_array(BIAS[:count], "bias")],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {METADATA_KEY: sidecar.embedded()})
    (path / ONNX_MODEL).write_bytes(model.SerializeToString())
    write_vectors(path / BACKGROUND, {"features": REFERENCES}, weight=np.full(4, 0.25))
    write_vectors(path / CONFORMANCE, {"features": REFERENCES, "value": logits_of(REFERENCES)[:, :count]})
    (path / CONFORMANCE_JSON).write_text("{}")
    refresh_digests(path, sidecar)
    return path


def _sidecar(targets: dict[str, str | None], column_unit: str | None) -> Sidecar:
    plain = linear_sidecar(False, ("a", "b", "c"), ("no", "yes"))
    (table,) = plain.inputs
    first, *others = table.columns
    columns = (dataclasses.replace(first, unit=column_unit), *others)
    valued = with_outputs(plain, (TensorSpec("value", "float32", ("N", len(targets))),))
    return dataclasses.replace(
        valued,
        inputs=(dataclasses.replace(table, columns=columns),),
        score=Score(REGRESSION, VALUE, "value", None, tuple(Target(*each) for each in targets.items())),
        graphs=valued.graphs[:1],
        capabilities=dict.fromkeys(plain.capabilities, Capability(False, "made by hand")),
    )
