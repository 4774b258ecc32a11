"""Players: which columns and cells share a value, and grouped methods against enumeration and sums."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from enumeration import exact_shapley
from support.bundles import linear_sidecar
from support.engines import TERM_BY_TERM, model_for
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.model import Gradients, Model
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.methods.shapley.coalitions import Coalitions
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import Axis
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.score import Players
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import UsageError

COLUMNS = tuple("abcdef")
GROUPS = {"outer": ("e", "a"), "inner": ("b", "d", "c")}
GENERATOR = np.random.default_rng(7)
ROWS = GENERATOR.normal(size=(5, 6))
REFERENCES = GENERATOR.normal(size=(4, 6))
SHARES = np.array([0.4, 0.3, 0.2, 0.1])
MIXING = GENERATOR.normal(size=(6, 8))
HEAD = GENERATOR.normal(size=(8, 2))


def sidecar_of(names: tuple[str, ...], cells: tuple[tuple[int, ...], ...] | None = None) -> Sidecar:
    sidecar = linear_sidecar(False, ("a", "b", "c"), ("no", "yes"))
    (table,) = sidecar.inputs
    columns = tuple(dataclasses.replace(table.columns[0], name=name) for name in names)
    table = dataclasses.replace(table, columns=columns, axes=(Axis("feature", len(names), names),))
    return dataclasses.replace(sidecar, inputs=(table,), players=Players(names, cells))


class Network(Model):
    """A smooth function of rows in float64, whose players interact."""

    engine = "numpy"

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(sidecar=sidecar_of(COLUMNS)))

    def scores(self, rows: NDArray[Any]) -> NDArray[Any]:
        return network(rows)

    def gradients(self, cells: NDArray[np.float32], targets: NDArray[np.int64]) -> Gradients:
        raise AssertionError("forward passes alone")


def network(rows: NDArray[Any]) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = np.tanh(rows.astype(np.float64) @ MIXING) ** 2 @ HEAD
    return scores


def enumerated(row: NDArray[np.float64], target: int, player_of: NDArray[np.int64]) -> NDArray[np.float64]:
    """The exact shares of the players: a mixed row says of each player whose values its columns have."""
    sources = np.concatenate([row[None], REFERENCES])

    def score(mixed: NDArray[np.float64]) -> NDArray[np.float64]:
        return network(sources[mixed[:, player_of].astype(int), np.arange(6)])[:, target]

    players = player_of.max() + 1
    others = np.arange(1.0, 5)[:, None].repeat(players, axis=1)
    return exact_shapley(score, np.zeros(players), others, SHARES)


def test_columns_without_a_group_are_players_of_their_own_in_order() -> None:
    players = PlayerMap.of(sidecar_of(COLUMNS), GROUPS)
    assert players.names == ("outer", "inner", "f")
    assert players.of_column.tolist() == [0, 1, 1, 1, 0, 2]
    values = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(players.sum_columns(values), [[4, 6, 5], [16, 24, 11]])
    chosen = np.array([True, False, True])
    assert players.columns_of(chosen).tolist() == [True, False, False, False, True, True]


def test_a_player_has_the_cells_of_its_columns() -> None:
    sidecar = sidecar_of(("a", "b", "c"), ((0,), (1, 2, 3), (4, 5)))
    values = np.float32([[1, 2, 3, 4, 5, 6]])
    alone = PlayerMap.of(sidecar, {})
    assert alone.sum_cells(values).tolist() == [[1, 9, 11]]
    assert PlayerMap.of(sidecar, {"both": ("c", "a")}).sum_cells(values).tolist() == [[12, 9]]
    assert alone.sum_cells(values).dtype == np.float32
    scattered = PlayerMap.of(sidecar_of(("a", "b"), ((2, 0), (1,))), {})
    assert scattered.sum_cells(np.array([1.0, 10.0, 100.0])).tolist() == [101, 10]


def test_values_of_columns_alone_are_not_touched() -> None:
    values = np.ones((2, 6), dtype=np.float32)
    players = PlayerMap.of(sidecar_of(COLUMNS), {})
    assert players.sum_cells(values) is values
    assert players.sum_columns(values) is values


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"x": ("a", "z")}, r"players, 'x': unknown column 'z'.*; known: 'a', 'b', 'c'"),
        ({"x": ("a", "b"), "y": ("b", "c")}, "expected every column once, got 'b' twice"),
        ({"x": ("a", "a")}, "expected every column once, got 'a' twice"),
        ({"x": ()}, "expected a column of 'x', got none"),
        ({"a": ("a", "b")}, "'a' is a column of the model; expected another name for the group of 'a', 'b'"),
        ({"a": ("b",)}, "'a' is a column of the model"),
        ({"": ("b",)}, "expected a name without NUL and lone surrogates for the group of 'b', got ''"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PlayerMap.of(sidecar_of(("a", "b", "c")), groups)


def test_a_column_may_have_another_name_or_be_named_itself() -> None:
    sidecar = sidecar_of(("a", "b", "c"))
    assert PlayerMap.of(sidecar, {"B": ("b",)}).names == ("a", "B", "c")
    assert PlayerMap.of(sidecar, {"b": ("b",)}).names == ("a", "b", "c")


@pytest.mark.parametrize("groups", [{}, GROUPS, {"all but f": tuple("abcde")}, {"all": COLUMNS}])
def test_grouped_shapley_is_the_enumeration_over_source_columns(groups: dict[str, tuple[str, ...]]) -> None:
    players = PlayerMap.of(sidecar_of(COLUMNS), groups)
    base = SHARES @ network(REFERENCES)
    rows: Any = ROWS
    game = Coalitions(Network(), References(REFERENCES, SHARES), players, base)  # type: ignore[arg-type]
    got = game.explain(rows, network(ROWS))  # type: ignore[arg-type]
    for row, of_row in zip(ROWS, got, strict=True):
        for target, values in enumerate(of_row):
            np.testing.assert_allclose(values, enumerated(row, target, players.of_column), atol=1e-9)


def test_sampled_shapley_of_groups_is_near_the_enumeration() -> None:
    settings = ExplainSettings.of(players=GROUPS, permutations=400, absolute_tolerance=10.0).of_method("shapley")
    background = References(REFERENCES.astype(np.float32), SHARES)
    explainer = explainer_class("shapley")(Network(), background, settings)
    got = explain(explainer, ROWS.astype(np.float32), np.zeros(5, dtype=np.int64))
    assert got.values.shape == got.extras["standard_error"].shape == (5, 3)
    assert got.evaluations.tolist() == [400 * 2] * 5
    expected = [enumerated(row, 0, np.array([0, 1, 1, 1, 0, 2])) for row in ROWS]
    assert (np.abs(got.values - expected) <= 5 * got.extras["standard_error"] + 1e-6).all()
    assert got.error.max() < 1e-5


def test_occlusion_replaces_a_group_together() -> None:
    settings = ExplainSettings.of(players=GROUPS).of_method("occlusion")
    explainer = explainer_class("occlusion")(Network(), References(REFERENCES.astype(np.float32), SHARES), settings)
    got = explain(explainer, ROWS.astype(np.float32), np.ones(5, dtype=np.int64))
    mean = SHARES @ REFERENCES
    for place, columns in enumerate(([0, 4], [1, 2, 3], [5])):
        changed = ROWS.copy()
        changed[:, columns] = mean[columns]
        np.testing.assert_allclose(got.values[:, place], (network(ROWS) - network(changed))[:, 1], atol=1e-5)


@pytest.mark.parametrize("name", TERM_BY_TERM)
def test_a_group_has_the_sum_of_its_columns_where_the_model_is_linear(name: str, mapped_bundle: Path) -> None:
    bundle = Bundle.read(mapped_bundle)
    model, background = model_for(name, bundle), References.read(bundle)
    rows = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    targets = np.arange(20) % 2
    for of_columns, of_groups in ((["a", "c"], ("ac", "b")), (["b", "a"], ("ab", "c"))):
        groups = {of_groups[0]: of_columns}
        alone, together = (
            explain(explainer_class(name)(model, background, settings.of_method(name)), rows, targets)
            for settings in (ExplainSettings.of(), ExplainSettings.of(players=groups))
        )
        places = [["abc".index(c) for c in of_columns], ["abc".index(of_groups[1])]]
        order = sorted(places, key=min)
        expected = np.stack([alone.values[:, some].sum(axis=1) for some in order], axis=1)
        np.testing.assert_allclose(together.values, expected, atol=5e-6)
        np.testing.assert_allclose(together.error, alone.error, atol=1e-5)
        assert together.values.shape == (20, 2)


def test_groups_of_a_damaged_record_are_refused() -> None:
    with pytest.raises(UsageError, match="players: expected a file, or a mapping of names to columns, got 5"):
        ExplainSettings.of(players=5)
    assert ExplainSettings.of(players={"x": ["a", "b"]}).record()["players"] == {"x": ("a", "b")}
