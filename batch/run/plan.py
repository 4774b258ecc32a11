"""The plan of a run, with every check that does not need a row."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.methods.baselines import chosen_baseline
from whyport.batch.methods.catalogue import check_capabilities, check_engines, engine_beside, engine_of, own_grid
from whyport.batch.methods.maps.specs import array_specs, with_named_layers
from whyport.batch.methods.per import CELL, chosen_per
from whyport.batch.methods.reduction import Reduction
from whyport.batch.output.columns import IDENTITY, REASON, OutputColumns, schema_of
from whyport.batch.output.layouts import attribution_layout, chosen_layout
from whyport.batch.output.parts import PartSpan, split
from whyport.batch.reasons.columns import ReasonColumns
from whyport.batch.reasons.prepare import asked_reasons, rule_of
from whyport.batch.reasons.rule import ReasonRule
from whyport.batch.rows import PredictedRows
from whyport.batch.run.estimate import OutputSize
from whyport.batch.run.new_inputs import NewInputs
from whyport.batch.scoring.selection import KnownColumns, Selection
from whyport.batch.settings import JobSettings
from whyport.batch.source.cleaning import changed_types, check_columns
from whyport.batch.source.discovery import PassedOver, check_apart, discover
from whyport.batch.source.files import Fingerprint, check_name, hive_partitions
from whyport.batch.source.keep import is_pattern, kept_names, matching
from whyport.batch.source.kept import kept_fields
from whyport.batch.source.parquet import INT96_UNIT, SourceFile, open_source
from whyport.batch.source.times import int96_needs
from whyport.batch.targets import TargetChoice
from whyport.runtime.bundle.consistency import check_usable
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import task_of
from whyport.runtime.errors import ColumnError, DataError, UsageError, listing
from whyport.runtime.inputs.int96 import Int96Needs
from whyport.runtime.inputs.table import Columns
from whyport.runtime.paths import path_text
from whyport.runtime.store.path import Place, StorePath
from whyport.runtime.store.side_by_side import mapped
from whyport.runtime.task import Task

Opened = SourceFile | DataError
"""An input, or why it cannot be scored."""
Found = TypeVar("Found")


@dataclass(frozen=True)
class BadFile:
    """An input that cannot be scored and is skipped."""

    path: Place
    reason: str
    fingerprint: Fingerprint | None
    """The file's fingerprint; None for a file that cannot be opened."""

    @property
    def name(self) -> str:
        """The value of the output's column `source_file`, as in `SourceFile.name`."""
        return path_text(self.path.as_posix())


