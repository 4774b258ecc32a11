import logging

import numpy as np
import pytest
import torch

from support.sequences import list_column, sequence_input
from whyport.batch.methods.maps.upsampling import Upsampling, row_upsampling, upsampling, warn_if_constant
from whyport.batch.methods.players import PlayerMap
from whyport.runtime.bundle.inputs import Axis, ImagePreparation, Input
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleError


def pixel_axes(height: int, width: int) -> tuple[Axis, ...]:
    return Axis("y", height, None), Axis("x", width, None)


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


PIXELS = TensorSpec("photo", "uint8", ("N", 9, 6, 1))
IMAGE = Input("photo", (), ImagePreparation("image", "L", True, (), (), 10**6), (PIXELS,), pixel_axes(9, 6))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (9, 6), (11, 2)])
def test_over_y_and_x_it_is_bilinear(shape: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    cells = np.arange(9 * 6)

    values = Upsampling(shape, (IMAGE,), PlayerMap(tuple(map(str, cells)), cells, cells, False))(maps)

    expected = torch.nn.functional.interpolate(torch.tensor(maps)[:, None], (9, 6), mode="bilinear")
    np.testing.assert_allclose(values, expected.flatten(1), atol=1e-5)


def test_a_player_has_the_mean_of_its_pixels() -> None:
    maps = np.random.default_rng(0).normal(size=(4, 3, 3)).astype(np.float32)
    player = (np.arange(9)[:, None] // 3 * 2 + np.arange(6) // 3).reshape(-1)

    values = Upsampling((3, 3), (IMAGE,), PlayerMap(tuple("abcdef"), player, player, False))(maps)

    pixels = torch.nn.functional.interpolate(torch.tensor(maps)[:, None], (9, 6), mode="bilinear")
    np.testing.assert_allclose(values, torch.nn.functional.avg_pool2d(pixels, 3).flatten(1), atol=1e-6)


def test_maps_over_y_and_x_are_of_an_image_alone() -> None:
    steps = sequence_input("a", 6, (list_column("a", ("x", "y")),))
    cells = np.arange(9 * 6 + 12)
    players = PlayerMap(tuple(map(str, cells)), cells, cells, False)
    with pytest.raises(BundleError, match="expected an image as the only input, got 'photo', 'a'"):
        Upsampling((3, 3), (IMAGE, steps), players)


def test_a_single_position_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "batch"):
        warn_if_constant("grad-cam", 2)
        assert not caplog.text
        warn_if_constant("grad-cam", 1)
    assert "every feature of a row gets the same value" in caplog.text
