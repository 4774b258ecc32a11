"""Shares of columns of categories, one-hot and embedded: closed forms on a linear model, enumeration on another."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from enumeration import exact_shapley
from support.categories import category_bundle, category_columns, category_encoding, every_code, network_of
from support.engines import TERM_BY_TERM, model_for
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.model import Gradients, Model
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.gradients import SmoothGrad, cell_spread
from whyport.batch.methods.method import ONNX
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.methods.shapley.coalitions import Coalitions
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import TORCHSCRIPT_MODEL
from whyport.runtime.session import Session

COLUMNS = category_columns()
ENCODING = category_encoding(COLUMNS)
IS_CATEGORY = np.array([column.categories is not None for column in COLUMNS])
ROWS = np.where(np.isnan(every_code(COLUMNS)), np.float32(COLUMNS[0].imputation), every_code(COLUMNS))
TARGETS = np.arange(len(ROWS)) % 2
GROUPS = {"person": ("height", "smoker"), "place and time": ("year", "town", "dose")}
MAPS = ("grad-cam", "attention")

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    network = network_of(ENCODING.width, linear=True)
    return category_bundle(tmp_path_factory.mktemp("cells") / "linear", network, COLUMNS)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return category_bundle(tmp_path_factory.mktemp("cells") / "network", network_of(ENCODING.width), COLUMNS, 0)


def weights() -> Floats:
    """The linear model's weights of cells as they are, [2, P]: numbers are standardised inside."""
    found: Floats = network_of(ENCODING.width, linear=True).weight.detach().double().numpy().copy()
    for column, places in zip(COLUMNS, ENCODING.cells, strict=True):
        if column.numbers is not None:
            found[:, places] /= column.spread
    return found


def cells_of(rows: NDArray[Any]) -> Floats:
    with torch.no_grad():
        return ENCODING(torch.tensor(rows, dtype=torch.float32)).double().numpy()


def of_columns(values: Floats) -> Floats:
    return np.stack([values[..., list(places)].sum(axis=-1) for places in ENCODING.cells], axis=-1)


def parts(rows: NDArray[Any], targets: NDArray[np.int64]) -> Floats:
    """What each column adds to the score of each row's target, [N, F]."""
    return of_columns(cells_of(rows) * weights()[targets])


def mean_row(references: References) -> NDArray[np.float64]:
    """The mean of numbers, and the code that weighs most; counted one by one."""
    row = references.weights @ references.rows
    for j in np.flatnonzero(IS_CATEGORY):
        mass: dict[float, float] = {}
        for code, weight in zip(references.rows[:, j], references.weights, strict=True):
            mass[float(code)] = mass.get(float(code), 0.0) + weight
        row[j] = max(sorted(mass), key=lambda code: mass[code])
    return row


def expected(name: str, references: References) -> Floats:
    """The closed form of a method on the linear model, by column."""
    every = np.stack([parts(references.rows, np.full(len(references.rows), k)) for k in range(2)])
    background = np.einsum("r,krf->kf", references.weights, every)[TARGETS]
    center = np.tile(mean_row(references), (len(ROWS), 1))
    origin = np.where(IS_CATEGORY, center, 0.0)
    slopes = of_columns(weights())[TARGETS]
    forms = {
        "gradient": slopes,
        "smoothgrad": slopes,
        "input-x-gradient": parts(ROWS, TARGETS) - parts(origin, TARGETS),
        "integrated-gradients": parts(ROWS, TARGETS) - parts(center, TARGETS),
        "occlusion": parts(ROWS, TARGETS) - parts(center, TARGETS),
        "expected-gradients": parts(ROWS, TARGETS) - background,
        "deepshap": parts(ROWS, TARGETS) - background,
        "shapley": parts(ROWS, TARGETS) - background,
    }
    return forms[name]


def shares(name: str, bundle: Bundle, **settings: Any) -> Attribution:
    chosen = ExplainSettings.of(**settings).of_method(name)
    return explain(explainer_class(name)(model_for(name, bundle), References.read(bundle), chosen), ROWS, TARGETS)


@pytest.mark.parametrize("name", [name for name in TERM_BY_TERM if name not in MAPS])
def test_a_column_has_what_its_cells_add_to_a_linear_model(name: str, linear: Bundle) -> None:
    got = shares(name, linear)
    assert got.values.shape == ROWS.shape
    form = expected(name, References.read(linear))
    np.testing.assert_allclose(got.values, form, rtol=1e-4, atol=1e-5)
    if got.converged is not None:
        assert got.error.max() < 1e-4
        assert got.converged.all()
    grouped = shares(name, linear, players=GROUPS)
    by_player = [[0, 5], [1], [2], [3, 4, 6]]  # in the order of their first columns
    np.testing.assert_allclose(grouped.values, np.stack([form[:, p].sum(axis=1) for p in by_player], 1), atol=1e-4)


