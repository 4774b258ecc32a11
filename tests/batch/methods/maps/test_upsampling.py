import logging

import numpy as np
import pytest
import torch

from support.sequences import list_column, sequence_input
from whyport.batch.methods.maps.upsampling import row_upsampling, upsampling, warn_if_constant


@pytest.mark.parametrize(("positions", "features"), [(1, 4), (2, 5), (7, 30), (8, 8), (9, 4), (3, 100)])
def test_it_is_that_of_torch(positions: int, features: int) -> None:
    values = np.random.default_rng(0).normal(size=(6, positions)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.tensor(values)[:, None], features, mode="linear", align_corners=False
    )
    np.testing.assert_allclose(values @ upsampling(positions, features), expected[:, 0], atol=1e-6)


def test_all_features_of_a_step_have_its_value() -> None:
    several = [sequence_input("a", 6, (list_column("a", ("x", "y")),)), sequence_input("b", 4, (list_column("b"),))]

    values = row_upsampling(3, several)

    np.testing.assert_array_equal(values[:, :12].reshape(3, 6, 2), np.dstack([upsampling(3, 6)] * 2))
    np.testing.assert_array_equal(values[:, 12:], upsampling(3, 4))


def test_a_single_position_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "batch"):
        warn_if_constant("grad-cam", 2)
        assert not caplog.text
        warn_if_constant("grad-cam", 1)
    assert "every feature of a row gets the same value" in caplog.text
