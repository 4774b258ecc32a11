"""The data of a report, gathered from a run, its bundle and its inputs before anything is drawn."""

from dataclasses import dataclass, field

import numpy as np

from whyport.batch.compare.compare import compare
from whyport.batch.compare.document import comparison_document
from whyport.batch.faithfulness.document import soundness_document
from whyport.batch.faithfulness.faithfulness import measure_soundness
from whyport.batch.groups.document import group_document
from whyport.batch.groups.groups import GroupSettings, group_rows
from whyport.batch.report.gather.by_feature import DescribedFeatures, sums_by_feature
from whyport.batch.report.gather.cases import CaseReader, RowCase, choose_rows
from whyport.batch.report.gather.collect import Collected, Collector, Wanted
from whyport.batch.report.gather.columns import TableColumns
from whyport.batch.report.gather.dependence import Dependence, dependences
from whyport.batch.report.gather.drift import Drift, attribution_counts, attribution_drift, input_counts, input_drift
from whyport.batch.report.gather.known_rows import KnownRows
from whyport.batch.report.gather.quantities import Quantities
from whyport.batch.report.gather.reference import ReferenceAttributions, reference_attributions
from whyport.batch.report.gather.step_counts import StepCounts
from whyport.batch.report.gather.training import TrainingRecord
from whyport.batch.report.gather.truth import choose_quantities
from whyport.batch.report.gather.values import FeatureValues, read_values
from whyport.batch.review.document import Section
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.truth import choose_label
from whyport.runtime.arguments import at_least
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import ImagePreparation
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.row import sources_of
from whyport.runtime.bundle.sidecar import BACKGROUND_NAME, task_of
from whyport.runtime.errors import UsageError, WhyportError
from whyport.runtime.session import Session
from whyport.runtime.store.path import Place
from whyport.runtime.task import Task


@dataclass(frozen=True)
class ReportSettings:
    """The settings of a report: the options of `whyport report`."""

    out: Place
    bundle: Place | None = None
    """The bundle's path, if it was moved since the run."""
    label: str | None = None
    """The kept column with the true classes or the measured values; by default the training target, if it was kept."""
    rows: tuple[int, ...] = ()
    """Rows to show one by one; by default those that stand out."""
    file: str | None = None
    max_features: int = 20
    """The most features in one figure."""
    device: str = "auto"
    by: str | None = None
    """The column whose groups are beside each other, with edges where there are any; None for no such section."""
    labels: Place | None = None
    """The truth of the groups' rows that arrived later; `label` is then a column of it."""
    key: str | None = None
    """The column that the run and these labels have in common."""
    no_rows: bool = False
    """Whether whatever has something of single rows is left out."""
    faithfulness: int = 0
    """Explained rows on which the explanations are measured; 0 for no such section."""
    against: Place | None = None
    """A run, or a bundle for its training, that the run is compared with; None for no such section."""

    def __post_init__(self) -> None:
        at_least("faithfulness", self.faithfulness, 0)
        at_least("max_features", self.max_features, 1)
        if self.no_rows and (self.rows or self.by is not None):
            got = "by: a group may be a single row" if self.by is not None else "row"
            raise UsageError(f"no_rows: expected neither row nor by beside it, got {got}")
        for name in ("labels", "key"):
            if getattr(self, name) is not None and self.by is None:
                raise UsageError(f"{name}: expected by beside it, got none")

    @property
    def kept_label(self) -> str | None:
        """The kept column with the truth, where one is named."""
        return self.label if self.labels is None else None

    @property
    def groups(self) -> GroupSettings | None:
        """The options of the groups; None without them."""
        return None if self.by is None else GroupSettings(self.by, self.label, self.labels, self.key)


@dataclass(frozen=True)
class View:
    """The data that a report shows."""

    run: FinishedRun
    bundle: Bundle
    training: TrainingRecord
    label: str | None
    """The kept column with the true targets' names, if there is one."""
    quantities: Quantities
    """The predicted quantities, and how well they fit; none for a task that predicts targets."""
    collected: Collected
    values: FeatureValues
    cases: tuple[RowCase, ...]
    inputs: Drift | None
    """The drift of the inputs; None if an input is gone."""
    attributions: dict[str, Drift]
    """The drift of the attributions by method, if the reference rows could be explained."""
    references: dict[str, ReferenceAttributions] = field(default_factory=dict)
    dependences: tuple[Dependence, ...] = ()
    """How the scores depend on the strongest columns; empty where the run explained nothing, or its inputs are gone."""
    steps: tuple[tuple[str, ...], ...] = ()
    """The distribution of the numbers of steps, as lines of a table; empty where all rows have as many."""
    known: KnownRows | None = None
    """The training rows among the inputs, if there are labels to compare with."""
    problems: tuple[str, ...] = ()
    """The parts of the report that cannot be shown, and why."""
    groups: Section | None = None
    """The groups of the rows beside each other; None where they are not asked for."""
    soundness: Section | None = None
    """Whether the explanations are sound; None where that is not asked for, or the run has none."""
    against: Section | None = None
    """The run beside another one, or beside a bundle's training; None where that is not asked for."""

    @property
    def task(self) -> Task:
        """The meaning of the model's outputs, with the targets' units."""
        return task_of(self.bundle.sidecar)


