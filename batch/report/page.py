"""The report as one file, and its pictures as separate files."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain, count
from pathlib import Path

from matplotlib.figure import Figure

from whyport.batch.report.figure_data import FigureData
from whyport.batch.report.figures.canvas import FORMATS, drawing, file_of, svg_of
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.picture import Heading, PaintedText, Picture, Section
from whyport.batch.report.sections.glance import Line, glance_lines
from whyport.batch.report.sections.groups import against_section, groups_section, soundness_section
from whyport.batch.report.sections.model import model_section
from whyport.batch.report.sections.origin import origin_section
from whyport.batch.report.sections.overall import global_section
from whyport.batch.report.sections.pictures import pictures_section
from whyport.batch.report.sections.rows import rows_section
from whyport.batch.report.sections.texts import texts_section
from whyport.batch.report.sections.trust import trust_section
from whyport.batch.report.without_rows import without_rows
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.files import whole_file
from whyport.runtime.store.path import Place

TEMPLATE, SCRIPT = "page.html.j2", "page.js"
RESERVED = ("main", "glance", "glance-title", "fold", "figure-data")
"""The ids that every page has."""


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
    if settings.no_rows:
        sections = without_rows(sections)
    drawn: dict[str, str] = {}
    written = [target.page]
    for number, picture in enumerate((p for section in sections for p in section.pictures), start=1):
        with drawing():
            figure = picture.draw()
            drawn[picture.key] = svg_of(figure, f"f{number}", picture.tooltips)
            if target.images is not None:
                written += _write_files(figure, target, f"{number:02d}-{slug(picture.key)}")
    target.page.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target.page) as file:
        file.write(page_of(view, sections, drawn, no_rows=settings.no_rows).encode())
    return written


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
        *([] if view.against is None else [against_section(view.against)]),
        *([] if view.soundness is None else [soundness_section(view.soundness)]),
        origin_section(view),
    ]


def page_of(view: View, sections: Sequence[Section], drawn: dict[str, str], *, no_rows: bool = False) -> str:
    """The page's HTML.

    Args:
        view: names the run.
        sections: the contents.
        drawn: an SVG element for each picture.
        no_rows: whether nothing of single rows is said.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    anchors, script = Anchors(sections), _template(SCRIPT)
    data = FigureData()
    for figure in (figure for section in sections for figure in section.figures):
        data.add(anchors.of(figure), figure.data())
    environment = Environment(
        loader=PackageLoader("whyport.batch.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["anchor"] = anchors.of
    environment.filters["target"] = anchors.of_line
    report = view.run.report
    return environment.get_template(TEMPLATE).render(
        name=view.bundle.sidecar.name,
        sections=sections,
        drawn=drawn,
        lines=glance_lines(view, no_rows=no_rows),
        packed=data.packed(),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        digest=view.bundle.digest,
        version=view.run.job.versions["whyport"],
        rows=report.rows_in,
    )


def slug(text: str) -> str:
    """The text in a form fit for file names and element ids."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:80] or "x"


class Anchors:
    """The ids of a page's elements: of its sections, headings and figures, each once.

    Args:
        sections: the contents.
    """

    def __init__(self, sections: Sequence[Section]) -> None:
        self._sections = {section.key: section for section in sections}
        self._ids: dict[int, str] = {}
        taken = {*RESERVED, *self._sections, *(f"{key}-title" for key in self._sections)}
        for section in sections:
            for block in section.blocks:
                if isinstance(block, Heading | Picture | PaintedText):
                    name = slug(block.key) if isinstance(block, Picture) else _name(section, block)
                    ids = chain([name], (f"{name}-{k}" for k in count(2)))
                    self._ids[id(block)] = next(each for each in ids if each not in taken)
                    taken.add(self._ids[id(block)])

    def of(self, block: Heading | Picture | PaintedText) -> str:
        """The id of a heading or a figure."""
        return self._ids[id(block)]

    def of_line(self, line: Line) -> str:
        """The id of the place that a line at the top leads to: a heading where it is there, or else its section."""
        section = self._sections.get(line.section)
        headings = [each for each in section.blocks if isinstance(each, Heading)] if section is not None else []
        place = line.section if section is not None else "main"
        return next((self.of(each) for each in headings if each.text == line.heading), place)


def _name(section: Section, block: Heading | PaintedText) -> str:
    """The id of a heading or a text, if no other has it."""
    return f"{section.key}-{slug(block.text if isinstance(block, Heading) else block.title)}"


def _template(name: str) -> str:
    return files("whyport.batch.report").joinpath("templates", name).read_text(encoding="utf-8")


def _write_files(figure: Figure, target: ReportTarget, name: str) -> list[Path]:
    assert target.images is not None
    target.images.mkdir(parents=True, exist_ok=True)
    paths = [target.images / f"{name}.{file_format}" for file_format in target.formats]
    for path in paths:
        path.write_bytes(file_of(figure, path.suffix[1:]))
    return paths
