"""Exact Shapley values of trees against weighted references, as tables: a row looks its shares up."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.reasons.exact import Exact
from whyport.exporter.trees.conditions import Condition, NodeTests
from whyport.exporter.trees.units import Leaf, Unit, UnitChoice
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.trees import Trees

CHUNK_VALUES = 1 << 22
"""Numbers in the tables of the leaves that are made at once."""


@dataclass(frozen=True)
class ShareTable:
    """The shares of one unit's leaves, by the bits of a row."""

    unit: Unit
    raw: NDArray[np.int64]
    """[S]: the raw scores that the leaves add to."""
    shares: NDArray[np.float64]
    """[S, 2^bits, columns]: what each of the unit's columns gets of each of these raw scores."""


@dataclass(frozen=True)
class TreeShares:
    """The shares of every score of some trees, against the whole of a background."""

    trees: Trees
    """Such that target k's score is scale[k] times raw score raw[k], and its offset."""
    raw: NDArray[np.int64]
    """[K]"""
    scale: NDArray[np.float64]
    """[K]"""
    base_values: NDArray[np.float64]
    """[K]: the mean scores of the references."""
    tables: tuple[ShareTable, ...]

    def exact(self, rows: NDArray[np.float32]) -> Exact:
        """The attributions, scores and base values of rows [N, F] of codes, in float64."""
        of_raw = np.zeros((len(rows), self.trees.value.shape[1], rows.shape[1]))
        holds: dict[Condition, NDArray[np.bool_]] = {}
        for table in self.tables:
            index = _index(table.unit.bits, rows, holds)
            for raw, shares in zip(table.raw, table.shares, strict=True):
                of_raw[:, raw, list(table.unit.columns)] += shares[index]
        attributions = of_raw[:, self.raw] * self.scale[:, None]
        return Exact(attributions, self.trees.scores(rows), self.base_values)


def share_tables(trees: Trees, choice: UnitChoice, codes: Sequence[int | None], references: References) -> TreeShares:
    """The tables of trees.

    The share of a column is that of Lundberg et al. 2020, "From local explanations to global understanding with
    explainable AI for trees": of the game in which a set of columns has the row's values, and the others a
    reference's.

    Args:
        trees: the trees, see `of_single_scores`.
        choice: their units.
        codes: of each column the number of its codes; None for one of numbers.
        references: [R, F], as the trees take them.
    """
    units = list(choice.units(NodeTests(trees, codes)))
    leaves = [leaf for unit in units for leaf in unit.leaves]
    of_leaf = dict(_leaf_tables(leaves, references))
    tables = tuple(_unit_table(unit, trees, of_leaf) for unit in units)
    used = trees.weights != 0
    raw = used.argmax(axis=1)
    scale = trees.weights[np.arange(len(raw)), raw]
    return TreeShares(trees, raw, scale, references.mean_of(trees.scores), tables)


def of_single_scores(trees: Trees) -> Trees:
    """The same trees, such that every score is one raw score times a weight."""
    if ((trees.weights != 0).sum(axis=1) <= 1).all():
        return trees
    return dataclasses.replace(trees, value=trees.value @ trees.weights.T, weights=np.eye(len(trees.weights)))


def _index(
    bits: Sequence[Condition], rows: NDArray[np.float32], known: dict[Condition, NDArray[np.bool_]]
) -> NDArray[np.int64]:
    """The number [N] whose bits say which conditions hold for rows [N, F]."""
    index = np.zeros(len(rows), dtype=np.int64)
    for place, condition in enumerate(bits):
        if condition not in known:
            known[condition] = condition.holds(rows[:, condition.column])
        index |= known[condition].astype(np.int64) << place
    return index