@dataclass(frozen=True)
class Plan:
    """The inputs, the columns and the parts of a run."""

    settings: JobSettings
    task: Task
    table: Columns
    """The columns of the inputs that feed the model."""
    choice: TargetChoice
    selection: Selection
    reduction: Reduction
    output: OutputColumns
    inputs: tuple[SourceFile | BadFile, ...]
    kept: tuple[pa.Field, ...]
    """The columns of the inputs that are copied to the output, with one type for all inputs."""
    passed_over: PassedOver
    reasons: ReasonRule | None = None
    """How reasons as texts follow from shares; None where none are asked for."""
    new: NewInputs | None = None
    """What was chosen of the inputs that were found, where the run takes new ones alone."""
    not_kept: tuple[str, ...] = ()
    """The columns that a pattern of `keep` has left out, a line for each reason."""

    @classmethod
    def of_bundle(cls, bundle: Bundle, settings: JobSettings) -> Self:
        """The plan without inputs: the methods checked, and the columns that come of them.

        Raises UsageError or BundleError.
        """
        sidecar = bundle.sidecar
        check_usable(sidecar)
        if len(set(settings.methods)) != len(settings.methods):
            raise UsageError(f"methods named twice: {listing(settings.methods)}")
        engine = engine_beside(bundle.precision, settings.explain.engine)
        check_engines(settings.methods, engine, bundle.precision)
        check_capabilities(sidecar, {method: engine_of(method, engine) for method in settings.methods})
        explain = dataclasses.replace(settings.explain, engine=engine)
        settings = dataclasses.replace(settings, variant=bundle.precision, explain=explain)
        task = task_of(sidecar)
        choice = TargetChoice.parse(settings.explain_target, task)
        # Without a method nothing has a share.
        own = own_grid(settings.methods, sidecar, settings.explain.options)
        per = CELL
        if settings.methods:
            per = chosen_per(settings.per, sidecar, own, settings.segments, settings.segment_count)
        baseline = chosen_baseline(settings.explain.baseline, sidecar, per) if settings.methods else None
        explain = with_named_layers(sidecar, dataclasses.replace(settings.explain, baseline=baseline))
        settings = dataclasses.replace(settings, per=per, segments=None, segment_count=None, explain=explain)
        reduction = Reduction.of(sidecar, settings.explain.players, settings.per, settings.reduction)
        positions = reduction.positions
        settings = dataclasses.replace(settings, layout=chosen_layout(settings.layout, positions))
        layout = attribution_layout(settings.layout, settings.top_k, positions)
        outputs = array_specs(sidecar, settings.explain.options)
        asked = asked_reasons(settings, task, choice, positions)
        columns = ReasonColumns(asked)
        return cls(
            settings=settings,
            task=task,
            table=Columns.of_bundle(bundle),
            choice=choice,
            selection=Selection.parse(settings.explain_where, settings.explain_fraction),
            reduction=reduction,
            output=OutputColumns(task, settings.methods, settings.explain, choice, layout, outputs, reasons=columns),
            inputs=(),
            kept=(),
            passed_over=PassedOver(),
            reasons=rule_of(bundle, asked, task, positions),
        )

    @classmethod
    def make(cls, bundle: Bundle, settings: JobSettings) -> Self:
        """Check the methods, find the inputs, read their footers and check that every column is there.

        Raises UsageError, BundleError, ColumnError, DataError or JobError. Unusable files are skipped if the settings
        say so and at least one file is usable. There are no inputs only where none is new.
        """
        found = discover(settings.inputs, may_be_empty=bool(settings.new_since))
        check_apart(settings.inputs, found, settings.out)
        plan = dataclasses.replace(cls.of_bundle(bundle, settings), passed_over=found.passed_over)
        plan, paths = plan._with_chosen(found.paths, bundle)
        if not paths:
            return plan
        inputs: list[SourceFile | BadFile] = []
        errors: list[DataError] = []
        needs = Int96Needs()
        plan, files = plan._with_names(list(plan._opened(paths)))
        for path, opened in zip(paths, plan._side_by_side(plan._with_needs, files), strict=True):
            if isinstance(opened, DataError):
                errors.append(opened)
                inputs.append(BadFile(path, str(opened), _fingerprint(path)))
                continue
            source, own_needs = opened
            inputs.append(source)
            needs |= own_needs
        if errors and (settings.on_bad_file == "fail" or len(errors) == len(inputs)):
            raise errors[0]
        plan = dataclasses.replace(plan, inputs=tuple(inputs))._with_kept(needs)
        known = KnownColumns(plan.task, plan.choice).schema(plan.kept)
        first = next(iter(plan.sources.values())).name
        plan.selection.check(known, plan.task, first)
        _ = plan.output.schema(plan.kept, first), plan.rejected_schema
        plan.size.check(plan)
        return plan

    @cached_property
    def sources(self) -> dict[int, SourceFile]:
        """The inputs that can be scored, by their index among all inputs."""
        return {i: source for i, source in enumerate(self.inputs) if isinstance(source, SourceFile)}

    @property
    def rows(self) -> int:
        """The number of rows in all inputs that can be scored."""
        return sum(source.rows for source in self.sources.values())

    @cached_property
    def columns(self) -> list[str]:
        """The columns that are read."""
        label = [self.choice.label] if self.choice.label is not None else []
        return list(dict.fromkeys([*self.table.names, *self.settings.keep, *label]))

    @cached_property
    def size(self) -> OutputSize:
        """The size of the output, estimated."""
        return OutputSize.of(self)

    @cached_property
    def changed_types(self) -> list[str]:
        """The columns of categories whose type has changed since training, in a line each."""
        return [line for source in self.sources.values() for line in changed_types(source, self.table)]

    @property
    def values_per_row(self) -> int:
        """The number of values per row, in the columns that are read and the arrays that explanations add."""
        copied = len(self.columns) - len(self.table.names)
        return copied + self.table.width + self.output.values_per_row

    @cached_property
    def rows_per_batch(self) -> int:
        """Rows that are read, scored and explained together."""
        return self.settings.rows_per_batch(self.values_per_row)

    @cached_property
    def rows_per_part(self) -> int:
        """Rows per part of the output, in whole batches."""
        return self.settings.rows_per_part(self.values_per_row)

    def spans(self, index: int) -> list[PartSpan]:
        """The parts of one input, which cover its rows."""
        return split(index, self.sources[index].rows, self.rows_per_part)

    def explained(self, rows: PredictedRows) -> NDArray[np.int64] | None:
        """The indices of a batch's rows to explain, ascending; None for all rows."""
        if self.selection.is_all:
            return None
        known = KnownColumns(self.task, self.choice)
        mask = self.selection.mask(rows.source_file, rows.source_rows, lambda name: known.array(name, rows))
        return np.flatnonzero(mask)

    @cached_property
    def part_schema(self) -> pa.Schema:
        """The columns of the parts."""
        return self.output.schema(self.kept, "the inputs")

    @cached_property
    def rejected_schema(self) -> pa.Schema:
        """The columns of the rejected parts."""
        return schema_of([*IDENTITY, REASON, *self.kept], "rename the kept column", "the inputs")

    def lines(self) -> list[str]:
        """The plan for a terminal."""
        sources = self.sources
        parts = sum(len(self.spans(index)) for index in sources)
        lines = [
            f"inputs    {len(sources)} files, {self.rows} rows",
            *(f"          {source.rows:>12}  {source.name}" for source in list(sources.values())[:20]),
            *([f"          ... and {len(sources) - 20} more"] if len(sources) > 20 else []),
            *(f"          {line}" for line in self.new_lines),
            *(f"skipped   {bad.reason}" for bad in self.inputs if isinstance(bad, BadFile)),
            *([f"          {self.passed_over.text}"] if self.passed_over.text else []),
            *(f"unseen    {line}" for line in self.changed_types),
            *(f"          {line}" for line in self.not_kept),
            f"parts     {parts}, of up to {self.rows_per_part} rows in batches of {self.rows_per_batch}",
        ]
        if not self.selection.is_all:
            lines.append(f"explained {self.selection}")
        if self.reasons is not None:
            lines.append(f"reasons   {self.reasons.text}")
        lines.append(f"size      {self.size.text}")
        columns = [f"{field.name} ({field.type})" for field in self.part_schema]
        shown = columns if len(columns) <= 40 else [*columns[:40], f"... and {len(columns) - 40} more"]
        return [*lines, f"columns   {len(columns)}: {', '.join(shown)}"]

    def _opened(self, paths: Sequence[Place]) -> Iterator[Opened]:
        """Each input, or why it cannot be opened; footers in stores are read side by side."""
        in_store = any(isinstance(path, StorePath) for path in paths)
        return mapped(self._open, zip(paths, hive_partitions(paths), strict=True), side_by_side=in_store)

    def _open(self, given: tuple[Place, Mapping[str, pa.Scalar]]) -> Opened:
        path, partition = given
        try:
            check_name(path)
            return open_source(path, partition)
        except DataError as error:
            return error

    def _with_names(self, opened: Sequence[Opened]) -> tuple[Self, list[Opened]]:
        """The plan with the names of all columns to keep, in place of patterns; and the files, checked for them.

        A bad file has no say in what a pattern matches.
        """
        own = self.table.names if self.settings.keep_features else ()
        every = {name for each in opened if isinstance(each, SourceFile) for name in each.schema.names}
        given = self.settings.keep
        exact = [each for each in given if each in every or not is_pattern(each)]
        named = (*exact, *(each for each in own if each not in exact))
        checked = list(self._keeping(named)._side_by_side(self._keeping(named)._checked_or_error, opened))
        good = [each for each in checked if isinstance(each, SourceFile)]
        if not good:
            return self._keeping(named), checked
        taken = {field.name for field in (*IDENTITY, REASON, *self.output.fields)}
        kept = kept_names(given, own, good, taken)
        return dataclasses.replace(self._keeping(kept.names), not_kept=tuple(kept.lines)), checked

    def _keeping(self, names: tuple[str, ...]) -> Self:
        """The plan that keeps the columns of these names."""
        settings = dataclasses.replace(self.settings, keep=names, keep_features=False)
        return dataclasses.replace(self, settings=settings)

    def _checked_or_error(self, opened: Opened) -> Opened:
        try:
            return opened if isinstance(opened, DataError) else self._checked(opened)
        except DataError as error:
            return error

    def _with_needs(self, opened: Opened) -> tuple[SourceFile, Int96Needs] | DataError:
        try:
            return opened if isinstance(opened, DataError) else (opened, int96_needs(opened, self.settings.keep))
        except DataError as error:
            return error

    @staticmethod
    def _side_by_side(look: Callable[[Opened], Found], opened: Sequence[Opened]) -> Iterator[Found]:
        """What a call finds at each file, in order; files in stores are read side by side."""
        in_store = any(isinstance(each, SourceFile) and isinstance(each.path, StorePath) for each in opened)
        return mapped(look, opened, side_by_side=in_store)

    def _with_chosen(self, found: Sequence[Place], bundle: Bundle) -> tuple[Self, Sequence[Place]]:
        """The plan with what was chosen of the inputs that were found, and these inputs."""
        settings = self.settings
        if settings.only is not None:
            names = set(settings.only)
            return self, [path for path in found if path_text(path.as_posix()) in names]
        if not settings.new_since:
            return self, found
        of_paths = dict.fromkeys(name for each in hive_partitions(found) for name in each)
        columns = dict.fromkeys([*self.columns, *matching(settings.keep, of_paths)])
        new = NewInputs.choose(found, settings, bundle.digest, list(columns))
        # Whoever makes this plan again, in another process, has the same inputs.
        settings = dataclasses.replace(settings, new_since=(), only=new.names)
        passed_over = dataclasses.replace(self.passed_over, scored=len(new.passed_over))
        return dataclasses.replace(self, settings=settings, passed_over=passed_over, new=new), list(new.chosen)

    def _with_kept(self, needs: Int96Needs) -> Self:
        """The plan with the kept columns: INT96 times are in the first unit in which each column has one type.

        Raises ColumnError where there is none.
        """
        refusals = []
        for unit in needs.units:
            plan = self._in_unit(unit)
            try:
                return dataclasses.replace(plan, kept=kept_fields(list(plan.sources.values()), self.settings.keep))
            except ColumnError as error:
                refusals.append(error)
        raise refusals[0]

    @property
    def new_lines(self) -> list[str]:
        """What to know of the choice of new inputs, in a line each."""
        return [] if self.new is None else [*self.new.lines, *self.new.warnings]

    def _in_unit(self, unit: str) -> Self:
        """The plan with INT96 times in another unit."""
        if unit == INT96_UNIT:
            return self
        inputs = tuple(
            open_source(each.path, each.partition, unit) if isinstance(each, SourceFile) else each
            for each in self.inputs
        )
        return dataclasses.replace(self, inputs=inputs)

    def _checked(self, source: SourceFile) -> SourceFile:
        check_columns(source, self.table, self.settings.keep, self.choice.label)
        self.output.schema([source.schema.field(name) for name in self.settings.keep], source.name)
        return source


def _fingerprint(path: Place) -> Fingerprint | None:
    try:
        return Fingerprint.read(path)
    except (OSError, DataError):
        return None
