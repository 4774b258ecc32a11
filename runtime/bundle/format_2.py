"""Version 2 of the sidecar: read as strictly as it always was, and told in the terms of version 3."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from whyport.runtime.bundle.codec import build
from whyport.runtime.bundle.columns import IMPUTE, NUMBER, REFUSE, NumberStatistics
from whyport.runtime.bundle.constraints import (
    Ascending,
    AtLeastOne,
    AxisName,
    Count,
    DataType,
    Different,
    Digest,
    FileName,
    Name,
    Number,
    Share,
    Size,
    Text,
    Tolerance,
    Version,
    Whole,
    Within,
)
from whyport.runtime.bundle.score import CLASSIFICATION, LOGIT, PROBABILITY
from whyport.runtime.errors import BundleFormatError, listing, unknown

KINDS = {"classification": (LOGIT, "logits"), "classification-by-probability": (PROBABILITY, "probabilities")}
"""The tasks of version 2: the score's kind and output."""


@dataclass(frozen=True)
class Tensor2:
    """One input or output of a graph."""

    name: Name
    dtype: DataType
    shape: Annotated[tuple[Count | AxisName, ...], AtLeastOne()]
    columns: tuple[Name, ...]


@dataclass(frozen=True)
class Signature2:
    """The inputs and outputs of every graph."""

    inputs: Annotated[tuple[Tensor2, ...], AtLeastOne()]
    outputs: Annotated[tuple[Tensor2, ...], AtLeastOne()]


@dataclass(frozen=True)
class Feature2:
    """One feature column."""

    name: Name
    minimum: Number
    maximum: Number
    mean: Number
    standard_deviation: Size
    median: Number
    missing_fraction: Share
    bin_edges: Annotated[tuple[Number, ...], Ascending()]
    bin_fractions: tuple[Share, ...]


@dataclass(frozen=True)
class Preprocessing2:
    """The treatment of raw values by the graphs."""

    imputation: tuple[Number, ...] | None
    standardised: bool


@dataclass(frozen=True)
class Capability2:
    """Whether the bundle can serve a family of explanations."""

    available: bool
    reason: Text


@dataclass(frozen=True)
class Tolerances2:
    """The largest differences that are allowed."""

    outputs: Tolerance
    gradients: Tolerance
    attributions: Tolerance
    completeness: Tolerance


@dataclass(frozen=True)
class Parity2:
    """The largest deviations measured at export."""

    batch_sizes: tuple[Count, ...]
    onnx_outputs: Size | None
    torchscript_outputs: Size | None
    torchscript_gradients: Size | None
    explain_outputs: Size | None
    explain_attributions: Size | None
    explain_completeness: Size | None
    gradient_outputs: Size | None
    gradient_gradients: Size | None


@dataclass(frozen=True)
class Summary2:
    """The few weighted references of explain.onnx."""

    file: FileName
    rows: Count
    method: Text
    distances: dict[Text, Size]


@dataclass(frozen=True)
class Provenance2:
    """The origin of a bundle."""

    source: Text
    settings: dict[Text, Text | Whole | Number | bool | None]
    seed: Whole | None
    data_digest: Digest | None
    versions: dict[Text, Text]
    metrics: dict[Text, Number]


@dataclass(frozen=True)
class Sidecar2:
    """The contents of bundle.json."""

    format_version: Annotated[int, Within(1, 2)]
    name: Text
    task: Text
    signature: Signature2
    classes: Annotated[tuple[Text, ...], AtLeastOne(), Different("class names")]
    features: Annotated[tuple[Feature2, ...], AtLeastOne()]
    preprocessing: Preprocessing2
    capabilities: dict[Text, Capability2]
    background: FileName | None
    summary: Summary2 | None
    opset: Version
    ir_version: Version
    tolerances: Tolerances2
    provenance: Provenance2
    parity: Parity2
    files: dict[FileName, Digest]

    def has(self, *capabilities: str) -> bool:
        """Whether the bundle can serve one of some families."""
        return any(name in self.capabilities and self.capabilities[name].available for name in capabilities)


