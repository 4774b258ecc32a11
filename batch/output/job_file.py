"""The contents of _job.json: everything that decides the bytes of a run's output."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Any, Self

from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.per import KNOWN
from whyport.batch.methods.positions import REDUCTIONS, Positions
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.columns import OutputColumns
from whyport.batch.output.layouts import attribution_layout
from whyport.batch.output.older import newest_settings
from whyport.batch.output.parts import PartSpan, split
from whyport.batch.reasons.choice import ReasonChoice
from whyport.batch.reasons.columns import ReasonColumns
from whyport.batch.settings import LAYOUTS, ON_BAD_ROW, ON_UNSEEN
from whyport.batch.targets import TargetChoice
from whyport.runtime.bundle.codec import build
from whyport.runtime.bundle.constraints import OneOf, Within
from whyport.runtime.bundle.sidecar import PRECISIONS
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError, JobError, UsageError
from whyport.runtime.store.path import Place
from whyport.runtime.task import Task, find_task

FORMAT_VERSION = 7
"""The version of _job.json; version 2 added the task and its targets, 3 the arithmetic, and 4 `on_unseen`, units, and
the names of the columns with the explained target, 5 `per` and `reduction`, 6 `reasons`, 7 `variant`."""
OLDEST = 2
"""The oldest version that is read; older versions' runs are not resumed."""


MOST_ROWS = 1 << 53
COUNT = Within(1, MOST_ROWS)


@dataclass(frozen=True)
class BundleMark:
    """The bundle that a run used."""

    name: str
    digest: str
    path: str
    """The bundle's path during the run; the digest identifies its content."""


@dataclass(frozen=True)
class PinnedSettings:
    """The options that decide what a run writes."""

    methods: tuple[str, ...]
    explain_target: str
    explain_where: str | None
    explain_fraction: Annotated[float, Within(0, 1)] | None
    layout: Annotated[str, OneOf(LAYOUTS)]
    per: Annotated[str, KNOWN]
    reduction: Annotated[str, OneOf(REDUCTIONS)]
    top_k: Annotated[int, COUNT] | None
    reasons: ReasonChoice | None
    """The reasons that are written as texts."""
    keep: tuple[str, ...]
    on_bad_row: Annotated[str, OneOf(ON_BAD_ROW)]
    on_unseen: Annotated[str, OneOf(ON_UNSEEN)]
    variant: Annotated[str, OneOf(PRECISIONS)] | None
    """The smaller variant of the bundle that is run."""
    batch_rows: Annotated[int, COUNT]
    part_rows: Annotated[int, COUNT]
    explain: dict[str, str | int | float | bool | dict[str, tuple[str, ...]] | None]
    """The options of the methods, as `ExplainSettings.record` gives them."""
    call_rows: Annotated[int, COUNT]
    """Rows per call of ONNX Runtime."""

    @property
    def explain_settings(self) -> ExplainSettings:
        """The options of the methods."""
        return ExplainSettings.of(**self.explain)


@dataclass(frozen=True)
class InputMark:
    """One input as the run saw it."""

    source_file: str
    path: str
    """The path of the input during the run."""
    rows: Annotated[int, Within(0, MOST_ROWS)] | None
    """The number of rows; None for an input that could not be read."""
    size: int
    """The size in bytes."""
    modified_ns: int
    """The time of the last change, in nanoseconds since 1970."""
    footer_sha256: str | None


@dataclass(frozen=True)
class JobFile:
    """The description of a run."""

    format_version: int
    bundle: BundleMark
    task: str
    targets: tuple[str, ...]
    units: tuple[str | None, ...]
    """The unit of each target's score; empty where the task has one for all."""
    target_columns: tuple[str, ...]
    """The columns that name the explained target."""
    settings: PinnedSettings
    provider: str
    versions: dict[str, str]
    inputs: tuple[InputMark, ...]
    arithmetic: tuple[dict[str, str], ...] = ()
    """The arithmetics that made parts, as digests by name; several only in a run that was allowed to mix them."""

    @classmethod
    def build(cls, document: object, path: Place) -> Self:
        """Build the description from a JSON document; raises JobError for any other document or version."""
        version = document.get("format_version") if isinstance(document, dict) else None
        if isinstance(document, dict) and version in range(OLDEST, FORMAT_VERSION):
            version = FORMAT_VERSION
            document = {"arithmetic": [], "units": [], "target_columns": ["explained_class"]} | document
            document = document | {"format_version": version, "settings": newest_settings(document.get("settings"))}
        if version != FORMAT_VERSION:
            raise JobError(
                f"expected a description of format version {FORMAT_VERSION}, got {version}: another whyport wrote it, "
                f"in {path}"
            )
        try:
            found = build(cls, document)
            found.check()
        except (BundleFormatError, UsageError) as error:
            raise JobError(f"expected a description of a run, got another document: {error}, in {path}") from None
        return found

    def check(self) -> None:
        """Raise UsageError for a task, a target, a method or an option of methods that there is not."""
        _ = self.choice, self.settings.explain_settings
        for name in self.settings.methods:
            find_method(name)
        if self.settings.reasons is not None:
            self.settings.reasons.check(self.meaning, self.settings.methods)

    @property
    def meaning(self) -> Task:
        """The meaning of the model's outputs."""
        return find_task(self.task, self.targets, self.units)

    @property
    def choice(self) -> TargetChoice:
        """The targets that are explained for each row."""
        return TargetChoice.parse(self.settings.explain_target, self.meaning)

    @property
    def has_one_explanation_per_row(self) -> bool:
        """Whether a row has one explanation by a method."""
        return len(self.choice.columns) == 1

    @property
    def explains_same_targets(self) -> bool:
        """Whether every row is explained for the same targets, each with columns of its own."""
        return bool(self.choice.targets_by_name)

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        read: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return read

    def of_every_part(self) -> dict[str, Any]:
        """The metadata that every part has in common: what made it."""
        document = self.document()
        return {
            "bundle": {"name": self.bundle.name, "digest": self.bundle.digest},
            **{key: document[key] for key in ("settings", "provider", "versions")},
        }

    def columns(self, positions: Positions, outputs: tuple[TensorSpec, ...] = ()) -> OutputColumns:
        """The columns of the run's output.

        Args:
            positions: the positions of a row's shares.
            outputs: the model's outputs; needed only to compare types.
        """
        settings = self.settings
        written = dataclasses.replace(positions, per=settings.per, by=settings.reduction)
        layout = attribution_layout(settings.layout, settings.top_k, written)
        explain = settings.explain_settings
        named_by = self.target_columns
        reasons = ReasonColumns(settings.reasons)
        return OutputColumns(self.meaning, settings.methods, explain, self.choice, layout, outputs, named_by, reasons)

    def spans(self, index: int) -> list[PartSpan]:
        """The parts of an input; none for an input that could not be read."""
        rows = self.inputs[index].rows
        return [] if rows is None else split(index, rows, self.settings.part_rows)
