"""`lime` beside the package of that name, on the same samples."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lime.lime_base import LimeBase
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray

from support.command import Whyport
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.lime.lime import Lime
from whyport.batch.methods.lime.neighbourhood import Neighbourhood, by_cosine
from whyport.batch.methods.lime.regression import WeightedRidge
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import UsageError
from whyport.runtime.session import Session

Floats = NDArray[np.floating[Any]]


def create(path: Path, **settings: Any) -> Lime:
    bundle = Bundle.read(path)
    model = OnnxModel(Session(bundle, "cpu"))
    return Lime(model, References.read(bundle), ExplainSettings.of(**settings).of_method("lime"))


@pytest.fixture(scope="module")
def real_rows(reference_bundle: Path) -> NDArray[np.float32]:
    return References.read(Bundle.read(reference_bundle)).rows[:4] * np.float32(1.1)


def test_coefficients_are_limes_on_the_same_samples(reference_bundle: Path, real_rows: NDArray[np.float32]) -> None:
    lime = create(reference_bundle)
    assert lime.references is not None
    got = explain(lime, real_rows)
    masks = lime.neighbourhood.masks
    width = 0.75 * masks.shape[1] ** 0.5
    base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / width**2)), random_state=0)
    for i, row in enumerate(real_rows):
        scores = lime.model.scores(np.where(masks, row, lime.references.rows[0]))
        distances = np.sqrt((~masks).sum(axis=1))
        for k in range(scores.shape[1]):
            _, pairs, r2, _ = base.explain_instance_with_data(
                masks.astype(float), scores, distances, k, masks.shape[1], feature_selection="none"
            )
            expected = np.array([value for _, value in sorted(pairs)])
            own = 2 * i + k
            assert np.corrcoef(got.values[own], expected)[0, 1] > 0.99999
            np.testing.assert_allclose(got.values[own], expected, atol=1e-4 * np.abs(expected).max())
            samples, players = masks.shape
            adjusted = 1 - (1 - r2) * (samples - 1) / (samples - players - 1)
            np.testing.assert_allclose(got.extras["adjusted_r2"][own], adjusted, atol=1e-5)


class Replayed(np.random.RandomState):
    """A source of chance that gives masks which were drawn before."""

    def __init__(self, masks: NDArray[np.bool_]) -> None:
        super().__init__(0)
        self._masks = masks

    def randint(self, *_: Any, **__: Any) -> Any:
        return self._masks.astype(np.int64).reshape(-1)


def test_segments_have_the_coefficients_of_limes_image_explainer() -> None:
    chance = np.random.default_rng(2)
    image = chance.uniform(0, 1, (12, 12, 3))
    segments = np.arange(12)[:, None] // 4 * 3 + np.arange(12) // 4
    weights = chance.normal(size=(12 * 12 * 3, 2))

    def chances(images: Floats) -> Floats:
        raised = np.exp(np.sin(images.reshape(len(images), -1) @ weights))
        return raised / raised.sum(axis=1, keepdims=True)

    around = Neighbourhood.draw(0, 400, 9, by_cosine)
    explained = LimeImageExplainer(random_state=Replayed(around.masks)).explain_instance(
        image, chances, labels=(0, 1), num_samples=400, segmentation_fn=lambda _: segments, random_seed=0
    )
    mean = np.stack([image[segments == k].mean(axis=0) for k in range(9)])[segments]
    mixed = np.where(around.masks[:, segments][..., None], image, mean)
    fit = WeightedRidge(around.masks, around.weights).fit(chances(mixed).T)
    for k in (0, 1):
        expected = np.array([value for _, value in sorted(explained.local_exp[k])])
        np.testing.assert_allclose(fit.coefficients[k], expected, atol=1e-10)


def test_a_player_with_the_references_value_has_exactly_nothing(
    reference_bundle: Path, real_rows: NDArray[np.float32]
) -> None:
    lime = create(reference_bundle, samples=200)
    assert lime.references is not None
    rows = real_rows.copy()
    rows[1, 5] = lime.references.rows[0, 5]
    rows[2] = lime.references.rows[0]
    got = explain(lime, rows, np.zeros(4, dtype=np.int64))
    error = got.extras["standard_error"]
    assert (got.values[1] == 0).tolist() == [place == 5 for place in range(30)]
    assert (error[1] == 0).tolist() == [place == 5 for place in range(30)]
    assert not got.values[2].any()
    assert not error[2].any()
    assert got.extras["order_settled"][2] == 0
    alone = explain(lime, real_rows, np.zeros(4, dtype=np.int64))
    np.testing.assert_allclose(got.values[0], alone.values[0], atol=1e-6)


def test_the_row_itself_costs_no_pass_and_every_target_is_asked_at_once(
    reference_bundle: Path, real_rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    lime, seen = create(reference_bundle, samples=100), list[int]()
    scores = lime.model.scores
    got = explain(lime, real_rows)
    monkeypatch.setattr(lime.model, "scores", lambda rows: (seen.append(len(rows)), scores(rows))[1])
    again = explain(lime, real_rows)
    assert sum(seen) == 4 + 4 * 99
    assert (got.evaluations == 99).all()
    np.testing.assert_array_equal(got.values, again.values)


@pytest.mark.parametrize("call_values", [30, 100, 4000])
def test_calls_of_any_size_give_the_same(
    call_values: int, reference_bundle: Path, real_rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    lime = create(reference_bundle, samples=64)
    whole = explain(lime, real_rows)
    monkeypatch.setattr("whyport.batch.methods.lime.lime.CALL_VALUES", call_values)
    np.testing.assert_allclose(explain(lime, real_rows).values, whole.values, atol=1e-4)


def test_a_group_is_there_or_not_as_a_whole(bundle: Path) -> None:
    rows = np.array([[2.0, 1.0, -1.0]], dtype=np.float32)
    lime = create(bundle, players={"ab": ["a", "b"]})
    assert lime.references is not None
    got = explain(lime, rows, np.array([0]))
    change = (rows - lime.references.rows)[0] * [1.0, -2.0, 0.5]
    np.testing.assert_allclose(got.values[0], [change[0] + change[1], change[2]], rtol=0.02)


def test_fewer_samples_than_coefficients_are_refused(bundle: Path) -> None:
    create(bundle, samples=5)
    with pytest.raises(UsageError, match="samples: expected at least 5 for lime, .* each of 3 players, got 4"):
        create(bundle, samples=4)


def test_a_run_writes_its_columns_and_is_audited(
    bundle: Path, table: pa.Table, whyport: Whyport, tmp_path: Path
) -> None:
    source, out = tmp_path / "rows.parquet", tmp_path / "out"
    pq.write_table(table.slice(0, 40), source)
    whyport("run", bundle, source, "--out", out, "--explain", "lime", "--samples", 50, "--on-bad-row", "impute")
    (part,) = out.glob("part-*.parquet")
    got = pq.read_table(part)
    names = got.column_names
    assert names[names.index("converged") + 1 :][:2] == ["adjusted_r2", "order_settled"]
    assert [got.schema.field(name).type for name in names[-3:-1]] == [pa.float32(), pa.int32()]
    assert got["base_value"].null_count == got["completeness_error"].null_count == got["converged"].null_count == 40
    assert min(got["adjusted_r2"].to_pylist()) > 0.9
    assert set(got["order_settled"].to_pylist()) <= {0, 1, 2, 3}
    assert min(got["standard_error.a"].to_pylist()) >= 0
    assert "40 rows computed again" in whyport("audit", out).output
    assert " ± " in whyport("show", out, "--row", 7).output


def test_patches_of_a_picture_have_limes_coefficients_by_cosine_distance(image_bundle: Path, image_rows: Path) -> None:
    lime = create(image_bundle, samples=300)
    assert lime.references is not None
    session = Session(Bundle.read(image_bundle), "cpu")
    rows = session.matrix({"photo": pq.read_table(image_rows)["photo"].to_pylist()[:2]})
    got = explain(lime, rows, np.array([0, 1]))
    masks = lime.neighbourhood.masks
    np.testing.assert_array_equal(lime.neighbourhood.weights, by_cosine(masks))
    base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)), random_state=0)
    for k, row in enumerate(rows):
        is_there = masks.repeat(3, axis=1)
        scores = lime.model.scores(np.where(is_there, row, lime.references.rows[0]))
        distances = 1 - np.sqrt(masks.mean(axis=1))
        _, pairs, _, _ = base.explain_instance_with_data(
            masks.astype(float), scores, distances, k, masks.shape[1], feature_selection="none"
        )
        expected = np.array([value for _, value in sorted(pairs)])
        assert np.corrcoef(got.values[k], expected)[0, 1] > 0.9999
