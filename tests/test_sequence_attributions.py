"""Attributions of an LSTM over [steps, features] against oracles, where there are as many references as steps.

A program that took a row's steps for references, or a reference's weight for a step's, would be wrong here.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor, nn

import whyport
from support.engines import model_for
from whyport.batch.methods.alone import explain
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References

STEPS, WIDTH, ROWS = 5, 3, 40
CELLS = STEPS * WIDTH
RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal((ROWS, STEPS, WIDTH)).astype(np.float32)
WEIGHTS = np.arange(1.0, STEPS + 1) / np.arange(1.0, STEPS + 1).sum()
"""The references' weights; there is a reference a step."""
FIRST = VALUES[:8]


class Sequence(nn.Module):
    """An LSTM over the steps, whose head reads the last state and the mean of all."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.LSTM(WIDTH, 4, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 5, 3] to [N, 2]."""
        states = self.steps(2 * x)[0]
        scores: Tensor = self.head(torch.cat([states[:, -1], states.mean(1)], 1))
        return scores


class Flat(nn.Module):
    """The same over a table of all cells."""

    def __init__(self) -> None:
        super().__init__()
        self.sequence = make()

    def forward(self, rows: Tensor) -> Tensor:
        """[N, 15] to [N, 2]."""
        scores: Tensor = self.sequence(rows.reshape(-1, STEPS, WIDTH))
        return scores


def make() -> nn.Module:
    torch.manual_seed(3)
    return Sequence().eval()


def make_flat() -> nn.Module:
    return Flat().eval()


def write(path: Path, values: NDArray[np.float32], **more: NDArray[np.float64]) -> Path:
    """A table that has every cell twice: in a column of lists, and in a column of its own."""
    flat = values.reshape(len(values), CELLS)
    pq.write_table(pa.table({"x": pa.array(values.tolist()), **dict(zip(NAMES, flat.T, strict=True)), **more}), path)
    return path


NAMES = [f"c{place}" for place in range(CELLS)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("cells") / "rows.parquet", VALUES)


@pytest.fixture(scope="module")
def background(sample: Path) -> Path:
    return write(sample.parent / "background.parquet", VALUES[-STEPS:], weight=7 * WEIGHTS)


@pytest.fixture(scope="module")
def bundle(sample: Path, background: Path) -> Path:
    out = sample.parent / "sequence"
    place = "tests.test_sequence_attributions:make"
    whyport.export(place, sample, out, input="x=sequence:x", background=background, explain_references=STEPS)
    return out


@pytest.fixture(scope="module")
def flat(sample: Path, background: Path) -> Path:
    out = sample.parent / "flat"
    place = "tests.test_sequence_attributions:make_flat"
    whyport.export(place, sample, out, features=NAMES, background=background, explain_references=STEPS)
    return out


def attribute(path: Path, method: str, references: References | None = None, **options: object) -> Attribution:
    bundle = Bundle.read(path)
    background = references or References.read(bundle)
    settings = ExplainSettings.of(**options).of_method(method)
    explainer = explainer_class(method)(model_for(method, bundle), background, settings)
    return explain(explainer, FIRST.reshape(-1, CELLS), TARGETS)


TARGETS = np.arange(len(FIRST)) % 2


def test_the_background_has_a_reference_a_step_and_unequal_weights(bundle: Path) -> None:
    references = References.read(Bundle.read(bundle))

    np.testing.assert_array_equal(references.rows, VALUES[-STEPS:].reshape(-1, CELLS))
    np.testing.assert_allclose(references.weights, WEIGHTS)


@pytest.mark.parametrize("method", ["deepshap", "integrated-gradients", "expected-gradients", "occlusion", "shapley"])
def test_a_sequence_is_explained_as_a_table_of_its_cells(bundle: Path, flat: Path, method: str) -> None:
    got, expected = attribute(bundle, method), attribute(flat, method)

    np.testing.assert_allclose(got.values, expected.values, atol=1e-6)
    np.testing.assert_allclose(got.base_value, expected.base_value, atol=1e-6)


