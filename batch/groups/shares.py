"""The mean share of each feature by group, signed and as a magnitude, by method and explained target."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.arrow import class_indices
from whyport.batch.groups.intervals import GroupMoments
from whyport.batch.groups.tallies import GROUPS
from whyport.batch.methods.positions import Positions
from whyport.batch.output.columns import ExplanationColumns
from whyport.batch.review.finished_run import FinishedRun

FEATURE_AXIS = "feature"


class Folding:
    """Shares of cells as shares of features: those of a sequence over all steps, those of a picture or a text as one.

    Args:
        positions: the G positions of a row's shares.
    """

    def __init__(self, positions: Positions) -> None:
        self._blocks = positions.blocks
        if not self._blocks:
            self.names: tuple[str, ...] = positions.names
            """The F features."""
            return
        named: list[tuple[str, str]] = []
        for block in self._blocks:
            if block.is_table:
                named += [("", name) for name in positions.names[block.start : block.stop]]
                continue
            axis = next((axis for axis in block.axes if axis.name == FEATURE_AXIS), None)
            if axis is None:
                named.append(("", block.input))
            else:
                labels = axis.labels or tuple(f"{block.input}[{i}]" for i in range(int(axis.length)))
                named += [(block.input, label) for label in labels]
        count = Counter(name for _, name in named)
        self.names = tuple(f"{input_}.{name}" if input_ and count[name] > 1 else name for input_, name in named)

    def folded(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shares [N, F] from those of cells [N, G]."""
        if not self._blocks:
            return values
        parts = []
        for block in self._blocks:
            cells = block.of(values)
            kept = [i for i, axis in enumerate(block.axes, start=1) if block.is_table or axis.name == FEATURE_AXIS]
            gone = tuple(i for i in range(1, cells.ndim) if i not in kept)
            parts.append(cells.sum(axis=gone).reshape(len(values), -1))
        return np.concatenate(parts, axis=1)


@dataclass
class TargetShares:
    """The shares of one method in one target's score."""

    method: str
    target: str
    signed: GroupMoments
    absolute: GroupMoments
    left_out: int = field(default=0)
    """The explanations that are not finite."""


class ShareTally:
    """Sums of shares by group.

    Args:
        run: the run.
        targets: the explained targets that are looked at; others are counted.
    """

    def __init__(self, run: FinishedRun, targets: Sequence[str]) -> None:
        self._run = run
        self._all = list(run.task.targets)
        self._targets = set(targets)
        self._explanations = run.explanations
        self._folding = Folding(run.layout.positions if self._explanations else Positions(()))
        self._found: dict[tuple[str, str], TargetShares] = {}
        self.others: set[str] = set()
        """The explained targets that are not looked at."""

    @property
    def features(self) -> tuple[str, ...]:
        """[F]: the features that have shares."""
        return self._folding.names

    @property
    def found(self) -> list[TargetShares]:
        """The shares, by method and then by target."""
        methods = list(dict.fromkeys(each.method for each in self._explanations))
        return sorted(self._found.values(), key=lambda each: (methods.index(each.method), self._all.index(each.target)))

    @property
    def columns(self) -> list[str]:
        """The output's columns that are read."""
        names: list[str] = []
        for each in self._explanations:
            names += [] if each.target is not None else [each.explained_target]
            names += [each.score, *(field.name for field in self._run.fields(each))]
        return names

    def add(self, table: pa.Table, groups: NDArray[np.int64]) -> None:
        """Count the explained ones of N rows in groups [N]."""
        if not self._explanations:
            return
        is_explained = pc.is_valid(table[self._explanations[0].score]).to_numpy()
        if not is_explained.any():
            return
        explained, groups = table.filter(pa.array(is_explained)), groups[is_explained]
        for each in self._explanations:
            self._add(each, explained, groups)

    def _add(self, each: ExplanationColumns, table: pa.Table, groups: NDArray[np.int64]) -> None:
        stored = self._run.layout.read(table, each.prefix, each.suffix)
        cells = np.zeros((table.num_rows, len(self._run.layout.features)))
        # A share that --top-k dropped stays 0.
        np.put_along_axis(cells, stored.features, stored.values, axis=1)
        values = self._folding.folded(cells)
        if each.target is not None:
            self._count(each.method, each.target, values, groups)
            return
        targets = class_indices(table[each.explained_target].combine_chunks(), self._all)
        for k in np.unique(targets):
            own = targets == k
            self._count(each.method, self._all[k], values[own], groups[own])

    def _count(self, method: str, target: str, values: NDArray[np.float64], groups: NDArray[np.int64]) -> None:
        if target not in self._targets:
            self.others.add(target)
            return
        width = len(self.features)
        found = self._found.setdefault(
            (method, target), TargetShares(method, target, GroupMoments(GROUPS, width), GroupMoments(GROUPS, width))
        )
        finite = np.isfinite(values).all(axis=1)
        found.left_out += int((~finite).sum())
        found.signed.add(groups[finite], values[finite])
        found.absolute.add(groups[finite], np.abs(values[finite]))
