"""Counts of rows, for a batch, a part, or a run. Sums do not depend on how the rows were cut."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.output.value_totals import ValueTotals
from whyport.batch.reasons.totals import ReasonTotals
from whyport.batch.rows import ScoredRows
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.codec import build, load
from whyport.runtime.task import Prediction, Task

BINS_PER_DECADE = 50
"""A quantile is at most 10^(1/50) - 1 = 4.7 % too large, and never too small."""

# Bin i holds EDGES[i - 1] < error <= EDGES[i]; the last bin holds everything above.
EDGES: NDArray[np.float64] = np.power(10.0, np.arange(-15 * BINS_PER_DECADE, 9 * BINS_PER_DECADE + 1) / BINS_PER_DECADE)


@dataclass(frozen=True)
class ErrorHistogram:
    """The number of errors in each bin."""

    counts: dict[str, int] = field(default_factory=dict)
    """The count of each bin, by the bin's number as text; bins without errors are absent."""
    worst: float = 0.0
    """The largest finite error."""
    not_finite: int = 0
    """The number of NaNs and infinities, which count as larger than any finite error."""

    @classmethod
    def of(cls, errors: NDArray[np.floating[Any]]) -> Self:
        """Count errors of any shape, none negative."""
        finite = errors[np.isfinite(errors)]
        bins, counts = np.unique(np.searchsorted(EDGES, finite), return_counts=True)
        return cls(
            counts={str(i): int(n) for i, n in zip(bins, counts, strict=True)},
            worst=float(finite.max(initial=0.0)),
            not_finite=int(errors.size - finite.size),
        )

    def __add__(self, other: Self) -> Self:
        bins = sorted(self.counts.keys() | other.counts.keys(), key=int)
        return type(self)(
            counts={i: self.counts.get(i, 0) + other.counts.get(i, 0) for i in bins},
            worst=max(self.worst, other.worst),
            not_finite=self.not_finite + other.not_finite,
        )

    @property
    def total(self) -> int:
        """The number of errors counted."""
        return sum(self.counts.values()) + self.not_finite

    def quantile(self, share: float) -> float:
        """The least bound that at least `share` of the errors do not exceed, up to a bin's width; 0 without errors."""
        needed = share * self.total
        seen = 0
        for i in sorted(self.counts, key=int):
            seen += self.counts[i]
            if seen >= needed:
                return min(float(EDGES[int(i)]), self.worst) if int(i) < len(EDGES) else self.worst
        return float("inf") if self.not_finite else 0.0


# Reasons may quote values of the input, and every part's footer lists the reasons.
MAX_REASONS = 100
OTHER_REASONS = "other reasons"


@dataclass(frozen=True)
class MethodTotals:
    """The counts of one explanation method; no errors for a method that does not claim to add up."""

    not_converged: int = 0
    """The number of rows of which an explanation, for any target, missed the method's tolerance or is not finite."""
    errors: ErrorHistogram = field(default_factory=ErrorHistogram)
    """Completeness errors of every explanation, in the score's unit."""
    explained: int = 0
    """The number of explained rows, whether for one target or for all."""
    not_finite: int = 0
    """The number of rows of which an explanation, for any target, is not finite, and has no attributions."""

    @classmethod
    def of(cls, attribution: Attribution, rows: int) -> Self:
        """Count one batch, of which `rows` rows were explained."""
        not_finite = _rows_with(~attribution.is_finite, rows)
        if attribution.converged is None:
            return cls(not_finite, explained=rows, not_finite=not_finite)
        errors = ErrorHistogram.of(attribution.error)
        return cls(_rows_with(~attribution.converged, rows), errors, rows, not_finite)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.not_converged + other.not_converged,
            self.errors + other.errors,
            self.explained + other.explained,
            self.not_finite + other.not_finite,
        )