def test_the_onnx_engine_gives_columns_too(linear: Bundle) -> None:
    model = OnnxModel(Session(linear, "cpu"))
    explainer = explainer_class("deepshap", ONNX)(
        model, References.read(linear), ExplainSettings.of(players=GROUPS).of_method("deepshap")
    )
    got = explain(explainer, ROWS, TARGETS)
    form = expected("deepshap", References.summary(linear))
    np.testing.assert_allclose(got.values[:, 1], form[:, 1], atol=1e-5)
    np.testing.assert_allclose(got.values[:, 3], form[:, [3, 4, 6]].sum(axis=1), atol=1e-4)


def test_noise_is_as_wide_as_training_rows_spread_in_each_cell(linear: Bundle) -> None:
    model, background = TorchScriptModel(linear, "cpu"), References.read(linear)
    spread = cell_spread(model, background)
    assert spread[0] == COLUMNS[0].spread
    share = np.array([60, 30, 10, 4, 6]) / 110
    np.testing.assert_allclose(spread[list(ENCODING.cells[1])], np.sqrt(share * (1 - share)), rtol=1e-6)
    rows = np.tile(ROWS[:1], (210, 1))
    rows[:, 4] = np.arange(20).repeat(np.arange(1, 21))  # as often as training had each
    town = list(ENCODING.cells[4])
    np.testing.assert_allclose(spread[town], cells_of(rows)[:, town].std(axis=0), rtol=1e-5)
    explainer = SmoothGrad(model, background, ExplainSettings.of(noise=0.5).of_method("smoothgrad"))
    np.testing.assert_allclose(explainer.noise.std(axis=0), 0.5 * spread, rtol=0.4)


def in_float64(bundle: Bundle) -> Any:
    """The bundle's scores [N, 2] of codes [N, F] in double precision."""
    module = torch.jit.load(io.BytesIO(bundle.read_bytes(TORCHSCRIPT_MODEL))).double()

    def scores(rows: NDArray[Any]) -> Floats:
        with torch.no_grad():
            return module(torch.tensor(rows, dtype=torch.float64))[0].numpy()

    return scores


class Exact(Model):
    """The bundle's model in double precision, as a method takes it."""

    engine = "float64"

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(SimpleNamespace(sidecar=bundle.sidecar))  # type: ignore[arg-type]
        self.scores = in_float64(bundle)  # type: ignore[method-assign]

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        raise AssertionError("replaced")

    def gradients(self, cells: NDArray[np.float32], targets: NDArray[np.int64]) -> Gradients:
        raise AssertionError("forward passes alone")


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("groups", [{}, GROUPS])
def test_shapley_is_the_enumeration_over_source_columns(bundle: Bundle, groups: dict[str, tuple[str, ...]]) -> None:
    model, background = Exact(bundle), References.read(bundle)
    background = References(background.rows[:4], np.array([0.4, 0.3, 0.2, 0.1]))
    players = PlayerMap.of(bundle.sidecar, groups)
    scores: Any = model.scores
    base = background.weights @ scores(background.rows)
    game = Coalitions(model, background, players, base)  # type: ignore[arg-type]
    rows = ROWS[[0, 7, 21]]
    sources = np.concatenate([rows, background.rows])
    got = game.explain(rows, scores(rows))
    for i, of_row in enumerate(got):
        for target, values in enumerate(of_row):

            def score(mixed: Floats, i: int = i, target: int = target) -> Floats:
                """Each player's columns are those of the row, numbered 0, or of a reference, from 1."""
                place = np.where(mixed == 0, i, 2 + mixed).astype(int)
                return scores(sources[place[:, players.of_column], np.arange(len(COLUMNS))])[:, target]

            others = np.arange(1.0, 5)[:, None].repeat(len(players), axis=1)
            exact = exact_shapley(score, np.zeros(len(players)), others, background.weights)
            np.testing.assert_allclose(values, exact, atol=1e-9)
    chosen = ExplainSettings.of(players=groups).of_method("shapley")
    explainer = explainer_class("shapley")(OnnxModel(Session(bundle, "cpu")), background, chosen)
    by_engine = explain(explainer, rows, np.zeros(3, dtype=np.int64))
    np.testing.assert_allclose(by_engine.values, got[:, 0], atol=1e-5)
    assert (by_engine.extras["standard_error"] == 0).all()


def test_paths_of_a_network_are_complete_and_reach_every_code(bundle: Bundle) -> None:
    for name in ("integrated-gradients", "expected-gradients", "deepshap"):
        got = shares(name, bundle, max_evaluations=100_000)
        assert got.converged is not None
        assert got.converged.all()
        assert np.isfinite(got.values).all()
