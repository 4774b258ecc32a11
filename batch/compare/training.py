"""A bundle in the place of its training: statistics of the training rows, and reference rows scored and explained."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.compare.measure import KnownBins
from whyport.batch.compare.shares import RunShares
from whyport.batch.compare.sides import TrainingSide
from whyport.batch.compare.tally import RARER, CategoryTally
from whyport.batch.compare.variables import INPUTS, PREDICTIONS, Group, Variable
from whyport.batch.report.gather.by_feature import DescribedFeatures
from whyport.batch.report.gather.drift import attribution_edges
from whyport.batch.report.gather.reference import ReferenceAttributions, explained_references, kept_alone
from whyport.batch.report.gather.training_bins import TrainingBins
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.rows import ScoredRows
from whyport.batch.scoring.selection import uniform
from whyport.runtime.bundle.columns import LENGTH, TOKEN
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.errors import WhyportError
from whyport.runtime.session import Session


@dataclass
class Training:
    """A bundle's record of its training."""

    bins: dict[Variable, KnownBins] = field(default_factory=dict)
    edges: dict[Variable, NDArray[np.float64]] = field(default_factory=dict)
    """The inner edges of the bins of each variable of numbers."""
    categories: dict[Variable, CategoryTally] = field(default_factory=dict)
    values: dict[Variable, NDArray[np.float32]] = field(default_factory=dict)
    """The reference rows' predictions and shares, [R] each; NaN where one is not finite."""
    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """The weights of the reference rows, [R]."""
    problem: str | None = None
    """Why there are no reference rows; None where there are."""

    @classmethod
    def of(cls, side: TrainingSide, run: FinishedRun, device: str) -> Self:
        """The training of a bundle, its reference rows explained as a run has explained its own."""
        found = cls()
        found._describe(side)
        try:
            methods = tuple(dict.fromkeys(each.method for each in RunShares.of(run).explanations.values()))
            bundle = bundle_in(side.bundle, run.settings.variant)
            scored, found.weights = explained_references(Session(bundle, device), run, methods)
            found._predictions(side, scored)
            found._shares(run, scored)
        except (WhyportError, ModuleNotFoundError) as error:
            found.problem = (
                f"predictions and shares are not compared, as the reference rows cannot be explained here: {error}"
            )
        return found

    @property
    def keys(self) -> NDArray[np.float64]:
        """A number in [0, 1) for each reference row."""
        return uniform("reference rows", np.arange(len(self.weights)))

    @property
    def effective(self) -> float:
        """The number of rows of equal weight that say as much as the reference rows (Kish 1965)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum()) if len(self.weights) else 0.0

    def ascending(self, variable: Variable) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        """The reference rows' finite values in order, with their weights; None where they have none."""
        if variable not in self.values:
            return None
        values = self.values[variable]
        order = np.argsort(values, kind="stable")
        order = order[np.isfinite(values[order])]
        return values[order], self.weights[order]

    def _describe(self, side: TrainingSide) -> None:
        for column in DescribedFeatures.of(side.bundle.sidecar).columns:
            variable = Variable(Group(INPUTS), column.name)
            if column.categories is not None:
                known = column.categories
                tally = CategoryTally()
                tally.counts.update(dict(zip(known.values, known.counts, strict=True)))
                tally.counts.update({RARER: known.other} if known.other else {})
                tally.missing = float(known.missing)
                self.categories[variable] = tally
            elif column.numbers is not None and column.kind not in (TOKEN, LENGTH):
                bins = TrainingBins.of(column.numbers)
                self.edges[variable] = bins.edges
                self.bins[variable] = KnownBins(bins.shares, column.numbers.mean, column.missing_fraction)

    def _predictions(self, side: TrainingSide, scored: ScoredRows) -> None:
        group = Group(PREDICTIONS)
        for column, values in zip(side.task.columns, scored.prediction.values, strict=True):
            if column.names_target:
                tally = CategoryTally()
                counts = np.bincount(values, self.weights, len(side.task.targets))
                tally.counts.update(dict(zip(side.task.targets, counts.tolist(), strict=True)))
                self.categories[Variable(group, column.name)] = tally
            else:
                self.values[Variable(group, column.name)] = values.astype(np.float32)
        self._edges_of(group)

    def _shares(self, run: FinishedRun, scored: ScoredRows) -> None:
        shares = RunShares.of(run)
        of_method: dict[str, list[Group]] = {}
        for group in shares.explanations:
            of_method.setdefault(group.method, []).append(group)
        for method, attribution in scored.attributions.items():
            groups = of_method.get(method, [])
            for k, group in enumerate(groups):
                values = kept_alone(attribution.values[k :: len(groups)], run.settings.top_k).astype(np.float64)
                values = values if shares.sums is None else shares.sums(values)
                values[~attribution.is_finite[k :: len(groups)]] = np.nan
                for name, column in zip(shares.names, values.T, strict=True):
                    self.values[Variable(group, name)] = column.astype(np.float32)
                self._edges_of(group)

    def _edges_of(self, group: Group) -> None:
        """Bins for few rows, as the report has them."""
        own = [variable for variable in self.values if variable.group == group]
        if own and len(self.weights):
            rows = np.stack([self.values[variable] for variable in own], axis=1).astype(np.float64)
            reference = ReferenceAttributions(rows, self.weights, len(rows))
            self.edges |= dict(zip(own, attribution_edges(reference), strict=True))
