"""The data of a report, gathered from a run, its bundle and its inputs before anything is drawn."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from whyport.batch.report.gather.cases import CaseReader, RowCase, choose_rows
from whyport.batch.report.gather.collect import Collected, Collector, Wanted
from whyport.batch.report.gather.dependence import Dependence, dependences
from whyport.batch.report.gather.drift import Drift, attribution_counts, attribution_drift, input_counts, input_drift
from whyport.batch.report.gather.known_rows import KnownRows
from whyport.batch.report.gather.reference import ReferenceAttributions, reference_attributions
from whyport.batch.report.gather.training import TrainingRecord
from whyport.batch.report.gather.values import FeatureValues, read_values
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.arguments import at_least
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import BACKGROUND_NAME
from whyport.runtime.errors import UsageError, WhyportError, unknown
from whyport.runtime.session import Session


@dataclass(frozen=True)
class ReportSettings:
    """The settings of a report: the options of `whyport report`."""

    out: Path
    bundle: Path | None = None
    """The bundle's path, if it was moved since the run."""
    label: str | None = None
    """The kept column with the true classes; by default the model's training target, if it was kept."""
    rows: tuple[int, ...] = ()
    """Rows to show one by one; by default the most certain, least certain and wrong ones."""
    file: str | None = None
    max_features: int = 20
    """The most features in one figure."""
    device: str = "auto"

    def __post_init__(self) -> None:
        at_least("max_features", self.max_features, 1)


@dataclass(frozen=True)
class View:
    """The data that a report shows."""

    run: FinishedRun
    bundle: Bundle
    training: TrainingRecord
    label: str | None
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
    known: KnownRows | None = None
    """The training rows among the inputs, if there are labels to compare with."""
    problems: tuple[str, ...] = ()
    """The parts of the report that cannot be shown, and why."""


def gather(settings: ReportSettings) -> View:
    """Gather the data; raises UsageError, JobError, AuditError or DataError if run or bundle cannot be read."""
    run = FinishedRun.read(settings.out)
    bundle = run.open_bundle(settings.bundle)
    label = choose_label(run, bundle, settings.label)
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
    collected = Collector(run, Wanted(label=label, halves=halves)).collect()
    choices = choose_rows(run, collected.candidates, settings.rows, settings.file)
    features = list(bundle.sidecar.column_names)
    counts = input_counts(bundle.sidecar.columns)
    places = [*(each.sample for each in collected.attributions), *([collected.scored] if collected.scored else [])]
    places += [{"source": np.array([c.index]), "row": np.array([c.row])} for c in choices]
    # Without labels there is no accuracy to which they matter.
    known = None
    if label is not None and bundle.sidecar.baseline(BACKGROUND_NAME) is not None:
        known = KnownRows(References.read(bundle), bundle.sidecar)
    values = read_values(run, features, places, counts, known)
    problems += [
        f"An input cannot be read as it was scored, so its values are not shown: {r}." for r in values.gone.values()
    ]
    reader = CaseReader(run, values, label, session)
    return View(
        run=run,
        bundle=bundle,
        training=TrainingRecord.read(bundle),
        label=label,
        collected=collected,
        values=values,
        cases=tuple(reader.read(choice) for choice in choices),
        inputs=None if values.gone else input_drift(bundle.sidecar.columns, counts),
        attributions={
            method: attribution_drift(features, reference, halves[method]) for method, reference in references.items()
        },
        references=references,
        dependences=dependences(session, collected, values),
        known=known,
        problems=tuple(problems),
    )


def choose_label(run: FinishedRun, bundle: Bundle, name: str | None) -> str | None:
    """The kept column with the true classes, if there is one; raises UsageError for a column that was not kept."""
    if name is not None:
        if name not in run.settings.keep:
            raise UsageError(unknown("kept column", name, run.settings.keep))
        return name
    if not run.task.predicts_targets:
        return None
    explained = run.settings.explain_class
    known = [bundle.sidecar.provenance.settings.get("target")]
    known += [explained.removeprefix("label:")] if explained.startswith("label:") else []
    return next((str(column) for column in known if column in run.settings.keep), None)
