"""Repairs of ONNX files that are right but for their form: operator sets, versions, lengths of -1, maps for outputs."""

import logging
from collections.abc import Iterator, Sequence

import onnx
from onnx import NodeProto, TensorProto, TensorShapeProto, defs, helper

from whyport.exporter.graphs.onnx import DEFAULT_OPSET, GREATEST_OPSET, walk

logger = logging.getLogger(__name__)

LEAST_IR = 4
"""Before it, every constant had to be an input too."""
LEAST_OPSET = 8
"""The oldest default operator set that a missing one may be."""
ZIP_MAP = "ZipMap"


def repair(model: onnx.ModelProto) -> str:
    """Repair a model in place: operator sets missing or doubled, old IR versions, lengths of -1, outputs that are maps.

    Returns:
        Why it cannot be repaired: an operator means one thing in one of the possible sets, and another in the next.
    """
    if ambiguity := _repair_operator_sets(model):
        return ambiguity
    _take_maps_away(model)
    _free_negative_lengths(model)
    if model.ir_version < LEAST_IR:
        model.ir_version = LEAST_IR
    return ""


def _repair_operator_sets(model: onnx.ModelProto) -> str:
    versions: dict[str, list[int]] = {}
    for entry in model.opset_import:
        versions.setdefault("" if entry.domain == "ai.onnx" else entry.domain, []).append(entry.version)
    possible = {domain: sorted(set(found)) for domain, found in versions.items()}
    doubts = {
        domain: f"imports the {_named(domain)} {len(found)} times, of versions {found}"
        for domain, found in versions.items()
        if len(found) > 1
    }
    if "" not in versions and versions:
        own = any(_domain(node) == "" for node in _nodes(model))
        possible[""] = _versions_of_ir(model.ir_version) if own else [DEFAULT_OPSET]
        doubts[""] = f"imports no default operator set, only {list(versions)}"
    for domain, what in doubts.items():
        if operator := _disagreement(model, domain, possible[domain]):
            return f"{what}, and {operator} is not the same in versions {possible[domain]}; expected one"
        logger.info("the file %s: taken as version %d, as its operators are the same", what, possible[domain][-1])
    if doubts:
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(domain, found[-1]) for domain, found in possible.items())
        model.ir_version = max(model.ir_version, helper.find_min_ir_version_for(model.opset_import, True))
    return ""


def _versions_of_ir(ir_version: int) -> list[int]:
    """The default operator sets of the releases of ONNX that wrote files of an IR version."""
    found = {row[2] for row in helper.VERSION_TABLE if row[1] == ir_version}
    return sorted(version for version in found if LEAST_OPSET <= version <= GREATEST_OPSET) or [DEFAULT_OPSET]


def _disagreement(model: onnx.ModelProto, domain: str, versions: Sequence[int]) -> str:
    """An operator of the domain that is not the same in all versions; empty where there is none."""
    for node in _nodes(model):
        if _domain(node) == domain:
            first, *others = (_form(node.op_type, version, domain) for version in versions)
            if any(form != first for form in others):
                return str(node.op_type)
    return ""


def _form(operator: str, version: int, domain: str) -> tuple[object, ...]:
    """What an operator takes and gives in a version: inputs, outputs, attributes and their defaults.

    Between two versions of one form it has at most more types.
    """
    try:
        schema = defs.get_schema(operator, version, domain)
    except defs.SchemaError:
        return ()
    attributes = {name: str(entry.default_value) for name, entry in schema.attributes.items()}
    return len(schema.inputs), len(schema.outputs), sorted(attributes.items())


def _take_maps_away(model: onnx.ModelProto) -> None:
    """Outputs of ZipMap, a map from classes to numbers for each row, become the numbers [N, K]."""
    outputs = {value.name: value for value in model.graph.output}
    for node in list(model.graph.node):
        if node.op_type != ZIP_MAP or node.domain != "ai.onnx.ml":
            continue
        given = node.output[0]
        node.CopyFrom(helper.make_node("Identity", [node.input[0]], [given]))
        if given in outputs:
            outputs[given].CopyFrom(helper.make_tensor_value_info(given, TensorProto.FLOAT, ["N", None]))


def _free_negative_lengths(model: onnx.ModelProto) -> None:
    """Axes of length -1 become axes of any length, which paddle2onnx writes so, and ONNX Runtime reads so."""
    for message in walk(model):
        if isinstance(message, TensorShapeProto):
            for axis in message.dim:
                if axis.HasField("dim_value") and axis.dim_value < 0:
                    axis.ClearField("dim_value")


def _named(domain: str) -> str:
    return f"operator set {domain!r}" if domain else "default operator set"


def _domain(node: NodeProto) -> str:
    return "" if node.domain == "ai.onnx" else str(node.domain)


def _nodes(model: onnx.ModelProto) -> Iterator[NodeProto]:
    return (message for message in walk(model) if isinstance(message, NodeProto))
