"""The nodes of an ONNX graph that some of its tensors depend on."""

from collections.abc import Iterable, Iterator

from onnx import GraphProto, NodeProto


def ancestors(graph: GraphProto, names: Iterable[str]) -> list[NodeProto]:
    """The nodes that tensors depend on, in the graph's order."""
    wanted, found = set(names), []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            found.append(node)
            wanted.update(names_read(node))
    return found[::-1]


def prune(graph: GraphProto) -> None:
    """Remove the nodes and constants that no output of the graph depends on."""
    needed = ancestors(graph, (output.name for output in graph.output))
    used = {output.name for output in graph.output}.union(*(names_read(node) for node in needed))
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    sparse = [tensor for tensor in graph.sparse_initializer if tensor.values.name in used]
    dead = {tensor.name for tensor in graph.initializer if tensor.name not in used}
    inputs = [value for value in graph.input if value.name not in dead]
    for field, values in (
        (graph.node, needed),
        (graph.initializer, kept),
        (graph.sparse_initializer, sparse),
        (graph.input, inputs),
    ):
        copies = list(values)
        del field[:]
        field.extend(copies)


def names_read(node: NodeProto) -> set[str]:
    """The names that a node reads, those that its inner graphs read among them."""
    inner = all_nodes([node])
    names = {name for each in inner for name in each.input}
    return names.union(*({value.name for value in graph.output} for graph in inner_graphs(node)))


def inner_graphs(node: NodeProto) -> list[GraphProto]:
    """The graphs inside a node: the branches of an If, the body of a loop."""
    return [entry.g for entry in node.attribute if entry.HasField("g")]


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes, and those of the graphs inside them."""
    for node in nodes:
        yield node
        for graph in inner_graphs(node):
            yield from all_nodes(graph.node)
