"""A row of pictures in words: the strongest patches in pixels, and a grid with signs."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import whyport
from whyport.batch.methods.positions import Block, Positions
from whyport.batch.review.show_pictures import coarse, grid_lines, picture_lines
from whyport.runtime.bundle.inputs import Axis


def test_the_strongest_patches_have_their_places_in_pixels() -> None:
    block = Block("photo", False, 0, (Axis("y", 4, None), Axis("x", 3, None)))
    shares = np.zeros(12)
    shares[5], shares[9] = -2.0, 1.0
    lines = list(picture_lines(Positions(("p",) * 12, (block,)), shares, 2, {"photo": (40, 10)}))
    assert lines[1] == f"  {-2.0:+12.5g}  y 10 to 19, x 7 to 9"
    assert lines[2] == f"  {1.0:+12.5g}  y 30 to 39, x 0 to 3"


def test_signs_stand_in_the_grid_without_colours() -> None:
    assert list(grid_lines(np.array([[1.0, -0.5], [0.0, -1.0]]))) == ["  |+█-▒|", "  |  -█|"]


def test_a_large_grid_is_summed_to_a_small_one_that_adds_up() -> None:
    cells = np.random.default_rng(0).normal(size=(224, 200))
    small = coarse(cells, 28)
    assert small.shape == (28, 28)
    np.testing.assert_allclose(small.sum(), cells.sum())
    np.testing.assert_allclose(small[0, 0], cells[:8, :8].sum())


def test_a_run_of_pictures_is_shown_with_its_grid(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    whyport.run(image_bundle, image_rows, tmp_path / "out", explain="deepshap", keep="id")
    lines = whyport.show(tmp_path / "out", 3)
    stored = pq.read_table(tmp_path / "out")["attribution"].combine_chunks().to_numpy_ndarray()[3]
    y, x = np.unravel_index(np.abs(stored).argmax(), stored.shape)
    assert any(line.endswith(f"  y {y} to {y}, x {x} to {x}") for line in lines)
    assert sum(line.startswith("  |") for line in lines) == len(stored)
    assert not any("by step" in line for line in lines)