def gather(settings: ReportSettings) -> View:
    """Gather the data; raises UsageError, JobError, AuditError or DataError if run or bundle cannot be read."""
    run = FinishedRun.read(settings.out)
    bundle = run.open_bundle(settings.bundle)
    label, quantities = choose_label(run, bundle, settings.kept_label), choose_quantities(run, settings.kept_label)
    groups, against = settings.groups, _against(settings)
    session = Session(bundle, settings.device)
    problems: list[str] = []
    methods = list(dict.fromkeys(each.method for each in run.explanations))
    references: dict[str, ReferenceAttributions] = {}
    try:
        references = reference_attributions(session, run, methods) if methods else {}
        problems += [
            f"The drift of the attributions of {method} cannot be told, as no reference row has finite ones."
            for method in methods
            if method not in references
        ]
    except (WhyportError, ModuleNotFoundError) as error:
        problems.append(
            f"The drift of attributions is not shown, as the reference rows cannot be explained here: {error}."
        )
    halves = {method: attribution_counts(reference) for method, reference in references.items()}
    collected = Collector(run, Wanted(label=label, halves=halves, quantities=quantities)).collect()
    choices = choose_rows(run, collected.candidates, settings.rows, settings.file)
    described, by_feature = DescribedFeatures.of(bundle.sidecar), sums_by_feature(run) if methods else None
    counts = input_counts(described.columns, described.places, bundle.sidecar.lengths)
    steps = StepCounts(bundle.sidecar.lengths)
    places = [*(each.sample for each in collected.attributions), *([collected.scored] if collected.scored else [])]
    has_pictures = any(isinstance(each.prepare, ImagePreparation) for each in bundle.sidecar.inputs)
    if has_pictures:
        places = []  # the pixels of as many rows would not fit in memory
    places += [{"source": np.array([c.index]), "row": np.array([c.row])} for c in choices]
    known = None
    # Without the truth there is no accuracy to which they matter.
    is_compared = label is not None or any(each.measured is not None for each in quantities.each)
    if is_compared and bundle.sidecar.baseline(BACKGROUND_NAME) is not None:
        known = KnownRows(References.read(bundle), bundle.sidecar)
    columns = TableColumns.of(sources_of(bundle.sidecar.inputs), bundle.read_bytes)
    values = read_values(run, columns, places, counts, known, steps)
    problems += [
        f"An input cannot be read as it was scored, so its values are not shown: {r}." for r in values.gone.values()
    ]
    truths = [each.measured for each in quantities.each] or [label]
    reader = CaseReader(run, values, truths, session)
    return View(
        run=run,
        bundle=bundle,
        training=TrainingRecord.read(bundle),
        label=label,
        quantities=quantities,
        collected=collected,
        values=values,
        cases=tuple(reader.read(choice) for choice in choices),
        inputs=None if values.gone else input_drift(described.columns, counts),
        steps=tuple(steps.lines()),
        attributions={
            method: attribution_drift(
                run.layout.features if by_feature is None else by_feature.positions.names, reference, halves[method]
            )
            for method, reference in references.items()
        },
        references=references,
        dependences=()
        if has_pictures
        else dependences(session, collected, values, run.layout.features if methods else ()),
        known=known,
        problems=tuple(problems),
        soundness=_soundness(run, settings),
        against=against,
        groups=None if groups is None else group_document(group_rows(run, groups, settings.bundle)),
    )


def _against(settings: ReportSettings) -> Section | None:
    """The comparison, without its table over several runs."""
    if settings.against is None:
        return None
    found = compare(settings.against, settings.out, device=settings.device)
    return comparison_document(found.comparisons[0], settings.max_features)


def _soundness(run: FinishedRun, settings: ReportSettings) -> Section | None:
    if not settings.faithfulness or not run.settings.methods:
        return None
    return soundness_document(
        measure_soundness(settings.out, sample=settings.faithfulness, bundle=settings.bundle, device=settings.device)
    )