def to_version_3(document: object) -> dict[str, Any]:
    """A document of version 2 in the keys of version 3; its `format_version` stays.

    Raises BundleFormatError where it is not one of version 2, naming the path there.
    """
    old = build(Sidecar2, document)
    _check_inputs(old)
    if old.task not in KINDS:
        raise BundleFormatError(unknown("task", old.task, KINDS))
    rows = _tensor(old.signature.inputs[0])
    width, names = len(old.features), [feature.name for feature in old.features]
    kept = ("name", "capabilities", "opset", "ir_version", "provenance", "files")
    plain = asdict(old)
    kind, output = KINDS[old.task]
    table = {
        "name": "table",
        "columns": [_column(old, j) for j in range(width)],
        "prepare": {"kind": "table", "standardised": old.preprocessing.standardised},
        "tensors": [rows],
        "axes": [{"name": "feature", "length": width, "labels": names}],
    }
    converted: dict[str, Any] = _listed(
        {
            "format_version": old.format_version,
            **{key: plain[key] for key in kept},
            "inputs": [table],
            "players": {"names": names, "cells": None},
            "score": {
                "task": CLASSIFICATION,
                "kind": kind,
                "output": output,
                "probabilities": "probabilities",
                "targets": [{"name": name, "unit": None} for name in old.classes],
            },
            "baselines": _baselines(old),
            "graphs": _graphs(old, rows),
            "tolerances": plain["tolerances"],
            "parity": {
                key: value for key, value in plain["parity"].items() if key != "batch_sizes" and value is not None
            },
        }
    )
    return converted


def _check_inputs(old: Sidecar2) -> None:
    """Raise BundleFormatError unless the one input is fed by the features."""
    width, names = len(old.features), tuple(feature.name for feature in old.features)
    inputs, imputation = old.signature.inputs, old.preprocessing.imputation
    if len(inputs) != 1 or inputs[0].columns != names or inputs[0].shape != ("N", width):
        got = listing(f"{spec.name} {list(spec.shape)} of {len(spec.columns)} columns" for spec in inputs)
        raise BundleFormatError(f"$.signature.inputs: expected one input [N, {width}] fed by the features, got {got}")
    if inputs[0].dtype != "float32":
        raise BundleFormatError(f"$.signature.inputs[0].dtype: expected float32, got {inputs[0].dtype}")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise BundleFormatError(f"$.features: expected feature names to differ, got {listing(repeated)} twice")
    if imputation is not None and len(imputation) != width:
        raise BundleFormatError(
            f"$.preprocessing.imputation: expected {width} imputation values, got {len(imputation)}"
        )
    for i, spec in enumerate(old.signature.outputs):
        if spec.columns:
            got = listing(spec.columns)
            raise BundleFormatError(f"$.signature.outputs[{i}].columns: expected none for an output, got {got}")


def _column(old: Sidecar2, place: int) -> dict[str, Any]:
    feature, imputation = asdict(old.features[place]), old.preprocessing.imputation
    return {
        "name": feature["name"],
        "kind": NUMBER,
        "unit": None,
        "missing": REFUSE if imputation is None else IMPUTE,
        "imputation": None if imputation is None else imputation[place],
        "missing_fraction": feature["missing_fraction"],
        "numbers": {key: feature[key] for key in NumberStatistics.__dataclass_fields__},
        "categories": None,
        "channels": [],
    }


def _baselines(old: Sidecar2) -> list[dict[str, Any]]:
    def rows(name: str, file: str, **known: Any) -> dict[str, Any]:
        nothing: dict[str, Any] = {"rows": None, "weighted": True, "method": None, "figures": {}}
        return {"name": name, "kind": "rows", "file": file, **nothing, **known}

    baselines = [] if old.background is None else [rows("background", old.background)]
    if old.summary is not None:
        known = {"rows": old.summary.rows, "method": old.summary.method, "figures": old.summary.distances}
        baselines.append(rows("summary", old.summary.file, **known))
    return baselines


def _graphs(old: Sidecar2, rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The files that compute; what a file gave was fixed by the version."""

    def graph(file: str, kind: str, inputs: list[Any], outputs: list[Any]) -> dict[str, Any]:
        return {"file": file, "kind": kind, "variant": None, "inputs": inputs, "outputs": outputs, "figures": {}}

    def one(name: str, dtype: str = "float32", *shape: int) -> dict[str, Any]:
        return {"name": name, "dtype": dtype, "shape": ["N", *shape]}

    outputs = [_tensor(spec) for spec in old.signature.outputs]
    of_task = [spec for spec in outputs if spec["name"] in ("logits", "probabilities")]
    explained = [*of_task, one("explained_class", "int64"), one("score")]
    asked = [rows, one("class_index", "int64")]
    width = len(old.features)
    graphs = [graph("model.onnx", "predict", [rows], outputs)]
    if old.has("gradients", "grad-cam", "deepshap"):
        graphs.append(graph("model.pt", "torch", [rows], outputs))
    if old.has("deepshap"):
        graphs.append(graph("deepshap.pt", "deepshap", [], []))
    if old.has("explain-onnx"):
        reasons = [one("base_value"), one("attribution", "float32", width), one("completeness_error")]
        graphs.append(graph("explain.onnx", "explain", asked, [*explained, *reasons]))
    if old.has("gradient-onnx"):
        graphs.append(graph("gradient.onnx", "gradient", asked, [*explained, one("gradient", "float32", width)]))
    return graphs


def _tensor(spec: Tensor2) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}


def _listed(value: Any) -> Any:
    """The value with lists for tuples, as JSON has them."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
