"""Baselines by name: black, mean and blurred pictures beside the reference rows' other columns."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from support.golden import GOLDEN
from whyport.batch.methods.baselines import ChosenBaseline, blurred, chosen_baseline
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Sidecar, decode_sidecar
from whyport.runtime.errors import UsageError

CELLS = 32 * 32


def golden(name: str) -> Sidecar:
    return decode_sidecar(GOLDEN[name].read_text(encoding="utf-8"))


INPUTS: tuple[Input, ...] = golden("image_and_table").inputs
ROWS = np.random.default_rng(3).integers(0, 256, (4, CELLS + len(INPUTS[1].columns))).astype(np.float32)
WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])


def baseline(kind: str, rows: NDArray[np.float32] = ROWS) -> ChosenBaseline:
    return ChosenBaseline(kind, 2.5, INPUTS, References(rows, WEIGHTS[: len(rows)]))


def test_a_blur_is_a_gaussian_filter_whose_weights_sum_to_one_at_the_edges_too() -> None:
    picture = np.random.default_rng(5).integers(0, 256, (40, 23, 3)).astype(np.float32)
    inside = {"mode": "constant", "truncate": 4.0, "axes": (0, 1)}
    expected = gaussian_filter(picture.astype(np.float64), 2.5, **inside)
    expected /= gaussian_filter(np.ones(picture.shape), 2.5, **inside)
    found = blurred(picture, 2.5)
    assert (found == np.rint(found)).all()
    assert np.abs(found - expected).max() <= 0.5 + 1e-9
    flat = np.full((9, 30, 1), 77, dtype=np.float32)
    np.testing.assert_array_equal(blurred(flat, 10), flat)


def test_pictures_are_replaced_and_other_columns_kept() -> None:
    black, grey = baseline("zero").references(), baseline("mean").references()
    assert (black.rows[:, :CELLS] == 0).all()
    (channel,) = INPUTS[0].columns[0].channels
    assert (grey.rows[:, :CELLS] == np.rint(channel.numbers.mean)).all()
    for each in (black, grey):
        np.testing.assert_array_equal(each.rows[:, CELLS:], ROWS[:, CELLS:])
        np.testing.assert_array_equal(each.weights, WEIGHTS)
    assert baseline("rows").references().rows is ROWS
    assert not baseline("zero").differs_by_row


def test_equal_references_are_one() -> None:
    alike = ROWS.copy()
    alike[:, CELLS:] = 7
    one = baseline("zero", alike).references()
    assert one.rows.shape == (1, ROWS.shape[1])
    assert one.weights.tolist() == [1]


def test_a_blurred_reference_is_of_the_row_itself() -> None:
    chosen = baseline("blur")
    assert chosen.differs_by_row
    row = ROWS[2]
    found = chosen.references(row)
    expected = blurred(row[:CELLS].reshape(32, 32, 1), 2.5).ravel()
    np.testing.assert_array_equal(found.rows[:, :CELLS], np.tile(expected, (4, 1)))
    np.testing.assert_array_equal(found.rows[:, CELLS:], ROWS[:, CELLS:])


def test_a_baseline_has_a_name_of_the_bundle() -> None:
    image, table = golden("image"), golden("regression")
    assert chosen_baseline(None, image) == "black"
    assert chosen_baseline("blurred", image) == "blurred"
    assert chosen_baseline(None, table) is None
    with pytest.raises(
        UsageError, match="unknown baseline of this bundle 'blur' .*; known: 'black', 'mean colour', 'blu"
    ):
        chosen_baseline("blur", image)
    without = dataclasses.replace(image, baselines=())
    with pytest.raises(UsageError, match="unknown baseline of this bundle 'blur'"):
        chosen_baseline("blur", without)
