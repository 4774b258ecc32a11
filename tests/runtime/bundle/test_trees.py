"""trees.npz: what is written is read again, the sums are those of the leaves, and damage is refused."""

import dataclasses

import numpy as np
import pytest

from whyport.runtime.bundle.trees import Trees
from whyport.runtime.errors import BundleFormatError


def two_trees() -> Trees:
    """A tree on column 0 with missing values to the left, and one on a category's second cell."""
    return Trees(
        roots=np.array([0, 3], dtype=np.int32),
        cell=np.array([0, -1, -1, 2, -1, -1], dtype=np.int32),
        threshold=np.array([1.5, 0, 0, 0.5, 0, 0], dtype=np.float32),
        missing_left=np.array([True, False, False, False, False, False]),
        left=np.array([1, -1, -1, 4, -1, -1], dtype=np.int32),
        right=np.array([2, -1, -1, 5, -1, -1], dtype=np.int32),
        value=np.array([[0], [1], [2], [0], [10], [20]], dtype=np.float64),
        weights=np.array([[-1.0], [1.0]]),
        offset=np.array([0.5, -0.5]),
        columns=np.array([0, 1, 1], dtype=np.int32),
        encoding=np.array([-1, 0, 3], dtype=np.int32),
        tables=np.array([1, 0, 0, 0, 1, 0], dtype=np.float32),
    )


ROWS = np.array([[1.5, 0], [1.75, 1], [np.nan, 1], [3, 2]], dtype=np.float32)


def test_scores_are_the_sums_of_the_leaves() -> None:
    margin = np.array([11, 22, 21, 12]) - 0.5
    np.testing.assert_array_equal(two_trees().scores(ROWS), np.stack([-margin, margin], axis=1))


def test_trees_that_are_written_are_read_again() -> None:
    trees = two_trees()
    again = Trees.read(trees.write())
    assert again.write() == trees.write()
    np.testing.assert_array_equal(again.scores(ROWS), trees.scores(ROWS))
    again.check_table([None, 3], targets=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left": np.array([0, -1, -1, 4, -1, -1], dtype=np.int32)}, "children after their parents"),
        ({"right": np.array([9, -1, -1, 5, -1, -1], dtype=np.int32)}, "children after their parents"),
        ({"right": np.array([-1, -1, -1, 5, -1, -1], dtype=np.int32)}, "two children or none"),
        ({"right": np.array([1, -1, -1, 5, -1, -1], dtype=np.int32)}, "nodes of one parent"),
        ({"roots": np.array([0, 0], dtype=np.int32)}, "nodes of one parent"),
        ({"roots": np.array([0, 4], dtype=np.int32)}, "nodes of one parent"),
        ({"cell": np.array([3, -1, -1, 2, -1, -1], dtype=np.int32)}, "cells of the row"),
        ({"roots": np.array([0, 6], dtype=np.int32)}, "roots among the nodes"),
        ({"roots": np.array([], dtype=np.int32)}, "a tree and a target"),
        ({"columns": np.array([0, -1, 1], dtype=np.int32)}, "columns from 0"),
        ({"offset": np.array([np.nan, 0])}, "finite"),
        ({"threshold": np.full(6, np.nan, dtype=np.float32)}, "thresholds that are numbers"),
        ({"value": np.ones((6, 1))}, "values at leaves alone"),
        ({"cover": np.array([3, -1, 4, 3, 1, 2.0])}, "counts of at least 0"),
        ({"cover": np.array([3, np.nan, 1, 3, 1, 2])}, "finite counts"),
        ({"value": np.zeros((5, 1))}, r"'value' of the trees: expected float64 \[6, 1\], got float64 \[5, 1\]"),
        ({"threshold": np.zeros(6)}, "'threshold' of the trees: expected float32"),
        ({"offset": np.zeros((2, 1))}, "arrays of nodes"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_damaged_trees_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    damaged = dataclasses.replace(two_trees(), **change)
    with pytest.raises(BundleFormatError, match=message):
        Trees.read(damaged.write())


def test_content_that_is_no_npz_file_is_refused() -> None:
    with pytest.raises(BundleFormatError, match="expected trees"):
        Trees.read(b"PK\x03\x04 nothing")
    with pytest.raises(BundleFormatError, match="expected trees"):
        Trees.read(two_trees().write()[:-100])


def test_an_array_that_is_missing_is_named() -> None:
    content = dataclasses.replace(two_trees(), roots=None).write()  # type: ignore[arg-type]
    with pytest.raises(BundleFormatError, match="'roots'"):
        Trees.read(content)


@pytest.mark.parametrize(
    ("codes", "targets", "message"),
    [([None, 3], 3, "3 scores"), ([None], 2, "over 1 columns"), ([3, 3], 2, "column 0"), ([None, 4], 2, "column 1")],
)
def test_trees_of_another_table_are_refused(codes: list[int | None], targets: int, message: str) -> None:
    with pytest.raises(BundleFormatError, match=message):
        two_trees().check_table(codes, targets)


def test_damage_anywhere_in_the_file_is_refused_in_words() -> None:
    """Bytes of the archive changed at random: each is read, or refused by whyport's own error."""
    generator, content = np.random.default_rng(0), two_trees().write()
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in generator.integers(len(content), size=2):
            damaged[place] = generator.integers(256)
        try:
            Trees.read(bytes(damaged))
        except BundleFormatError:
            refused += 1
    assert refused > 200


def test_a_small_file_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = dataclasses.replace(two_trees(), tables=np.zeros(1 << 20, dtype=np.float32)).write()
    assert len(Trees.read(content).tables) == 1 << 20
    monkeypatch.setattr("whyport.runtime.bundle.trees.MOST_UNPACKED", 10)
    with pytest.raises(BundleFormatError, match="bytes that hold 4196"):
        Trees.read(content)
