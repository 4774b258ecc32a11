"""Shapley values by forward passes, against the enumeration of every coalition."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import whyport
from enumeration import exact_shapley
from support.bundles import edit_sidecar, linear_bundle, logits_of
from support.columns import number_column
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.model import Gradients, Model
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.methods.shapley.shapley import FIRST_PAIRS, Shapley
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import Axis, Input, TablePreparation
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.score import Players, Score, Target
from whyport.runtime.errors import UsageError

FEATURES, CLASSES = 7, 3
GENERATOR = np.random.default_rng(0)
WEIGHTS = GENERATOR.normal(size=(FEATURES, 20))
HEAD = GENERATOR.normal(size=(20, CLASSES))
ROWS = GENERATOR.normal(size=(40, FEATURES)).astype(np.float32)
TARGETS = np.arange(40) % CLASSES
REFERENCES = References(GENERATOR.normal(size=(9, FEATURES)).astype(np.float32), np.arange(1, 10) / 45)


class Function(Model):
    """A function of rows, [N, F] to [N, C], that counts the rows it is given."""

    engine = "numpy"

    def __init__(self, function: Callable[[NDArray[Any]], NDArray[Any]], features: int, classes: int) -> None:
        columns = tuple(number_column(str(i)) for i in range(features))
        cells = tuple((i,) for i in range(features))
        axes = (Axis("feature", features, None),)
        table = Input("table", columns, TablePreparation("table", standardised=False), (), axes)
        sidecar = SimpleNamespace(
            targets=range(classes),
            score=Score("classification", "logit", "logits", None, tuple(Target(f"{k}", None) for k in range(classes))),
            inputs=(table,),
            players=Players(None, None),
            lengths=(),
            features=columns,
            feature_names=tuple(column.name for column in columns),
            cells=cells,
            width=features,
            tolerances={"completeness": 1e-4},
        )
        super().__init__(SimpleNamespace(sidecar=sidecar))  # type: ignore[arg-type]
        self._function = function
        self.passes = 0

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        self.passes += len(rows)
        return self._function(rows).astype(np.float32)

    def gradients(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Gradients:
        raise AssertionError("forward passes alone")


def test_one_reference_costs_no_walks_of_its_own() -> None:
    model = Function(network, FEATURES, CLASSES)
    settings = ExplainSettings.of(permutations=8).of_method("shapley")
    shapley = Shapley(model, References(REFERENCES.rows[:1], np.ones(1)), settings)  # type: ignore[arg-type]
    assert model.passes == 1
    found = explain(shapley, ROWS[:2], TARGETS[:2])
    np.testing.assert_allclose(found.values.sum(axis=1), found.output - found.base_value, atol=1e-5)


def network(rows: NDArray[Any]) -> NDArray[Any]:
    # Not by @, whose last bits depend on how many rows there are.
    hidden = np.maximum(np.einsum("nf,fh->nh", rows.astype(np.float64), WEIGHTS), 0.0)
    return np.einsum("nh,hc->nc", hidden, HEAD)


def create(function: Callable[..., NDArray[Any]] = network, **settings: Any) -> tuple[Shapley, Function]:
    model = Function(function, FEATURES, CLASSES)
    return Shapley(model, REFERENCES, ExplainSettings.of(**settings).of_method("shapley")), model  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def exact() -> NDArray[np.float64]:
    references = REFERENCES.rows.astype(np.float64), REFERENCES.weights
    return np.array(
        [
            exact_shapley(lambda rows, k=target: network(rows)[:, k], row.astype(np.float64), *references)
            for row, target in zip(ROWS, TARGETS, strict=True)
        ]
    )


def test_few_features_are_enumerated(exact: NDArray[np.float64]) -> None:
    explainer, model = create()
    before = model.passes
    got = explain(explainer, ROWS, TARGETS)
    np.testing.assert_allclose(got.values, exact, atol=2e-6)
    np.testing.assert_array_equal(got.extras["standard_error"], 0)
    assert got.converged is not None
    assert got.converged.all()
    assert got.evaluations.tolist() == [126 * 9] * 40
    assert model.passes - before == 40 * (126 * 9 + 1) + 9  # the rows' scores, and the references'


def test_a_budget_below_the_enumeration_is_sampled(exact: NDArray[np.float64]) -> None:
    got = explain(create(max_evaluations=126 * 9)[0], ROWS, TARGETS)
    np.testing.assert_allclose(got.values, exact, atol=2e-6)
    got = explain(create(max_evaluations=126 * 9 - 1)[0], ROWS, TARGETS)
    assert (got.extras["standard_error"] > 0).any()


@pytest.mark.parametrize(("features", "references"), [(7, 9), (7, 200), (8, 100), (12, 100), (13, 3), (300, 100)])
@pytest.mark.parametrize("given", [{}, {"max_evaluations": 20_000}, {"max_evaluations": 3_000}])
def test_no_row_takes_more_passes_than_the_cap(features: int, references: int, given: dict[str, Any]) -> None:
    generator = np.random.default_rng(1)
    background = References(
        generator.normal(size=(references, features)).astype(np.float32), np.full(references, 1 / references)
    )
    mixing = generator.normal(size=features)
    model = Function(lambda rows: np.sin(rows.astype(np.float64) @ mixing)[:, None], features, 1)
    settings = ExplainSettings.of(tolerance=1e-9, absolute_tolerance=1e-9, **given).of_method("shapley")
    explainer = Shapley(model, background, settings)  # type: ignore[arg-type]
    model.passes = 0
    row = generator.normal(size=(1, features)).astype(np.float32)
    got = explain(explainer, row, np.zeros(1, dtype=np.int64))
    cap, every = given.get("max_evaluations", 20_000), (2**features - 2) * references
    counted = model.passes - 1 - references  # but for the row's own score, and the base value
    assert got.evaluations.tolist() == [counted]
    assert counted <= cap
    is_exact = features <= 12 and every <= cap
    assert (counted == every) == is_exact
    assert bool((got.extras["standard_error"] == 0).all()) == is_exact


def test_a_cap_below_two_pairs_is_refused() -> None:
    create(max_evaluations=4 * (FEATURES - 1))
    with pytest.raises(UsageError, match="max_evaluations: expected at least 24 for shapley, .* 7 players, got 23"):
        create(max_evaluations=23)


def test_samples_add_up_and_are_within_their_standard_errors(exact: NDArray[np.float64]) -> None:
    explainer, model = create(permutations=1000)
    before = model.passes
    got = explain(explainer, ROWS, TARGETS)
    assert got.error.max() < 1e-5
    assert got.evaluations.tolist() == [1000 * (FEATURES - 1)] * 40
    assert model.passes - before == 40 * (1000 * (FEATURES - 1) + 1) + 9
    off = (got.values - exact) / got.extras["standard_error"]
    assert np.abs(off).max() < 4.5
    assert 0.7 < off.std() < 1.3
    base_value = REFERENCES.weights @ network(REFERENCES.rows)
    np.testing.assert_allclose(got.base_value, base_value[TARGETS], atol=1e-5)


def test_an_additive_model_leaves_nothing_to_chance() -> None:
    """What is drawn is another reference each time; what explains the reference itself cancels it."""
    weights = GENERATOR.normal(size=(FEATURES, CLASSES))
    explainer, _ = create(lambda rows: np.sin(rows.astype(np.float64)) @ weights, permutations=4)
    got = explain(explainer, ROWS, TARGETS)
    mean = REFERENCES.weights @ np.sin(REFERENCES.rows.astype(np.float64))
    np.testing.assert_allclose(got.values, (np.sin(ROWS) - mean) * weights.T[TARGETS], atol=1e-5)
    assert got.extras["standard_error"].max() < 1e-6


def test_rows_are_sampled_until_they_are_certain_enough() -> None:
    settings: dict[str, Any] = {"max_evaluations": 1100, "tolerance": 0.2, "absolute_tolerance": 0.05}
    got = explain(create(**settings)[0], ROWS, TARGETS)
    assert got.converged is not None
    allowed = np.maximum(0.2 * np.abs(got.output - got.base_value), 0.05)
    np.testing.assert_array_equal(got.converged, got.extras["standard_error"].max(axis=1) <= allowed)
    assert 0 < got.converged.sum() < 40
    assert got.evaluations.min() == FIRST_PAIRS * 2 * (FEATURES - 1)
    assert (got.evaluations[~got.converged] == 1100 // 12 * 12).all()
    assert (got.evaluations[got.converged] <= 1100).all()


@pytest.mark.parametrize("settings", [{}, {"permutations": 20}, {"max_evaluations": 800, "tolerance": 0.2}])
def test_a_rows_values_depend_on_no_other_row_class_or_budget(settings: dict[str, Any]) -> None:
    rows, targets = ROWS.repeat(CLASSES, axis=0), np.tile(np.arange(CLASSES), 40)
    together = explain(create(**settings)[0], rows, targets)
    some = explain(create(**settings)[0], ROWS[3:17:2], TARGETS[3:17:2])
    little = explain(create(memory=30_000, **settings)[0], rows, targets)
    chosen = (np.arange(40) * CLASSES + TARGETS)[3:17:2]
    np.testing.assert_array_equal(some.values, together.values[chosen])
    np.testing.assert_array_equal(some.evaluations, together.evaluations[chosen])
    np.testing.assert_array_equal(some.extras["standard_error"], together.extras["standard_error"][chosen])
    np.testing.assert_allclose(little.values, together.values, atol=1e-6)
    np.testing.assert_array_equal(little.evaluations, together.evaluations)


def test_every_class_takes_the_passes_of_one() -> None:
    one, all_classes = create(permutations=10), create(permutations=10)
    for _, model in (one, all_classes):
        model.passes = 0
    explain(one[0], ROWS, TARGETS)
    explain(all_classes[0], ROWS)
    assert one[1].passes == all_classes[1].passes


def test_the_seed_draws() -> None:
    values = [explain(create(permutations=10, seed=seed)[0], ROWS, TARGETS).values for seed in (0, 0, 1)]
    np.testing.assert_array_equal(values[0], values[1])
    assert (values[0] != values[2]).any()


def coverage(repeats: int, **settings: Any) -> float:
    """How often the 95 % interval of a value holds the exact one."""
    references = REFERENCES.rows.astype(np.float64), REFERENCES.weights
    exact = [exact_shapley(lambda x: network(x)[:, 1], row.astype(np.float64), *references) for row in ROWS]
    held = []
    for seed in range(repeats):
        got = explain(create(seed=seed, **settings)[0], ROWS, np.ones(40, dtype=np.int64))
        held.append(np.abs(got.values - exact) <= 1.96 * got.extras["standard_error"])
    return float(np.mean(held))


@pytest.mark.heavy
@pytest.mark.parametrize("settings", [{"permutations": 64}, {"permutations": 200}, {"max_evaluations": 1100}])
def test_intervals_hold_the_exact_value_as_often_as_they_say(settings: dict[str, Any]) -> None:
    assert 0.93 <= coverage(400, tolerance=0.1, absolute_tolerance=0.05, **settings) <= 0.97


def test_intervals_hold_the_exact_value_in_a_few_repeats() -> None:
    assert 0.90 <= coverage(12, permutations=64) <= 0.98


@pytest.mark.parametrize(("name", "value"), [("permutations", 3), ("seed", -1)])
def test_settings_that_cannot_be_are_refused(name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{name}: expected at least"):
        ExplainSettings.of(**{name: value})


BLOCKED = """
import sys
sys.modules["torch"] = None
from whyport.cli import main
main(sys.argv[1:])
"""


def test_a_plain_onnx_bundle_is_explained_where_torch_is_not_installed(
    tmp_path: Path, write: Callable[..., Path], table: pa.Table
) -> None:
    path = linear_bundle(tmp_path / "bundle")
    reason = {"available": False, "reason": "made from an ONNX file"}
    sidecar = json.loads((path / "bundle.json").read_text())
    files, torch_alone = sidecar["files"], ("model.pt", "deepshap.pt")
    for name in torch_alone:
        (path / name).unlink()
        del files[name]
    graphs = [graph for graph in sidecar["graphs"] if graph["file"] not in torch_alone]
    edit_sidecar(path, capabilities=dict.fromkeys(("gradients", "deepshap"), reason), files=files, graphs=graphs)
    command = ["run", path, write(table), "--out", tmp_path / "out", "--explain", "shapley", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *map(str, command)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (part,) = (tmp_path / "out").glob("part-*")
    got = pq.read_table(part)
    rows = np.stack([table[name].to_numpy() for name in "abc"], axis=1)
    total = sum(got[f"attribution.{name}"].to_numpy().astype(np.float64) for name in "abc")
    np.testing.assert_allclose(total + got["base_value"].to_numpy(), logits_of(rows).max(axis=1), atol=1e-4)
    assert "torch" not in json.loads((tmp_path / "out" / "_job.json").read_text())["versions"]


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["attribution.c", "standard_error.a", "standard_error.b", "standard_error.c", "completeness_error"]),
        ({"layout": "list"}, ["attribution", "standard_error", "completeness_error"]),
        ({"top_k": 2}, ["top_feature", "top_attribution", "top_standard_error", "completeness_error"]),
        (
            {"explain_target": "all", "layout": "list", "methods": ("gradient", "shapley")},
            ["shapley.attribution.yes", "shapley.standard_error.yes", "shapley.completeness_error.no"],
        ),
        ({"explain_where": "source_row < 10", "layout": "list"}, ["attribution", "standard_error"]),
    ],
)
def test_every_value_has_its_standard_error_beside_it(
    bundle: Path,
    write: Callable[..., Path],
    table: pa.Table,
    tmp_path: Path,
    settings: dict[str, Any],
    names: list[str],
) -> None:
    options = {"methods": ("shapley",), "explain": ExplainSettings.of(permutations=6), "device": "cpu"} | settings
    job = JobSettings((str(write(table.slice(0, 50))),), tmp_path / "out", **options)
    Job(Bundle.read(bundle), job).run()
    assert whyport.audit(job.out, sample=50, device="cpu")[-1].startswith("sample")
    (part,) = job.out.glob("part-*")
    written = pq.read_schema(part).names
    start = written.index(names[0])
    assert written[start : start + len(names)] == names


@pytest.mark.parametrize("settings", [{"permutations": 4}, {"permutations": 5000}, {"max_evaluations": 1}])
def test_a_player_alone_has_all_of_it_whatever_the_options(settings: dict[str, int]) -> None:
    explainer, _ = create(players={"everything": tuple(map(str, range(FEATURES)))}, **settings)
    got = explain(explainer, ROWS, TARGETS)
    base = REFERENCES.weights @ network(REFERENCES.rows)
    np.testing.assert_allclose(got.values[:, 0], (network(ROWS) - base)[np.arange(40), TARGETS], rtol=1e-5, atol=1e-5)
    assert got.values.shape == (40, 1)
    assert got.converged is not None
    assert got.converged.all()
    assert (got.evaluations == 0).all()
