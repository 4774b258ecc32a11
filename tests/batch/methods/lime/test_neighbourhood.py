"""The weights of LIME's samples are those of the package `lime`, with distances by scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from whyport.batch.methods.lime.neighbourhood import Neighbourhood, Weigh, by_cosine, by_euclid


@pytest.mark.parametrize(
    ("weigh", "metric", "factor", "width"),
    [(by_cosine, "cosine", 1, 0.25), (by_cosine, "cosine", 100, 25), (by_euclid, "euclidean", 1, 0.75 * 12**0.5)],
    ids=["images", "texts", "tables"],
)
def test_weights_are_limes(weigh: Weigh, metric: str, factor: float, width: float) -> None:
    around = Neighbourhood.draw(3, 200, 12, weigh)
    masks = around.masks.astype(np.float64)
    distance = factor * pairwise_distances(masks, masks[:1], metric=metric).ravel()
    np.testing.assert_allclose(around.weights, np.sqrt(np.exp(-(distance**2) / width**2)), atol=1e-12)
    assert around.weights[0] == 1


def test_every_player_is_there_in_the_first_sample_and_by_chance_in_the_others() -> None:
    around = Neighbourhood.draw(3, 4000, 12, by_cosine)
    assert around.masks[0].all()
    assert np.abs(around.masks[1:].mean(axis=0) - 0.5).max() < 0.04
    np.testing.assert_array_equal(around.masks, Neighbourhood.draw(3, 4000, 12, by_cosine).masks)
    assert (around.masks != Neighbourhood.draw(4, 4000, 12, by_cosine).masks).any()


def test_a_sample_without_any_player_has_a_finite_weight() -> None:
    assert by_cosine(np.zeros((1, 5), dtype=np.bool_)) == pytest.approx(np.exp(-8))
