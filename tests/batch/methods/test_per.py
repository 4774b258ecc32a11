"""What has a share in each kind of input: names, axes, and the player of every cell."""

import dataclasses

import numpy as np
import pytest

from support.golden import GOLDEN
from whyport.batch.methods.per import KNOWN, chosen_per, grid_of, grid_text, own_per, shared_axes, unit_names
from whyport.runtime.bundle.inputs import Axis, Input
from whyport.runtime.bundle.sidecar import Sidecar, decode_sidecar
from whyport.runtime.errors import UsageError


def golden(name: str) -> Sidecar:
    return decode_sidecar(GOLDEN[name].read_text(encoding="utf-8"))


def picture(height: int, width: int, channels: int) -> Input:
    (each,) = golden("image").inputs
    spec = dataclasses.replace(each.tensors[0], shape=("N", height, width, channels))
    return dataclasses.replace(each, tensors=(spec,), axes=(Axis("y", height, None), Axis("x", width, None)))


@pytest.mark.parametrize("size", [(224, 224, 3), (200, 100, 1), (30, 7, 3), (5, 28, 1)])
def test_patches_are_a_grid_that_shares_every_pixel_once(size: tuple[int, int, int]) -> None:
    height, width, channels = size
    each = picture(*size)
    names = np.array(unit_names(each, "auto", ["?"] * (height * width * channels))).reshape(size)
    assert [int(axis.length) for axis in shared_axes(each, "auto")] == [min(height, 28), min(width, 28)]
    assert (names == names[..., :1]).all()  # a pixel's channels stand together
    rows, columns = names[:, 0, 0], names[0, :, 0]
    counts = np.unique(rows, return_counts=True)[1]
    assert len(counts) == min(height, 28)
    assert counts.max() - counts.min() <= 1
    assert len(set(names.ravel())) == min(height, 28) * min(width, 28)
    y, x = height // 2, width - 1
    assert names[y, x, 0] == f"photo[{y * min(height, 28) // height},{min(width, 28) - 1}]"
    assert len(dict.fromkeys(columns)) == min(width, 28)


def test_pixels_and_channels_have_shares_of_their_own() -> None:
    each = picture(2, 3, 3)
    cells = [str(i) for i in range(18)]
    pixels = unit_names(each, "pixel", cells)
    assert pixels[:6] == ["photo[0,0]"] * 3 + ["photo[0,1]"] * 3
    assert len(set(pixels)) == 6
    assert unit_names(each, "cell", cells) == cells
    assert [axis.name for axis in shared_axes(each, "pixel")] == ["y", "x"]
    assert shared_axes(each, "cell")[-1] == Axis("channel", 3, ("red", "green", "blue"))


@pytest.mark.parametrize("grid", [(7, 7), (1, 30), (200, 100)])
def test_a_grid_shares_every_pixel_once(grid: tuple[int, int]) -> None:
    each, per = picture(200, 100, 3), grid_text(grid)
    names = np.array(unit_names(each, per, ["?"] * 60_000)).reshape(200, 100, 3)
    assert tuple(axis.length for axis in shared_axes(each, per)) == grid
    assert len(set(names.ravel())) == grid[0] * grid[1]
    assert names[199, 99, 2] == f"photo[{grid[0] - 1},{grid[1] - 1}]"


def test_the_grid_of_maps_is_the_default_beside_nothing_else() -> None:
    image = golden("image")
    assert chosen_per("auto", image, (7, 9)) == "7x9"
    assert chosen_per("patch", image, (7, 9)) == "patch"


def test_only_a_text_that_is_a_grid_is_one() -> None:
    assert grid_of("7x12") == (7, 12)
    assert {grid_of(text) for text in ("patch", "0x7", "7x", "7X7", "7x7x7", "07x7")} == {None}


def test_tokens_have_all_dimensions_of_their_embedding() -> None:
    (text,) = golden("text").inputs
    assert shared_axes(text, "auto") == (Axis("token", 512, None),)
    assert unit_names(text, "auto", ["?"] * 512)[:2] == ["note[0]", "note[1]"]
    embedded = dataclasses.replace(text, axes=(Axis("token", 2, None), Axis("dimension", 3, None)))
    sequence = dataclasses.replace(embedded, prepare=golden("sequence").inputs[0].prepare)
    assert unit_names(sequence, "feature", ["?"] * 6) == ["note[0]"] * 3 + ["note[1]"] * 3
    assert shared_axes(sequence, "auto") == (Axis("token", 2, None),)


@pytest.mark.parametrize(
    ("name", "of_auto"),
    [("regression", "cell"), ("sequence", "cell"), ("image", "patch"), ("image_and_table", "patch"), ("text", "token")],
)
def test_the_default_is_that_of_the_models_inputs(name: str, of_auto: str) -> None:
    assert chosen_per("auto", golden(name)) == of_auto
    assert chosen_per("cell", golden(name)) == "cell"


def test_a_table_beside_a_picture_keeps_its_columns() -> None:
    image, table = golden("image_and_table").inputs
    assert (own_per(image, "pixel"), own_per(table, "pixel")) == ("pixel", "cell")


@pytest.mark.parametrize(
    ("per", "name", "message"),
    [
        ("patch", "regression", "expected a model with images for 'patch', got one of tables; --players"),
        ("token", "image", "expected a model with texts for 'token', got one of images$"),
        ("7x7", "regression", "expected a model with images for '7x7', got none"),
        ("225x7", "image", "expected a grid of at most 224x224 pixels, got '225x7'"),
        ("step", "text", "expected a model with sequences for 'step', got one of texts"),
    ],
)
def test_what_no_input_has_is_refused(per: str, name: str, message: str) -> None:
    assert KNOWN.holds(per)
    with pytest.raises(UsageError, match=message):
        chosen_per(per, golden(name))
