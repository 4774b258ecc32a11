"""The names of the tensors in an ONNX graph: found, made and changed."""

from collections.abc import Iterator

from google.protobuf.message import Message  # type: ignore[import-untyped]
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto

from whyport.exporter.graphs.onnx import walk


def rename(graph: GraphProto, names: dict[str, str], reserved: set[str]) -> None:
    """Rename tensors; others that have a reserved name make way for them."""
    used = used_names(graph)
    names = names | {name: free_name(name, used) for name in (reserved - set(names)) & used}
    for message in walk(graph):
        if isinstance(message, NodeProto):
            message.input[:] = [names.get(name, name) for name in message.input]
            message.output[:] = [names.get(name, name) for name in message.output]
        elif isinstance(message, ValueInfoProto | TensorProto) and message.name in names:
            message.name = names[message.name]


def free_name(name: str, used: set[str]) -> str:
    """The name with the first number behind it that is not used."""
    return next(f"{name}.{i}" for i in range(len(used) + 1) if f"{name}.{i}" not in used)


def used_names(graph: GraphProto) -> set[str]:
    """Every name of a tensor."""
    return {name for message in walk(graph) for name in _names(message)}


def _names(message: Message) -> Iterator[str]:
    if isinstance(message, NodeProto):
        yield from (*message.input, *message.output)
    elif isinstance(message, ValueInfoProto | TensorProto):
        yield message.name