def test_a_run_over_lists_gives_what_a_run_over_columns_gives(
    bundle: Path, flat: Path, sample: Path, tmp_path: Path
) -> None:
    shares = []
    for path in (bundle, flat):
        out = tmp_path / path.name
        whyport.run(path, sample, out, explain="deepshap", explain_target="all", layout="list")
        table = pq.read_table(out)
        names = [name for name in table.column_names if name.startswith("attribution")]
        shares.append(np.array([table[name].to_pylist() for name in names]))

    assert shares[0].shape == (2, ROWS, CELLS)
    np.testing.assert_allclose(shares[0], shares[1], atol=1e-6)


def test_the_explaining_graph_gives_what_that_of_the_table_gives(bundle: Path, flat: Path) -> None:
    values = VALUES.reshape(-1, CELLS)
    tables = ({"x": VALUES}, dict(zip(NAMES, values.T, strict=True)))
    got, expected = (whyport.Session(path).explain(table) for path, table in zip((bundle, flat), tables, strict=True))

    np.testing.assert_allclose(got.values.reshape(-1, CELLS), expected.values.reshape(-1, CELLS), atol=1e-6)


def test_deepshap_adds_up_to_the_score_in_float64(bundle: Path) -> None:
    network = make().double()
    scores, references = (network(torch.from_numpy(x).double()).detach().numpy() for x in (FIRST, VALUES[-STEPS:]))
    base = WEIGHTS @ references
    got = attribute(bundle, "deepshap")

    np.testing.assert_allclose(got.base_value, base[TARGETS], atol=1e-6)
    np.testing.assert_allclose(got.values.sum(1), (scores - base)[np.arange(len(FIRST)), TARGETS], atol=1e-6)


@pytest.mark.parametrize("method", ["deepshap", "expected-gradients"])
def test_against_several_references_is_the_weighted_mean_of_each(bundle: Path, method: str) -> None:
    options = {} if method == "deepshap" else {"steps": 20}
    every = References.read(Bundle.read(bundle))
    each = [attribute(bundle, method, References(every.rows[[k]], np.ones(1)), **options).values for k in range(STEPS)]

    got = attribute(bundle, method, **options).values
    np.testing.assert_allclose(got, np.tensordot(WEIGHTS, np.array(each), 1), atol=1e-6)
    # The weights tell the references apart.
    assert np.abs(got - np.mean(each, axis=0)).max() > 0.01


def path_integral(x: Tensor, reference: Tensor, target: Tensor) -> NDArray[np.float64]:
    """(x - r) times the mean gradient between them, by 64 Gauss-Legendre nodes in float64; [N, T, F]."""
    network = make().double()
    nodes, weights = np.polynomial.legendre.leggauss(64)
    total = torch.zeros_like(x)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = (reference + node * (x - reference)).requires_grad_()
        score = network(point).gather(1, target[:, None]).sum()
        total += weight * torch.autograd.grad(score, point)[0]
    values: NDArray[np.float64] = ((x - reference) * total).numpy()
    return values


def by_captum(x: Tensor, reference: Tensor, target: Tensor) -> NDArray[np.float64]:
    shares = IntegratedGradients(make().double()).attribute(x, reference, target=target, n_steps=64)
    values: NDArray[np.float64] = shares.detach().numpy()
    return values


ORACLES = {"captum": by_captum, "a path integral": path_integral}


@pytest.mark.parametrize("oracle", ORACLES.values(), ids=ORACLES)
def test_integrated_gradients_are_those_of_the_oracle(
    bundle: Path, oracle: Callable[[Tensor, Tensor, Tensor], NDArray[np.float64]]
) -> None:
    x, target = torch.from_numpy(FIRST).double(), torch.from_numpy(TARGETS)
    # Against the weighted mean of the references, and averaged over them.
    mean = torch.from_numpy(np.tensordot(WEIGHTS, VALUES[-STEPS:].astype(np.float64), 1))
    single = oracle(x, mean[None].expand_as(x), target)
    several = [oracle(x, torch.from_numpy(r).double()[None].expand_as(x), target) for r in VALUES[-STEPS:]]

    for method, expected in {
        "integrated-gradients": single,
        "expected-gradients": np.tensordot(WEIGHTS, np.array(several), 1),
    }.items():
        got = attribute(bundle, method, steps=64).values
        np.testing.assert_allclose(got, expected.reshape(-1, CELLS), atol=1e-6)
        adaptive = attribute(bundle, method, tolerance=1e-4, absolute_tolerance=1e-5).values
        np.testing.assert_allclose(adaptive, expected.reshape(-1, CELLS), atol=1e-3)
