"""The operators of an ONNX file, found without the package onnx."""

from collections.abc import Iterator

from whyport.runtime.bundle.protobuf import LENGTH, fields

GRAPH, NODE, OPERATOR = 7, 1, 4
"""Fields of ModelProto, GraphProto and NodeProto (onnx.proto)."""

ON_THE_CPU = (
    *("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"),
    *("SVMClassifier", "SVMRegressor", "LinearClassifier", "LinearRegressor"),
)
"""Whole models that are one operator, of the domain ai.onnx.ml, for which ONNX Runtime has code on the CPU alone."""


OF_ALL_ROWS = "DynamicQuantize"
"""How the names of the operators begin that take a range of all rows of a call."""


def operators(content: bytes) -> frozenset[str]:
    """The names of the operators of an ONNX file's graph, without those in the bodies of loops and conditions.

    Raises BundleFormatError where the content is no ONNX file.
    """
    return frozenset(
        content[start:stop].decode("utf-8", "replace")
        for graph in _embedded(content, GRAPH, (0, len(content)))
        for node in _embedded(content, NODE, graph)
        for start, stop in _embedded(content, OPERATOR, node)
    )


def model_on_the_cpu(content: bytes) -> str | None:
    """The name of an operator of an ONNX file that is a model in itself and runs on the CPU alone; None without one."""
    return next(iter(sorted(operators(content).intersection(ON_THE_CPU))), None)


def mixes_rows(content: bytes) -> bool:
    """Whether an ONNX file quantises by the range of all rows of a call: a row's answer then depends on the others."""
    return any(name.startswith(OF_ALL_ROWS) for name in operators(content))


def _embedded(content: bytes, wanted: int, place: tuple[int, int]) -> Iterator[tuple[int, int]]:
    for number, wire_type, start, after in fields(content, *place):
        if number == wanted and wire_type == LENGTH:
            yield start, after
