"""The trees of a bundle in one form, whatever made them: trees.npz, which exact Shapley values are computed from."""

import dataclasses
import io
import zipfile
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.batching import batch_slices
from whyport.runtime.errors import BundleFormatError, first_line

LEAF = -1
"""In place of a cell or a child, where a node is a leaf."""

NUMBER = -1
"""In place of an encoding, where a cell is its column's number itself."""

OPTIONAL = "cover"
"""The one array that may be missing."""

MOST_UNPACKED = 1 << 10
"""The most bytes that a byte of the file may unpack to: equal nodes shrink well, but not without end."""

CALL_VALUES = 1 << 22
"""Positions in trees that are followed at once."""


@dataclass(frozen=True, eq=False)
class Trees:
    """Binary trees over the cells of a row, and how their sum becomes the scores.

    A row [F] holds a number for each column, and of a category its code. A cell is a column's number, or what a table
    gives for the code; one column may have several cells. A node sends a row left where the cell is at most its
    threshold, compared in float32; a NaN goes where `missing_left` says.
    """

    roots: NDArray[np.int32]
    """[T]: the first node of each tree."""
    cell: NDArray[np.int32]
    """[M]: the cell that a node tests; -1 at a leaf."""
    threshold: NDArray[np.float32]
    """[M]"""
    missing_left: NDArray[np.bool_]
    """[M]"""
    left: NDArray[np.int32]
    """[M]: -1 at a leaf; a child comes after its parent."""
    right: NDArray[np.int32]
    """[M], alike."""
    value: NDArray[np.float64]
    """[M, R]: what a leaf adds to each of R raw scores."""
    weights: NDArray[np.float64]
    """[K, R]: score = raw @ weights.T + offset."""
    offset: NDArray[np.float64]
    """[K]"""
    columns: NDArray[np.int32]
    """[P]: the column of each cell."""
    encoding: NDArray[np.int32]
    """[P]: where a cell's table begins in `tables`, by the category's code; -1 where it is the column's number."""
    tables: NDArray[np.float32]
    """The tables, one after the other."""
    cover: NDArray[np.float64] | None = None
    """[M]: the weight of the training rows that came by; None where the model did not say."""

    def cells(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cells [N, P] of rows [N, F]."""
        cells = rows[:, self.columns]
        for j in np.flatnonzero(self.encoding != NUMBER):
            cells[:, j] = self.tables[self.encoding[j] + cells[:, j].astype(np.int64)]
        return cells

    def raw(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """The sums of the leaves that rows [N, F] come to, [N, R]."""
        cells, made = self.cells(rows), np.empty((len(rows), self.value.shape[1]))
        for part in batch_slices(len(rows), max(1, CALL_VALUES // max(1, len(self.roots)))):
            made[part] = self.value[self.leaves(cells[part])].sum(axis=1)
        return made

    def leaves(self, cells: NDArray[np.float32]) -> NDArray[np.int32]:
        """The leaf of each tree that cells [N, P] come to, [N, T]."""
        node = np.repeat(self.roots[None], len(cells), axis=0)
        while (inner := self.left[node] != LEAF).any():
            row, tree = np.nonzero(inner)
            at = node[row, tree]
            found = cells[row, self.cell[at]]
            goes_left = np.where(np.isnan(found), self.missing_left[at], found <= self.threshold[at])
            node[row, tree] = np.where(goes_left, self.left[at], self.right[at])
        return node

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """The scores [N, K] of rows [N, F], summed in float64."""
        return self.raw(rows) @ self.weights.T + self.offset

    def write(self) -> bytes:
        """The content of trees.npz; the same trees give the same bytes."""
        content = io.BytesIO()
        arrays = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        np.savez_compressed(content, **{name: array for name, array in arrays.items() if array is not None})
        return content.getvalue()

    @classmethod
    def read(cls, content: bytes) -> Self:
        """The trees in the content of trees.npz; raises BundleFormatError for anything else."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > MOST_UNPACKED * len(content):
                raise ValueError(f"{len(content)} bytes that hold {unpacked}")
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except Exception as error:  # a damaged archive fails in any way: zlib's errors, methods that are not known
            raise BundleFormatError(f"expected trees as arrays in a npz file: {first_line(error)}") from None
        for field in dataclasses.fields(cls):
            if field.name not in arrays and field.name != OPTIONAL:
                raise BundleFormatError(f"expected an array {field.name!r} of trees, got {', '.join(arrays) or 'none'}")
        trees = cls(**{field.name: arrays.get(field.name) for field in dataclasses.fields(cls)})  # type: ignore[arg-type]
        trees._check()
        return trees

    def check_table(self, codes: list[int | None], targets: int) -> None:
        """Raise BundleFormatError for trees over other columns, or with other scores.

        Args:
            codes: of each column the number of its codes; None for one of numbers.
            targets: the number of scores.
        """
        if len(self.offset) != targets:
            raise BundleFormatError(f"expected trees with {targets} scores, got {len(self.offset)}")
        if len(self.columns) and self.columns.max() >= len(codes):
            raise BundleFormatError(
                f"expected trees over {len(codes)} columns, got a cell of column {self.columns.max()}"
            )
        for cell, (column, start) in enumerate(zip(self.columns.tolist(), self.encoding.tolist(), strict=True)):
            expected = codes[column]
            if (start == NUMBER) != (expected is None) or start + (expected or 0) > len(self.tables):
                raise BundleFormatError(f"cell {cell} of the trees does not fit column {column}")

    def _check(self) -> None:
        nodes, raw, targets, cells = len(self.cell), *self._shape(), len(self.columns)
        expected: dict[str, tuple[Any, tuple[int, ...]]] = {
            "roots": (np.int32, (len(self.roots),)),
            **dict.fromkeys(("cell", "left", "right"), (np.int32, (nodes,))),
            "threshold": (np.float32, (nodes,)),
            "missing_left": (np.bool_, (nodes,)),
            "value": (np.float64, (nodes, raw)),
            "weights": (np.float64, (targets, raw)),
            "offset": (np.float64, (targets,)),
            **dict.fromkeys(("columns", "encoding"), (np.int32, (cells,))),
            "tables": (np.float32, (len(self.tables),)),
        }
        if self.cover is not None:
            expected["cover"] = (np.float64, (nodes,))
        for name, (dtype, shape) in expected.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                got = f"{array.dtype} {list(array.shape)}"
                raise BundleFormatError(
                    f"array {name!r} of the trees: expected {np.dtype(dtype)} {list(shape)}, got {got}"
                )
        inner = np.flatnonzero(self.left != LEAF)
        children = np.stack([self.left[inner], self.right[inner]])
        below = np.append(children.reshape(-1), self.roots)
        problems = {
            "a tree and a target at least": not (len(self.roots) and targets and raw),
            "roots among the nodes": ((self.roots < 0) | (self.roots >= nodes)).any(),
            "two children or none": ((self.left == LEAF) != (self.right == LEAF)).any(),
            "children after their parents": ((children <= inner) | (children >= nodes)).any(),
            "nodes of one parent or none, and roots of none": len(np.unique(below)) < len(below),
            "cells of the row": ((self.cell[inner] < 0) | (self.cell[inner] >= cells)).any(),
            "columns from 0": (self.columns < 0).any(),
            "tables that begin in the file": ((self.encoding < NUMBER) | (self.encoding > len(self.tables))).any(),
            "finite leaves, weights and offsets": not all(
                np.isfinite(array).all() for array in (self.value, self.weights, self.offset)
            ),
            "values at leaves alone": self.value[inner].any(),
            "thresholds that are numbers": np.isnan(self.threshold[inner]).any(),
            "finite counts of at least 0": self.cover is not None
            and not (np.isfinite(self.cover) & (self.cover >= 0)).all(),
        }
        for wanted, is_wrong in problems.items():
            if is_wrong:
                raise BundleFormatError(f"expected trees with {wanted}, got others")

    def _shape(self) -> tuple[int, int]:
        """The numbers of raw scores and of targets; BundleFormatError where the arrays cannot say."""
        if (
            self.value.ndim != 2
            or self.offset.ndim != 1
            or any(a.ndim == 0 for a in (self.cell, self.roots, self.tables, self.columns))
        ):
            raise BundleFormatError("expected trees in arrays of nodes, got others")
        return self.value.shape[1], len(self.offset)
