"""Outputs as people write them, against the network's own linear layer."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from whyport.exporter.deepshap import build_program
from whyport.exporter.graphs.graph import Graph, build_graph
from whyport.exporter.graphs.onnx import compile_onnx
from whyport.exporter.graphs.torchscript import compile_torchscript, load_torchscript
from whyport.runtime.errors import ExportError, UsageError
from whyport.runtime.task import Classification, Regression, Task

ROWS = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


@dataclass
class Output:
    loss: None
    logits: Tensor
    hidden: Tensor


class ModelOutput(OrderedDict[str, Tensor]):
    """A dictionary whose entries are attributes too, as the package transformers returns it."""

    def __getattr__(self, name: str) -> Tensor:
        return self[name]


class Named(NamedTuple):
    hidden: Tensor
    prediction: Tensor


class Plain:
    """An object of no particular kind."""

    def __init__(self, value: Tensor, hidden: Tensor) -> None:
        self.value = value
        self.hidden = hidden


class Network(nn.Module):
    def __init__(self, wrap: Callable[[Tensor, Tensor], Any], outputs: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(4, outputs)
        self.wrap = wrap

    def forward(self, rows: Tensor) -> Any:
        return self.wrap(self.layer(rows), rows)


WAYS: dict[str, tuple[Callable[[Tensor, Tensor], Any], str | None]] = {
    "object": (lambda scores, rows: Output(None, scores, rows), None),
    "model output": (lambda scores, rows: ModelOutput(logits=scores, hidden=rows), None),
    "plain object": (lambda scores, rows: Plain(scores, rows), "value"),
    "only entry": (lambda scores, rows: {"out": scores, "maps": rows.unsqueeze(1)}, None),
    "named entry": (lambda scores, rows: {"out": scores, "hidden": rows}, "out"),
    "key that is a number": (lambda scores, rows: {7: scores, 8: rows}, "7"),
    "tuple of one": (lambda scores, rows: (scores,), None),
    "tuple with nothing": (lambda scores, rows: (scores, None), None),
    "tuple of three": (lambda scores, rows: (rows.unsqueeze(1), scores, rows.unsqueeze(2)), None),
    "position in three": (lambda scores, rows: (rows, rows, scores), "2"),
    "position in two": (lambda scores, rows: (rows, scores), "1"),
    "named tuple": (lambda scores, rows: Named(rows, scores), "prediction"),
    "position in a named tuple": (lambda scores, rows: Named(rows, scores), "1"),
    "list": (lambda scores, rows: [rows, scores], "1"),
}


def check_engines(graph: Graph, expected: Tensor) -> None:
    """Eager PyTorch, TorchScript, ONNX Runtime and DeepSHAP's program give these scores."""
    torch.testing.assert_close(graph.module(ROWS)[0], expected)
    torch.testing.assert_close(load_torchscript(compile_torchscript(graph, ROWS))(ROWS)[0], expected)
    model = compile_onnx(graph, ROWS).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"features": ROWS.numpy()})[0], expected, atol=1e-5)
    torch.testing.assert_close(build_program(graph.module, ROWS).activations(ROWS)[0], expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("task", [Classification, Regression])
def test_the_scores_are_found(way: str, task: type[Task]) -> None:
    wrap, output = WAYS[way]
    network = Network(wrap)
    graph = build_graph(network, nn.Identity(), ROWS, task, output=output)
    assert [spec.shape for spec in graph.outputs] == [("N", 3)] * len(task.outputs)
    torch.testing.assert_close(graph.module(ROWS)[0], network.layer(ROWS).detach())


@pytest.mark.parametrize("way", ["object", "named entry", "tuple of three"])
def test_every_engine_gives_them(way: str) -> None:
    wrap, output = WAYS[way]
    network = Network(wrap)
    check_engines(build_graph(network, nn.Identity(), ROWS, output=output), network.layer(ROWS).detach())


@pytest.mark.parametrize("one_axis", [False, True])
def test_one_value_a_row(one_axis: bool) -> None:
    """[N, 1] and [N], which a squeeze leaves, are one regressed quantity."""
    network = Network(lambda scores, rows: scores.squeeze(1) if one_axis else scores, outputs=1)
    graph = build_graph(network, nn.Identity(), ROWS, Regression)
    assert [(spec.name, spec.shape) for spec in graph.outputs] == [("value", ("N", 1))]
    torch.testing.assert_close(graph.module(ROWS)[0], network.layer(ROWS).detach())


@pytest.mark.parametrize("one_axis", [False, True])
def test_one_logit_a_row_is_the_second_classs(one_axis: bool) -> None:
    network = Network(lambda scores, rows: scores.squeeze(1) if one_axis else scores, outputs=1)
    graph = build_graph(network, nn.Identity(), ROWS)
    assert graph.one_logit
    logit = network.layer(ROWS).detach()
    check_engines(graph, torch.cat([-logit, logit], 1))
    chances = graph.module(ROWS)[1]
    torch.testing.assert_close(chances, torch.cat([1 - logit.sigmoid(), logit.sigmoid()], 1))


class Maps(Network):
    """Feature maps, and an object of what follows them."""

    def features(self, rows: Tensor) -> Tensor:
        return rows.unsqueeze(1)

    def classify(self, maps: Tensor) -> Any:
        return Output(None, self.layer(maps[:, 0]), maps)

    def forward(self, rows: Tensor) -> Any:
        return self.classify(self.features(rows))


def test_the_split_at_feature_maps_is_kept() -> None:
    network = Maps(lambda scores, rows: None)
    graph = build_graph(network, nn.Identity(), ROWS)
    assert graph.split
    scripted = load_torchscript(compile_torchscript(graph, ROWS))
    torch.testing.assert_close(scripted.classify(scripted.features(ROWS))[0], network.layer(ROWS).detach())


@pytest.mark.parametrize(
    ("wrap", "output", "error", "message"),
    [
        (
            lambda scores, rows: {"a": scores, "b": rows},
            None,
            ExportError,
            r"gives dict with a \[5, 3\], b \[5, 4\]: expected one of the name 'logits', or only one of shape "
            r"\[N, classes\] float32; --output NAME says which",
        ),
        (lambda scores, rows: {"a": scores}, "b", UsageError, "--output: unknown output of the network 'b'.*'a'"),
        (lambda scores, rows: (rows, scores, rows), "3", UsageError, "--output 3: the network gives 3 values"),
        (lambda scores, rows: scores, "logits", UsageError, "gives one tensor, which needs no name"),
        (lambda scores, rows: "scores", None, ExportError, "gives str with no tensor"),
        (lambda scores, rows: (scores, rows), None, ExportError, "--output NAME, a name or a position, takes one of"),
        (lambda scores, rows: [None, scores.double()], "1", ExportError, "torch.float64 for 5 rows; expected logits"),
        (lambda scores, rows: [rows, None], "1", ExportError, "the network gives NoneType; expected logits"),
        (lambda scores, rows: scores[:, :0], None, ExportError, "the network gives no logit a row"),
    ],
)
def test_outputs_that_are_not_plain_are_refused(
    wrap: Callable[..., Any], output: str | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_graph(Network(wrap), nn.Identity(), ROWS, output=output)
