"""The report as one file, and its pictures as separate files."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from whyport.batch.report.figures.canvas import FORMATS, drawing, file_of, svg_of
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.picture import Section
from whyport.batch.report.sections.groups import groups_section
from whyport.batch.report.sections.model import model_section
from whyport.batch.report.sections.origin import origin_section
from whyport.batch.report.sections.overall import global_section
from whyport.batch.report.sections.pictures import pictures_section
from whyport.batch.report.sections.rows import rows_section
from whyport.batch.report.sections.texts import texts_section
from whyport.batch.report.sections.trust import trust_section
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.files import whole_file
from whyport.runtime.store.path import Place

TEMPLATE = "page.html.j2"


@dataclass(frozen=True)
class ReportTarget:
    """The destination of a report."""

    page: Path
    images: Path | None = None
    """The folder for the pictures as files; None for no such files."""
    formats: tuple[str, ...] = ("png",)

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in FORMATS:
                raise UsageError(unknown("format", name, FORMATS))

    def check(self, out: Place) -> None:
        """Raise UsageError for a file among a run's parts: readers of the folder would take it for data."""
        for path in (self.page, *([] if self.images is None else [self.images])):
            inside = (
                path.resolve().relative_to(out.resolve()).parts if path.resolve().is_relative_to(out.resolve()) else ()
            )
            if path.resolve() == out.resolve() or (inside and not inside[0].startswith(("_", "."))):
                raise UsageError(f"{str(path)!r} is in the run's folder, where readers would take it for data")


def write_report(settings: ReportSettings, target: ReportTarget) -> list[Path]:
    """Write the report of a finished run; returns the files, the page first.

    Raises what `gather` raises, and UsageError for a target among the run's parts.
    """
    target.check(settings.out)
    view = gather(settings)
    sections = sections_of(view, settings.max_features)
    drawn: dict[str, str] = {}
    files = [target.page]
    for number, picture in enumerate((p for section in sections for p in section.pictures), start=1):
        with drawing():
            figure = picture.draw()
            drawn[picture.key] = svg_of(figure, f"f{number}", picture.tooltips)
            if target.images is not None:
                files += _write_files(figure, target, f"{number:02d}-{slug(picture.key)}")
    target.page.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target.page) as file:
        file.write(page_of(view, sections, drawn).encode())
    return files


def sections_of(view: View, max_features: int) -> list[Section]:
    """The report's sections, in order."""
    beside = (pictures_section(view), texts_section(view))
    return [
        model_section(view),
        global_section(view, max_features),
        *(section for section in beside if section is not None),
        rows_section(view, max_features),
        *([] if view.groups is None else [groups_section(view.groups)]),
        trust_section(view, max_features),
        origin_section(view),
    ]


def page_of(view: View, sections: Sequence[Section], drawn: dict[str, str]) -> str:
    """The page's HTML.

    Args:
        view: names the run.
        sections: the contents.
        drawn: an SVG element for each picture.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("whyport.batch.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["slug"] = slug
    report = view.run.report
    return environment.get_template(TEMPLATE).render(
        name=view.bundle.sidecar.name,
        sections=sections,
        drawn=drawn,
        facts=list(facts(view)),
        digest=view.bundle.digest,
        version=view.run.job.versions["whyport"],
        rows=report.rows_in,
    )


def slug(text: str) -> str:
    """The text in a form fit for file names and element ids."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:80] or "x"


def facts(view: View) -> Iterator[tuple[str, str]]:
    """The facts at the top of the page."""
    report = view.run.report
    yield "rows scored", f"{report.rows_out:,}"
    yield "rejected", f"{report.rows_rejected:,}"
    if report.rows_unseen:
        yield "with unseen values", f"{report.rows_unseen:,}"
    if report.explained:
        yield "explained", f"{max(report.explained.values()):,}"
    matrix = view.collected.confusion
    if matrix is not None and matrix[:-1].sum():
        includes = view.known is not None and view.known.found
        yield (
            "accuracy, training rows included" if includes else "accuracy",
            f"{matrix[:-1].trace() / matrix[:-1].sum():.1%}",
        )
    evaluation = view.training.evaluation
    if evaluation is not None and evaluation.warnings:
        yield "warnings of the training", f"{len(evaluation.warnings):,}"
    fits = [each.fit for each in view.quantities.each if each.fit is not None]
    if len(fits) == 1:
        includes = view.known is not None and view.known.found
        yield "R², training rows included" if includes else "R²", f"{fits[0].r2:.3f}"
    errors = [m.worst_completeness_error for m in report.methods.values()]
    if errors:
        finite: list[Any] = [error for error in errors if error is not None]
        yield f"largest error, {view.task.unit}", f"{max(finite):.1g}" if len(finite) == len(errors) else "infinite"
    if view.inputs is not None:
        drift = view.inputs
        untold = f", {len(drift.untold)} cannot be told" if drift.untold else ""
        yield "features moved", f"{len(drift.moved)} of {len(drift.features)}{untold}"


def _write_files(figure: Figure, target: ReportTarget, name: str) -> list[Path]:
    assert target.images is not None
    target.images.mkdir(parents=True, exist_ok=True)
    paths = [target.images / f"{name}.{file_format}" for file_format in target.formats]
    for path in paths:
        path.write_bytes(file_of(figure, path.suffix[1:]))
    return paths
