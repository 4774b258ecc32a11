"""The budget of working memory: it is kept, and it does not show in the results."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from support.engines import OF_NETWORKS, model_for
from whyport.batch.methods.alone import explain
from whyport.batch.methods.explainer import Explainer, explainer_class, rows_within
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.settings import ExplainSettings
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References

# Almost every row takes all the gradients that it may.
UNREACHABLE: dict[str, Any] = {"tolerance": 1e-9, "absolute_tolerance": 1e-9, "max_evaluations": 200}


def create(name: str, path: Path, references: int = 100, **settings: Any) -> Explainer:
    bundle = Bundle.read(path)
    background = References.read(bundle)
    background = References(background.rows[:references], np.full(references, 1 / references))
    return explainer_class(name)(model_for(name, bundle), background, ExplainSettings.of(**settings).of_method(name))


@pytest.fixture(scope="module")
def rows(reference_bundle: Path) -> NDArray[np.float32]:
    background = References.read(Bundle.read(reference_bundle)).rows
    return background[:64] * np.linspace(0.8, 1.2, 64, dtype=np.float32)[:, None]


def peak(explainer: Explainer, rows: NDArray[np.float32]) -> tuple[int, Attribution]:
    """Bytes of numpy's arrays at the most; the model's passes are PyTorch's and do not count."""
    targets = np.arange(len(rows)) % 2
    explain(explainer, rows[:1], targets[:1])
    tracemalloc.start()
    try:
        attribution = explain(explainer, rows, targets)
        return tracemalloc.get_traced_memory()[1], attribution
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "references", "settings"),
    [
        ("integrated-gradients", 100, UNREACHABLE),
        ("integrated-gradients", 100, {"steps": 300}),
        ("expected-gradients", 20, UNREACHABLE),
        ("expected-gradients", 100, UNREACHABLE),
        ("expected-gradients", 60, {"steps": 5}),
        ("expected-gradients", 100, {"steps": 3}),
    ],
)
def test_the_budget_is_kept_where_every_row_takes_all_it_may(
    name: str, references: int, settings: dict[str, Any], reference_bundle: Path, rows: NDArray[np.float32]
) -> None:
    budget = 4_000_000
    held, attribution = peak(create(name, reference_bundle, references, memory=budget, **settings), rows)
    assert held <= budget
    assert (attribution.evaluations >= settings.get("max_evaluations", 0)).mean() > 0.9
    more, _ = peak(create(name, reference_bundle, references, memory=10 * budget, **settings), rows)
    assert budget < more <= 10 * budget  # so it was the budget that held it


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_results_do_not_depend_on_the_budget(name: str, reference_bundle: Path, rows: NDArray[np.float32]) -> None:
    rows = rows[:24] if name == "expected-gradients" else rows
    targets = np.arange(len(rows)) % 2
    large = explain(create(name, reference_bundle, memory=10**12, permutations=40), rows, targets)
    tiny = explain(create(name, reference_bundle, memory=1, permutations=40), rows, targets)  # one row at a time
    units = rows.std(axis=0) if name == "gradient" else np.ones(rows.shape[1])
    largest = np.abs(large.values * units).max()
    # A heatmap's rows are each scaled by their own largest value: rounding counts relative to that, not to all rows'.
    atol = 1e-5 if name == "grad-cam" else 1e-6
    np.testing.assert_allclose(tiny.values * units / largest, large.values * units / largest, rtol=0, atol=atol)
    np.testing.assert_allclose(tiny.output, large.output, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(tiny.evaluations, large.evaluations)


def test_walks_are_taken_as_the_budget_has_room_for_their_scores(
    reference_bundle: Path, rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whyport.batch.methods.shapley.walks.CALL_VALUES", 1 << 14)
    peaks = []
    for budget in (1_000_000, 64_000_000):
        peaks.append(peak(create("shapley", reference_bundle, 20, memory=budget, permutations=200), rows[:32])[0])
        assert peaks[-1] < budget + 1_500_000
    assert peaks[1] > 3 * peaks[0]


def test_the_shares_of_every_class_are_made_for_as_many_rows_as_the_budget_holds(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = create("deepshap", bundle, 4, memory=12_000)
    seen = []
    attribute = explainer.attribute
    monkeypatch.setattr(explainer, "attribute", lambda request: (seen.append(len(request.rows)), attribute(request))[1])
    made = np.random.default_rng(0).normal(size=(250, 3)).astype(np.float32)
    explain(explainer, made, np.zeros(250, dtype=np.int64))
    assert explainer.row_bytes() == 8 * (2 + 3) * 3
    assert seen == [100, 100, 50]


@pytest.mark.parametrize("name", ["integrated-gradients", "expected-gradients"])
def test_gradients_at_references_are_kept_where_the_budget_holds_them(
    name: str, reference_bundle: Path, rows: NDArray[np.float32]
) -> None:
    references = 1 if name == "integrated-gradients" else 20
    needed = 8 * references * rows.shape[1] * 2
    kept, made = (create(name, reference_bundle, 20, memory=memory)._starts for memory in (needed, needed - 1))
    assert (kept._gradients is None, made._gradients is None) == (False, True)
    generator = np.random.default_rng(0)
    asked = generator.integers(0, references, 50), generator.integers(0, 2, 50)
    for got, expected in zip(made.values(*asked), kept.values(*asked), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    leaf = torch.from_numpy(made.cells[asked[0]]).requires_grad_()
    scores = load_torchscript((reference_bundle / "model.pt").read_bytes())(leaf)[0]
    scores.gather(1, torch.from_numpy(asked[1])[:, None]).sum().backward()
    np.testing.assert_allclose(made.values(*asked)[0], leaf.grad, rtol=0, atol=1e-5 * float(leaf.grad.abs().max()))


def test_occlusion_replaces_a_few_of_many_players_at_a_time(
    reference_bundle: Path, rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = np.arange(len(rows)) % 2
    explainer, seen = create("occlusion", reference_bundle), []
    expected = explain(explainer, rows, targets)
    columns_of = PlayerMap.columns_of
    monkeypatch.setattr("whyport.batch.methods.occlusion.CALL_VALUES", 4 * rows.shape[1])
    monkeypatch.setattr(
        PlayerMap, "columns_of", lambda self, chosen: (seen.append(chosen), columns_of(self, chosen))[1]
    )
    got = explain(explainer, rows, targets)
    assert max(map(len, seen)) == 4
    np.testing.assert_array_equal(np.concatenate(seen), np.eye(rows.shape[1], dtype=np.bool_))
    np.testing.assert_allclose(got.values, expected.values, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("memory", "rows"), [(1, 1), (999, 1), (1000, 1), (1999, 1), (2000, 2)])
def test_one_row_is_always_worked_on(memory: int, rows: int) -> None:
    assert rows_within(memory, 1000) == rows
