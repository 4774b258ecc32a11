"""The compiled program against independent oracles: closed forms, enumeration, shap; and its form as TorchScript."""

import io
import json
import warnings
import zipfile
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support.oracles import attribute, incompleteness, sample, uneven_weights
from support.reference import exact_shapley
from whyport.exporter.deepshap import build_program, compile_deepshap
from whyport.exporter.deepshap.rules.shape import Permute, Reshape, Split
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.preprocess import Impute, Standardise
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.train.architectures.hybrid import Hybrid
from whyport.runtime.bundle.deepshap import Part, read_parts
from whyport.runtime.errors import ExportError


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def hybrid(scale: float = 1.0) -> nn.Module:
    """The graph of the project's own network on 30 features, with its logits scaled."""
    network = Hybrid(30, 2)
    with torch.no_grad():
        network.head.weight.mul_(scale)
    preprocess = nn.Sequential(Impute(torch.zeros(30)), Standardise(torch.ones(30), torch.full((30,), 2.0)))
    return build_graph(network, preprocess, sample(5, 30, 1)).module


@pytest.fixture(scope="module")
def compiled() -> Any:
    torch.manual_seed(0)
    return load_torchscript(compile_deepshap(hybrid(100.0), sample(7, 30, 1)))


def test_the_closed_form_on_a_linear_model() -> None:
    network = nn.Linear(4, 3)
    rows, references, weights = sample(9, 4, 1), sample(5, 4, 2), uneven_weights(5)
    got = attribute(build_program(network, rows), rows, references, weights)
    expected = network.weight * (rows - weights @ references)[:, None, :]
    np.testing.assert_allclose(got, expected.detach(), rtol=1e-5, atol=1e-6)


class Additive(nn.Module):
    """A function of each feature by itself, all different."""

    def forward(self, rows: Tensor) -> Tensor:
        a, b, c, d = rows.unbind(1)
        return torch.stack([a.tanh() + b.exp() - c * c + d.abs(), a**3 - torch.sigmoid(4 * b) + c.relu() + d.sin()], 1)


class PairProduct(nn.Module):
    """A product of two features, beside others."""

    def forward(self, rows: Tensor) -> Tensor:
        a, b, c, d = rows.unbind(1)
        return torch.stack([a * b + c, a * b - c * d], 1)


@pytest.mark.parametrize("network", [Additive(), PairProduct()], ids=["additive", "product"])
def test_exact_shapley_values_by_enumeration(network: nn.Module) -> None:
    rows, references, weights = (t.double() for t in (sample(4, 4, 1), sample(3, 4, 2), uneven_weights(3)))
    got = attribute(build_program(network, rows), rows, references, weights)
    for row, values in zip(rows.numpy(), got, strict=True):
        expected = exact_shapley(
            lambda x: network(torch.from_numpy(x)).numpy(), row, references.numpy(), weights.numpy()
        )
        np.testing.assert_allclose(values.T, expected, atol=1e-7)


def _dense(activation: type[nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 12), activation(), nn.Linear(12, 9), activation(), nn.Linear(9, 3))


