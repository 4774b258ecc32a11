"""The figures of two sides that have been counted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from whyport.batch.compare.bootstrap import NORMAL, standard_errors
from whyport.batch.compare.distance import sampling_error, wasserstein
from whyport.batch.compare.figures import Change, Comparison, ExplanationFigures, Figure, Shift
from whyport.batch.compare.measure import KnownBins, by_index, category_figure, number_figure, ranks
from whyport.batch.compare.reading import in_order
from whyport.batch.compare.run_readers import RunReaders
from whyport.batch.compare.scope import Scope
from whyport.batch.compare.sides import RunSide, TrainingSide
from whyport.batch.compare.summary import DrawnRows, Summary
from whyport.batch.compare.tally import CategoryTally, Tally
from whyport.batch.compare.training import Training
from whyport.batch.compare.variables import ATTRIBUTIONS, INPUTS, PREDICTIONS, Group, Variable
from whyport.batch.methods.catalogue import find_method
from whyport.runtime.errors import UsageError


@dataclass(frozen=True)
class Counted:
    """A run that has been counted."""

    summary: Summary
    readers: RunReaders

    @cached_property
    def drawn(self) -> dict[Variable, DrawnRows]:
        """The rows that were drawn, by variable."""
        return self.summary.drawn()

    def values(self, variable: Variable) -> NDArray[np.float32] | None:
        """The finite values that were drawn, ascending; None where none were."""
        rows = self.drawn.get(variable)
        if rows is None:
            return None
        values = rows.values[:, rows.places[variable]]
        return np.sort(values[np.isfinite(values)])

    def errors(self, variables: list[Variable]) -> NDArray[np.float64]:
        """The standard errors of the mean magnitudes of variables of one block, from the rows that were drawn."""
        rows = self.drawn.get(variables[0])
        if rows is None:
            return np.full(len(variables), np.nan)
        values = np.abs(rows.values[:, [rows.places[variable] for variable in variables]])
        finite = np.isfinite(values).all(axis=1)
        return standard_errors(rows.keys[finite], values[finite], self.summary.numbers[variables[0]].known)


class Pair:
    """Two sides.

    Args:
        first: A.
        other: B.
        scope: what is compared of them.
        before: A's counts, or what its bundle tells of the training.
        after: B's counts.
        threads: threads on the CPU.
    """

    def __init__(
        self,
        first: RunSide | TrainingSide,
        other: RunSide,
        scope: Scope,
        before: Counted | Training,
        after: Counted,
        threads: int = 1,
    ) -> None:
        self._first, self._other, self._scope = first, other, scope
        self._before, self._after, self._threads = before, after, threads

    def comparison(self) -> Comparison:
        """The comparison, without matched rows and alarms; raises UsageError where nothing can be compared."""
        inputs, predictions = self._plain(Group(INPUTS)), self._predictions()
        explanations = tuple(self._explanations())
        left_out = [*self._scope.left_out, *self._notes()]
        if not (inputs or predictions or explanations):
            raise UsageError(
                f"expected two sides that can be compared, got {self._first.title} and {self._other.title}"
            ).with_details(left_out)
        return Comparison(
            before=self._first.title,
            after=self._other.title,
            rows_before=self._first.rows,
            rows_after=self._other.rows,
            notes=self._scope.notes,
            left_out=tuple(left_out),
            predictions=predictions,
            inputs=inputs,
            explanations=explanations,
            changes=(*self._scope.changes, *self._input_changes(), *_categories([*inputs, *predictions])),
        )

    def _notes(self) -> list[str]:
        if isinstance(self._before, Training):
            problem = [] if self._before.problem is None else [self._before.problem]
            return [*problem, *self._mixed, *self._after.readers.notes]
        return [*self._mixed, *self._before.readers.notes, *self._after.readers.notes]

    @cached_property
    def _numbers(self) -> Mapping[Variable, Tally | KnownBins]:
        """A's variables of numbers."""
        if isinstance(self._before, Counted):
            return self._before.summary.numbers
        found: dict[Variable, Tally | KnownBins] = dict(self._before.bins)
        for variable, values in self._before.values.items():
            if variable in self._after.summary.numbers:
                tally = Tally(self._after.summary.numbers[variable].edges)
                tally.add_weighted(values, self._before.weights)
                found[variable] = tally
        return found

    @property
    def _categories(self) -> Mapping[Variable, CategoryTally]:
        before = self._before
        return before.summary.categories if isinstance(before, Counted) else before.categories

    @property
    def _mixed(self) -> list[str]:
        """The variables that are numbers on one side, categories on the other."""
        after = self._after.summary
        both = [v.name for v in self._numbers if v in after.categories]
        both += [v.name for v in self._categories if v in after.numbers]
        return [f"{name!r} is not compared: it has numbers on one side, categories on the other" for name in both]

    @cached_property
    def _figures(self) -> dict[Variable, Figure]:
        """The figures of all variables of numbers."""
        both = [variable for variable in self._numbers if variable in self._after.summary.numbers]
        drawn = [each.drawn for each in (self._before, self._after) if isinstance(each, Counted)]
        del drawn  # made before several threads ask for it
        return dict(zip(both, in_order(self._number, both, self._threads), strict=True))

    def _number(self, variable: Variable) -> Figure:
        """The figures of a variable of numbers."""
        before, after = self._numbers[variable], self._after.summary.numbers[variable]
        effective = self._before.effective if isinstance(self._before, Training) else None
        figure = number_figure(variable.name, before, after, effective)
        found, own = self._values_before(variable), self._after.values(variable)
        if found is None or own is None:
            return figure
        values, weights = found
        error = sampling_error(own, after.known)
        if weights is None and isinstance(before, Tally):
            error += sampling_error(values, before.known)
        return replace(figure, wasserstein=wasserstein(values, own, weights), wasserstein_error=error)

    def _values_before(self, variable: Variable) -> tuple[NDArray[np.float32], NDArray[np.float64] | None] | None:
        """A's finite values that were drawn, ascending, and weights of reference rows; None where none are known."""
        if isinstance(self._before, Training):
            return self._before.ascending(variable)
        values = self._before.values(variable)
        return None if values is None else (values, None)

    def _plain(self, group: Group) -> tuple[Figure, ...]:
        """The figures of a group, by their index."""
        after = self._after.summary
        numbers = [figure for variable, figure in self._figures.items() if variable.group == group]
        is_weighted = isinstance(self._before, Training) and group.kind == PREDICTIONS
        categories = [
            category_figure(variable.name, before, after.categories[variable], is_weighted)
            for variable, before in self._categories.items()
            if variable.group == group and variable in after.categories
        ]
        return by_index([*categories, *numbers])

    def _predictions(self) -> tuple[Figure, ...]:
        if Group(PREDICTIONS) not in self._scope.groups:
            return ()
        return tuple(each for each in self._plain(Group(PREDICTIONS)) if each.name not in self._scope.other_units)

    def _explanations(self) -> Iterator[ExplanationFigures]:
        for group in self._scope.groups:
            if group.kind != ATTRIBUTIONS:
                continue
            names = [
                variable
                for variable in self._after.summary.numbers
                if variable.group == group and isinstance(self._numbers.get(variable), Tally)
            ]
            if names:
                yield self._explanation(group, names)

    def _explanation(self, group: Group, variables: list[Variable]) -> ExplanationFigures:
        before = [self._numbers[variable] for variable in variables]
        after = [self._after.summary.numbers[variable] for variable in variables]
        means = [[each.mean_magnitude for each in side if isinstance(each, Tally)] for side in (before, after)]
        errors = np.hypot(self._errors_before(variables), self._after.errors(variables))
        places = [ranks(each) for each in means]
        figures = []
        for i, variable in enumerate(variables):
            change, half = means[1][i] - means[0][i], NORMAL * float(errors[i])
            shift = Shift(
                before=means[0][i],
                after=means[1][i],
                standard_error=float(errors[i]),
                low=change - half,
                high=change + half,
                rank_before=places[0][i],
                rank_after=places[1][i],
            )
            figures.append(replace(self._figures[variable], shift=shift))
        unit = self._other.task.unit_of(group.target) if group.target in self._other.task.targets else None
        return ExplanationFigures(
            method=group.method,
            target=group.target,
            unit=find_method(group.method).unit_of(unit or self._other.task.unit),
            rows_before=self._rows_before(group),
            rows_after=self._after.summary.rows.get(group, 0),
            features=by_index(figures),
        )

    def _rows_before(self, group: Group) -> int:
        if isinstance(self._before, Counted):
            return self._before.summary.rows.get(group, 0)
        return len(self._before.weights)

    def _errors_before(self, variables: list[Variable]) -> NDArray[np.float64]:
        if isinstance(self._before, Counted):
            return self._before.errors(variables)
        values = np.abs(np.stack([self._before.values[variable] for variable in variables], axis=1))
        finite = np.isfinite(values).all(axis=1)
        keys, weights = self._before.keys[finite], self._before.weights[finite]
        return standard_errors(keys, values[finite], int(finite.sum()), weights)

    def _input_changes(self) -> Iterator[Change]:
        """The inputs that one side alone has; of columns that could not be read, nothing is told."""
        after = self._after.summary
        sides = [
            [variable.name for variable in known if variable.group == Group(INPUTS)]
            for known in ([*self._numbers, *self._categories], [*after.numbers, *after.categories])
        ]
        if all(sides):
            yield from (Change("input", name, True) for name in sides[1] if name not in sides[0])
            yield from (Change("input", name, False) for name in sides[0] if name not in sides[1])


def _categories(figures: list[Figure]) -> Iterator[Change]:
    for each in figures:
        yield from (Change("category", f"{each.name} = {name}", True) for name in each.appeared)
        yield from (Change("category", f"{each.name} = {name}", False) for name in each.vanished)