def _leaf_tables(leaves: Sequence[Leaf], references: References) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """The node and the shares of each leaf, [2^d, d] for a value of 1, by which of its d conditions a row meets."""
    held: dict[Condition, NDArray[np.bool_]] = {}
    by_width: dict[int, list[Leaf]] = {}
    for leaf in leaves:
        by_width.setdefault(len(leaf.conditions), []).append(leaf)
    for width, alike in by_width.items():
        for part in batch_slices(len(alike), max(1, CHUNK_VALUES // (width * 2**width))):
            patterns = [_index(list(leaf.conditions.values()), references.rows, held) for leaf in alike[part]]
            place = np.stack(patterns) + (np.arange(len(patterns)) << width)[:, None]
            weights = np.broadcast_to(references.weights, place.shape)
            mass = np.bincount(place.ravel(), weights.ravel(), len(patterns) << width).astype(np.float64)
            shares = _shares(mass.reshape(len(patterns), -1), width)
            yield from zip((leaf.node for leaf in alike[part]), shares, strict=True)


def _shares(mass: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The shares [L, 2^d, d] of leaves of value 1, by the conditions that a row meets.

    Let m be the conditions that the row fails, and q those that a reference meets. The leaf is reached in the game only
    where q has all of m. Let W[a, b] = (a - 1)! b! / (a + b)!, where a conditions are met by the row alone and b by the
    reference alone. Condition i's share is A[m] - E[m and i], over the q that have all of m, or of s:
    A[m] = sum of mass * W[d - |q|, |m|], and E[s] = sum of mass * W[d - |q|, |s| - 1]. W[0, b] is minus the b-th
    harmonic number: so one formula serves conditions met and failed, and references inside the leaf.

    Args:
        mass: [L, 2^d], the weight of the references that meet just these conditions.
        width: d.
    """
    patterns = np.arange(1 << width)
    size = np.array([int(pattern).bit_count() for pattern in patterns])
    with_row = np.zeros_like(mass)
    with_other = np.zeros_like(mass)
    for met in range(width + 1):
        reached = np.where(size == met, mass, 0.0)
        for bit in range(width):
            halves = reached.reshape(len(mass), -1, 2, 1 << bit)
            halves[:, :, 0] += halves[:, :, 1]
        coefficient = np.array([_coefficient(width - met, b) for b in range(width + 1)])
        with_row += reached * coefficient[size]
        with_other += reached * coefficient[np.maximum(size - 1, 0)]
    failed = patterns[::-1]
    columns = [with_row[:, failed] - with_other[:, failed | 1 << bit] for bit in range(width)]
    return np.stack(columns, axis=2)


def _coefficient(row_alone: int, reference_alone: int) -> float:
    """W[a, b] of `_shares`."""
    if row_alone == 0:
        return -sum(1 / i for i in range(1, reference_alone + 1))
    parts = math.factorial(row_alone - 1) * math.factorial(reference_alone)
    return parts / math.factorial(row_alone + reference_alone)


def _unit_table(unit: Unit, trees: Trees, of_leaf: dict[int, NDArray[np.float64]]) -> ShareTable:
    """The sum of the leaves' tables, by the unit's own bits."""
    columns = {column: j for j, column in enumerate(unit.columns)}
    on_path = {column: j for j, column in enumerate(unit.path)}
    index = np.arange(1 << len(unit.bits))
    values = trees.value[[leaf.node for leaf in unit.leaves]]
    raw = np.flatnonzero((values != 0).any(axis=0))
    shares = np.zeros((len(raw), len(index), len(columns)))
    for leaf, value in zip(unit.leaves, values, strict=True):
        pattern = np.zeros_like(index)
        for place, column in enumerate(leaf.conditions):
            met = (index >> on_path[column]) & 1 if column in on_path else np.ones_like(index)
            for split, goes_left in leaf.route:
                if unit.splits[split].column == column:
                    side = (index >> (len(on_path) + split)) & 1
                    met &= side if goes_left else 1 - side
            pattern |= met << place
        of_one = of_leaf[leaf.node][pattern]
        shares[:, :, [columns[column] for column in leaf.conditions]] += value[raw, None, None] * of_one
    return ShareTable(unit, raw, shares)