NETWORKS = {
    "relu": lambda: _dense(nn.ReLU),
    "sigmoid": lambda: _dense(nn.Sigmoid),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 8)), nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_shap_where_shap_is_right(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # upstream's, while it is imported
        import shap
    network = NETWORKS[name]().eval()
    rows, references = 2 * sample(12, 8, 1), 2 * sample(20, 8, 2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unrecognized nn.Module: (Unflatten|Flatten)")
        warnings.filterwarnings("ignore", "__array_wrap__ must accept context", DeprecationWarning)
        expected = np.asarray(shap.DeepExplainer(network, references).shap_values(rows))  # [N, F, C]
    got = attribute(build_program(network, rows), rows, references, torch.full((20,), 1 / 20))
    np.testing.assert_allclose(got, expected.transpose(0, 2, 1), atol=1e-4)


def test_a_recurrent_layer_is_explained_as_its_single_operators_are() -> None:
    class Recurrent(nn.Module):
        def __init__(self, kind: type[nn.RNNBase]) -> None:
            super().__init__()
            self.layer = kind(2, 5, 2, batch_first=True, bidirectional=True)

        def forward(self, rows: Tensor) -> Tensor:
            return self.layer(rows.reshape(-1, 4, 2))[0][:, -1]

    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        network = Recurrent(kind).eval()
        rows, references, weights = 2 * sample(6, 8, 1), 2 * sample(4, 8, 2), uneven_weights(4)
        fused = build_program(network, rows)
        unrolled = build_program(network, rows, fused=False)
        assert len(fused.steps) < len(unrolled.steps) / 3
        np.testing.assert_allclose(
            attribute(fused, rows, references, weights), attribute(unrolled, rows, references, weights), atol=1e-6
        )


@pytest.mark.parametrize(("rows", "references"), [(1, 1), (1, 7), (3, 2), (2, 3), (40, 5)])
def test_the_hybrid_is_complete_at_any_size(compiled: Any, rows: int, references: int) -> None:
    weights = uneven_weights(references)
    assert incompleteness(compiled, 3 * sample(rows, 30, rows), 3 * sample(references, 30, 9), weights) < 2e-5


def test_the_traced_program_is_the_eager_one(compiled: Any) -> None:
    eager = build_program(hybrid(100.0), sample(7, 30, 1))
    torch.manual_seed(0)
    rows, references, weights = sample(11, 30, 3), sample(6, 30, 4), uneven_weights(6)
    got = attribute(compiled, rows, references, weights)
    np.testing.assert_allclose(got, attribute(eager, rows, references, weights), rtol=1e-4, atol=1e-5)
    assert (got.std(0) > 0).all()  # constant heatmaps are the known failure of a trace


def test_parts_of_one_value_on_different_paths() -> None:
    """The multiplier of the first part is the same for every pair, that of the second is not."""

    class Parts(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            mixed = rows.flip(1)
            return torch.stack([2 * mixed[:, 0], mixed[:, 1] * mixed[:, 2]], 1)

    program = load_torchscript(compile_deepshap(Parts(), sample(5, 3, 1)))
    rows, references, weights = sample(9, 3, 2), sample(4, 3, 3), uneven_weights(4)
    got = attribute(program, rows, references, weights)
    np.testing.assert_allclose(got[:, 0, 2], 2 * (rows - weights @ references)[:, 2], atol=1e-6)
    assert incompleteness(program, rows, references, weights) < 1e-6


def test_query_key_and_value_are_split_where_their_product_has_its_columns() -> None:
    """Behind the reshapes that lead to them, their multipliers would be copied once more."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, rows: Tensor) -> Tensor:
            tokens = rows.reshape(-1, 3, 4)
            return self.attention(tokens, tokens, tokens)[0].mean(1)

    program = build_program(Attention().eval(), sample(5, 12, 1))
    (split,) = (step for step in program.steps if isinstance(step.rule, Split))
    assert not isinstance(program.steps[split.inputs[0].step - 1].rule, (Permute, Reshape))
    assert [pick.start for pick in split.rule.picks] == [0, 4, 8]
    assert incompleteness(program, sample(6, 12, 2), sample(4, 12, 3), uneven_weights(4)) < 1e-5


def test_a_row_is_explained_alike_alone_and_among_3000(compiled: Any) -> None:
    rows, references, weights = sample(3000, 30, 5), sample(2, 30, 6), uneven_weights(2)
    together = attribute(compiled, rows, references, weights)
    for row in (0, 1234, 2999):
        alone = attribute(compiled, rows[row : row + 1], references, weights)
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-3, atol=1e-5)


def test_float64_is_complete_to_its_own_rounding() -> None:
    program = load_torchscript(compile_deepshap(hybrid(100.0), sample(7, 30, 1))).double()
    given = sample(5, 30, 1, torch.float64), sample(4, 30, 2, torch.float64), uneven_weights(4, torch.float64)
    assert program.activations(given[0])[0].dtype == torch.float64
    assert incompleteness(program, *given) < 1e-12


def test_the_file_keeps_the_names_of_the_contract(compiled: Any) -> None:
    """Spelled out: a reader of any language knows them from models/README.md."""
    for name in ("activations", "attribute", "finish", "part_0", "part_1"):
        assert isinstance(getattr(compiled, name), torch.ScriptMethod)
    assert compiled.identity.shape == (2, 1, 1, 1, 2)
    archive = zipfile.ZipFile(io.BytesIO(compile_deepshap(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), sample(5, 3, 1))))
    (name,) = (name for name in archive.namelist() if name.endswith("/extra/parts.json"))
    parts = json.loads(archive.read(name))
    assert parts[0] == {"kernel": "relu", "options": {}, "rule": 2, "given": [[0]], "passed": [], "reads": [2]}
    assert parts[1] is None
    later = [parts[0] | {"added": "later"}, None]
    assert read_parts(json.dumps(later)) == [Part(**parts[0]), None]


def test_no_path_of_this_machine_is_in_the_file() -> None:
    archive = zipfile.ZipFile(io.BytesIO(compile_deepshap(nn.Linear(3, 2), sample(5, 3, 1))))
    assert not any(b".py" in archive.read(name) for name in archive.namelist())


def test_a_network_whose_rows_meet_is_refused() -> None:
    class Centred(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            return rows - rows.mean(0)

    with pytest.raises(ExportError, match="does not treat every row of a batch alike"):
        build_program(Centred(), sample(5, 3, 1))


def test_what_torch_export_cannot_take_is_an_error() -> None:
    class Looping(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            while rows.sum() > 0:
                rows = rows - 1
            return rows

    with pytest.raises(ExportError, match="torch.export cannot take the network"):
        build_program(Looping(), sample(5, 3, 1))