@dataclass(frozen=True)
class Totals:
    """The counts of rows that were written, rejected and explained."""

    rows_out: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """Rows by reason."""
    predictions: dict[str, int] = field(default_factory=dict)
    """Rows by predicted target; empty for a task that predicts none."""
    methods: dict[str, MethodTotals] = field(default_factory=dict)
    rows_unseen: int = 0
    """Rows, rejected ones too, with a value that training has not seen."""
    unseen: dict[str, int] = field(default_factory=dict)
    """Such values by column, in the order in which they were met."""
    cut: dict[str, int] = field(default_factory=dict)
    """Texts that are longer than the model takes by column, in the same order."""
    values: dict[str, ValueTotals] = field(default_factory=dict)
    """The predicted quantities by column; empty for a task that predicts targets."""

    reasons: ReasonTotals | None = None
    """The reasons as texts; None where none are asked for."""

    @classmethod
    def empty(cls, task: Task, methods: Sequence[str]) -> Self:
        """The totals of no rows, for a model's task and these methods."""
        nothing = Prediction((), np.zeros(0, dtype=np.int64))
        values = {} if task.predicts_targets else {column.name: ValueTotals() for column in task.columns}
        by_method = {name: MethodTotals() for name in methods}
        return cls(predictions=task.counts(nothing), methods=by_method, values=values)

    @classmethod
    def read(cls, text: str) -> Self:
        """The totals in a part's footer; those of earlier runs do not count what is not finite, unseen or cut.

        Raises BundleFormatError for any other text.
        """
        document = load(text)
        if isinstance(document, dict):
            document = {"rows_unseen": 0, "unseen": {}, "cut": {}, "values": {}, "reasons": None} | document
        if isinstance(document, dict) and isinstance(document.get("methods"), dict):
            for method in document["methods"].values():
                if isinstance(method, dict):
                    method.setdefault("not_finite", 0)
        return build(cls, document)

    @classmethod
    def of(cls, scored: ScoredRows, task: Task) -> Self:
        """Count one batch."""
        return cls(
            rows_out=len(scored.rows.kept),
            rejected=dict(Counter(scored.rows.reasons)),
            predictions=task.counts(scored.prediction),
            methods={
                name: MethodTotals.of(attribution, scored.explained_count)
                for name, attribution in scored.attributions.items()
            },
            rows_unseen=len(scored.rows.unseen.any_rows),
            unseen=scored.rows.unseen.counts,
            cut=scored.rows.unseen.cut_counts,
            values={
                column.name: ValueTotals.of(values)
                for column, values in zip(task.columns, scored.prediction.values, strict=True)
                if not task.predicts_targets
            },
            reasons=None if scored.reasons is None else ReasonTotals.of(*scored.reasons),
        )

    @property
    def rows_rejected(self) -> int:
        """The number of rejected rows, over all reasons."""
        return sum(self.rejected.values())

    def __add__(self, other: Self) -> Self:
        methods = {
            name: self.methods.get(name, MethodTotals()) + other.methods.get(name, MethodTotals())
            for name in dict.fromkeys([*self.methods, *other.methods])
        }
        return type(self)(
            rows_out=self.rows_out + other.rows_out,
            rejected=_most_common(_sums(self.rejected, other.rejected)),
            predictions=_sums(self.predictions, other.predictions),
            methods=methods,
            rows_unseen=self.rows_unseen + other.rows_unseen,
            unseen=_sums(self.unseen, other.unseen),
            cut=_sums(self.cut, other.cut),
            values={
                name: self.values.get(name, ValueTotals()) + other.values.get(name, ValueTotals())
                for name in dict.fromkeys([*self.values, *other.values])
            },
            reasons=_added(self.reasons, other.reasons),
        )


def _rows_with(fault: NDArray[np.bool_], rows: int) -> int:
    """The number of rows with a fault in any of their explanations [E], which are as many for every row."""
    return int(np.count_nonzero(fault.reshape(rows, -1).any(axis=1))) if rows else 0


def _added(one: ReasonTotals | None, other: ReasonTotals | None) -> ReasonTotals | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _sums(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in dict.fromkeys([*one, *other])}


def _most_common(reasons: dict[str, int]) -> dict[str, int]:
    """The reasons, by number of rows and then by text; all beyond MAX_REASONS are summed up in one."""
    rest = reasons.pop(OTHER_REASONS, 0)
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    rest += sum(count for _, count in ordered[MAX_REASONS:])
    return dict(ordered[:MAX_REASONS]) | ({OTHER_REASONS: rest} if rest else {})
