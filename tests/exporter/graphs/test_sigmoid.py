"""The final sigmoid is cut off: the score is the network's own logit."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import parser
from torch import Tensor, nn

from support import example_networks as networks
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.networks.logits import before_sigmoid
from whyport.runtime.task import Classification, ProbabilityClassification

ROWS = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))


class Head(nn.Module):
    """One layer, and a last step."""

    def __init__(self, last: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.last = last

    def forward(self, rows: Tensor) -> Tensor:
        return self.last(self.layer(rows))


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 1), nn.Dropout(), nn.Sigmoid())
        self.layer = self.inner[0]

    def forward(self, rows: Tensor) -> Tensor:
        return self.inner(rows).view(-1)


class Maps(networks.Convolution):
    """Feature maps, with a sigmoid as a layer behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 1)
        self.sigmoid = nn.Sigmoid()

    def classify(self, maps: Tensor) -> Tensor:
        return self.sigmoid(super().classify(maps))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Head(torch.sigmoid),
        lambda: Head(nn.Sigmoid()),
        lambda: Head(lambda z: nn.functional.sigmoid(input=z)),
        lambda: Head(lambda z: z.sigmoid().squeeze(-1)),
        lambda: Head(lambda z: torch.flatten(torch.special.expit(z), 0)),
        lambda: Head(lambda z: torch.sigmoid(z)[:, 0]),
        Nested,
    ],
)
def test_the_logit_before_it_is_the_score(make: Callable[[], nn.Module]) -> None:
    network = make().eval()
    graph = build_graph(network, nn.Identity(), ROWS)
    logits, probabilities = graph.module(ROWS)
    expected = network.layer(ROWS).detach()
    torch.testing.assert_close(logits, torch.cat([-expected, expected], 1))
    torch.testing.assert_close(probabilities[:, 1], network(ROWS).detach().reshape(-1))


def test_the_split_at_feature_maps_is_kept() -> None:
    network = Maps().eval()
    graph = build_graph(network, nn.Identity(), ROWS)
    assert graph.split
    logits = graph.module.classify(graph.module.features(ROWS))[0]
    torch.testing.assert_close(logits[:, 1].sigmoid(), network(ROWS).detach()[:, 0])


class Branch(nn.Module):
    """A branch on the values, which no trace follows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, rows: Tensor) -> Tensor:
        logits = self.layer(rows)
        return torch.sigmoid(logits) if bool((rows > -99).all()) else logits


@pytest.mark.parametrize(
    "make",
    [
        Branch,
        lambda: Head(lambda z: 0.5 + 0.5 * torch.sigmoid(z)),
        lambda: Head(lambda z: torch.sigmoid(z).clamp(0.1, 0.9)),
        lambda: Head(torch.tanh),
    ],
)
def test_other_last_steps_are_left_alone(make: Callable[[], nn.Module]) -> None:
    network = make().eval()
    logits = build_graph(network, nn.Identity(), ROWS).module(ROWS)[0]
    torch.testing.assert_close(logits[:, 1:], network(ROWS).detach())


def test_a_sigmoid_that_is_used_twice_is_left_alone() -> None:
    sigmoid = nn.Sigmoid()
    network = nn.Sequential(sigmoid, nn.Linear(4, 1), sigmoid).eval()
    logits = build_graph(network, nn.Identity(), ROWS).module(ROWS)[0]
    torch.testing.assert_close(logits[:, 1:], network(ROWS).detach())


def test_probabilities_keep_it() -> None:
    network = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()).eval()
    (probabilities,) = build_graph(network, nn.Identity(), ROWS, ProbabilityClassification).module(ROWS)
    chance = network(ROWS).detach()
    torch.testing.assert_close(probabilities, torch.cat([1 - chance, chance], 1))


def test_several_sigmoids_are_no_logit() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()).eval()
    torch.testing.assert_close(
        build_graph(network, nn.Identity(), ROWS, Classification).module(ROWS)[0], network(ROWS).detach()
    )


def graph_of(*steps: str) -> onnx.ModelProto:
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    g (float[N, 4] x, float[4, 1] w, int64[1] one) => (float[N] y) {{ {" ".join(steps)} }}"""
    return parser.parse_model(text)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("z = MatMul(x, w)", "y = Sigmoid(z)"), "z"),
        (("z = MatMul(x, w)", "s = Sigmoid(z)", "y = Squeeze(s, one)"), "y.0"),
        (("z = MatMul(x, w)", "s = Sigmoid(z)", "t = Identity(s)", "y = Flatten(t)"), "y.0"),
        (("z = MatMul(x, w)", "s = Sigmoid(z)", "y = Neg(s)"), None),
        (("z = MatMul(x, w)", "y = Softmax(z)"), None),
        (("y = Identity(x)",), None),
    ],
)
def test_the_tensor_before_a_sigmoid_of_onnx(steps: tuple[str, ...], expected: str | None) -> None:
    model = graph_of(*steps)
    assert before_sigmoid(model.graph, "y") == expected
    if expected is None:
        return
    model.graph.output.append(onnx.helper.make_tensor_value_info(expected, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    weights = np.array([[1.0], [-2.0], [0.5], [3.0]], dtype=np.float32)
    before, after = session.run(["y", expected], {"x": ROWS.numpy(), "w": weights, "one": np.array([1])})
    assert before.shape == after.shape
    np.testing.assert_allclose(after.reshape(-1), (ROWS.numpy() @ weights)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(before, 1 / (1 + np.exp(-after)), rtol=1e-5)
