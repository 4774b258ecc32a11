"""The figures of a comparison: what is told of each variable, and of all of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shift:
    """The change of a feature's mean |share|, in the method's unit."""

    before: float
    after: float
    standard_error: float
    """That of the change, by the Poisson bootstrap."""
    low: float
    """The lower end of the 95 % interval of the change."""
    high: float
    rank_before: int
    """The feature's place by mean |share|, from 1."""
    rank_after: int

    @property
    def change(self) -> float:
        """The change of the mean."""
        return self.after - self.before

    @property
    def is_clear(self) -> bool:
        """Whether the interval does not contain 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Figure:
    """How far one variable has moved from A to B."""

    name: str
    psi: float
    """The population stability index; NaN where either side has no rows."""
    by_chance: float
    """The index to expect without any change, as both sides are samples."""
    chance_limit: float
    """The index that one of a thousand pairs of samples is beyond without any change."""
    bins: tuple[str, ...]
    """The bins of the index in words; the last one holds what is missing."""
    before: tuple[float, ...]
    """The share of A's rows in each bin."""
    after: tuple[float, ...]
    edges: tuple[float, ...] = ()
    """The inner edges of the bins of numbers: bin i holds edge[i-1] <= value < edge[i]."""
    wasserstein: float | None = None
    """The Wasserstein distance, in the variable's unit; None for categories, and where A is known by bins alone."""
    wasserstein_error: float | None = None
    """How far the distance of all rows may be from that of the rows drawn, in the mean at most; 0 if all are drawn."""
    mean_before: float | None = None
    mean_after: float | None = None
    appeared: tuple[str, ...] = ()
    """The categories that B alone has."""
    vanished: tuple[str, ...] = ()
    shift: Shift | None = None
    """The change of the mean |share|; None for what is no share."""

    @property
    def missing_before(self) -> float:
        """The share of A's rows without a value."""
        return self.before[-1] if self.before else 0.0

    @property
    def missing_after(self) -> float:
        """The share of B's rows without a value."""
        return self.after[-1] if self.after else 0.0


@dataclass(frozen=True)
class ExplanationFigures:
    """The shares of one explanation, the feature that moved most first."""

    method: str
    target: str
    """The target that every row is explained for, or its rank; empty where it differs by row."""
    unit: str
    """The unit of a share."""
    rows_before: int
    """A's explained rows."""
    rows_after: int
    features: tuple[Figure, ...]

    @property
    def title(self) -> str:
        """The explanation in words."""
        return f"{self.method}, {self.target}" if self.target else self.method


@dataclass(frozen=True)
class Change:
    """Something that only one side has."""

    kind: str
    """A feature, an input, a class, a category, a method or a layer."""
    name: str
    appeared: bool
    """Whether B alone has it; otherwise A alone has it."""


@dataclass(frozen=True)
class ChangedRow:
    """A row that both runs have, and what has changed of its reasons."""

    key: str
    distance: float
    """Σ |share in B - share in A| over the features that both have."""
    place_before: tuple[str, int]
    """The file and the row in it."""
    place_after: tuple[str, int]
    prediction_before: str
    prediction_after: str
    reasons: tuple[tuple[str, float, float], ...]
    """The features whose shares changed most, with the share in A and in B."""


@dataclass(frozen=True)
class MatchedExplanation:
    """The rows of one explanation that both runs have."""

    method: str
    target: str
    rows: int
    """Pairs of rows that both runs have explained."""
    mean_distance: float
    """The mean of their distances; NaN without any."""
    changed: tuple[ChangedRow, ...]
    """The rows whose reasons changed most, the largest distance first."""


@dataclass(frozen=True)
class Matched:
    """The rows of two runs, matched by a column."""

    key: str
    pairs: int
    only_before: int
    """The number of rows whose key A alone has."""
    only_after: int
    examples_before: tuple[str, ...]
    """Some of these keys."""
    examples_after: tuple[str, ...]
    without_key: tuple[int, int]
    """The number of rows without a key, in A and in B: they are not matched."""
    explanations: tuple[MatchedExplanation, ...]

    @property
    def unmatched(self) -> float:
        """The share of all rows with a key that have no row beside them in the other run."""
        alone = self.only_before + self.only_after
        return alone / max(alone + 2 * self.pairs, 1)


@dataclass(frozen=True)
class RaisedAlarm:
    """A figure beyond its limit."""

    name: str
    limit: float
    value: float
    where: str
    """The thing that the figure is of."""


@dataclass(frozen=True)
class Comparison:
    """One run beside the first side."""

    before: str
    """A: the folder of a run, or of a bundle."""
    after: str
    """B: the folder of a run."""
    rows_before: int | None
    """A's scored rows; None for a bundle."""
    rows_after: int
    notes: tuple[str, ...]
    """Facts that a reader has to know first: other models, other bases."""
    left_out: tuple[str, ...]
    """Parts that are not compared, and why."""
    predictions: tuple[Figure, ...]
    inputs: tuple[Figure, ...]
    """The inputs, the one that moved most first."""
    explanations: tuple[ExplanationFigures, ...]
    changes: tuple[Change, ...]
    """Names that appeared or vanished."""
    matched: Matched | None = None
    alarms: tuple[RaisedAlarm, ...] = ()

    @property
    def groups(self) -> dict[str, tuple[Figure, ...]]:
        """The figures by what they are of."""
        shares = tuple(each for explanation in self.explanations for each in explanation.features)
        return {"inputs": self.inputs, "predictions": self.predictions, "attributions": shares}


@dataclass(frozen=True)
class CompareReport:
    """All comparisons with one first side, in the order in which the runs were given."""

    comparisons: tuple[Comparison, ...]

    @property
    def alarms(self) -> tuple[RaisedAlarm, ...]:
        """The alarms of all comparisons."""
        return tuple(alarm for each in self.comparisons for alarm in each.alarms)

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 3 with an alarm, 0 otherwise."""
        return 3 if self.alarms else 0

    def lines(self, format: str = "text", *, top: int = 20) -> list[str]:
        """The report as lines: text for a reader, "json" for a program, or "markdown".

        Args:
            format: "text", "json" or "markdown".
            top: how many features of each table; JSON has all.
        """
        from whyport.batch.compare.document import document_of
        from whyport.batch.review.document import rendered

        return rendered(document_of(self, None if format == "json" else top), format)
