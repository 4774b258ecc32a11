"""The lines of `whyport inspect`: what a bundle holds."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from whyport.runtime.bundle.columns import REFUSE, Categories, Column
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.kept_rows import kept_rows_line
from whyport.runtime.bundle.sidecar import Baseline, Sidecar, known_task, precision_of
from whyport.runtime.variant_figures import in_words

SHOWN = 8
"""The categories of a column that are named; the others are counted."""


def bundle_lines(bundle: Bundle) -> Iterator[str]:
    """What the bundle holds, line by line; also where this version cannot run it."""
    sidecar = bundle.sidecar
    task = known_task(sidecar)
    meaning = f"{sidecar.score.task} of kind {sidecar.score.kind}" if task is None else task.name
    yield f"{sidecar.name}  {meaning}, format version {sidecar.format_version}"
    yield _line("digest", bundle.digest)
    yield _line("made by", ", ".join(filter(None, (sidecar.provenance.source, _pairs(sidecar.provenance.versions)))))
    yield _line("metrics", _pairs(sidecar.provenance.metrics) or "none")
    targets = [f"{each.name} ({each.unit})" if each.unit else each.name for each in sidecar.score.targets]
    yield _line("targets" if task is None else task.targets_title, ", ".join(targets))
    yield _line("score", f"output {sidecar.score.output!r}, of kind {sidecar.score.kind}")
    yield from _graphs(sidecar)
    yield _line("parity", _pairs(sidecar.parity) or "not measured")
    for baseline in sidecar.baselines:
        yield _line("baseline", _baseline(baseline))
    for name, capability in sidecar.capabilities.items():
        yield _line(name, "available" if capability.available else f"unavailable: {capability.reason}")
    yield _line("files", ", ".join(sidecar.files))
    yield _line("rows", kept_rows_line(bundle))
    for each in sidecar.inputs:
        yield from _input(each)


def _graphs(sidecar: Sidecar) -> Iterator[str]:
    names = [f"{graph.file} ({graph.variant})" if graph.variant else graph.file for graph in sidecar.graphs]
    yield _line("graphs", f"{', '.join(names)}; opset {sidecar.opset}, IR {sidecar.ir_version}")
    for graph in sidecar.graphs:
        if precision_of(graph.variant) is not None:
            yield _line("smaller", f"{graph.file}: {in_words(graph.figures)}")
        elif graph.figures:
            yield _line(graph.kind, f"{graph.file}: {_pairs(graph.figures)}")
    for kind, specs in (("input", sidecar.signature.inputs), ("output", sidecar.signature.outputs)):
        for spec in specs:
            yield _line(kind, f"{spec.name} {spec.dtype} [{', '.join(map(str, spec.shape))}]")


def _baseline(baseline: Baseline) -> str:
    rows = "" if baseline.rows is None else f" of {baseline.rows}"
    chosen = "" if baseline.method is None else f", {baseline.method}"
    figures = ", ".join(f"{name} {value:.3g}" for name, value in baseline.figures.items())
    return f"{baseline.name}: {baseline.kind}{rows}{chosen}" + (f"; {figures}" if figures else "")


def _input(each: Input) -> Iterator[str]:
    known = {key: value for key, value in dataclasses.asdict(each.prepare).items() if key != "kind"}
    yield _line("prepare", f"{each.name}: {each.prepare.kind}, {_pairs(known)}")
    yield _line("columns", f"{'name':32} {'mean':>12} {'std':>12} {'median':>12} {'missing':>8}")
    for column in each.columns:
        yield _line("", f"{column.name:32} {_known(column)}")


def _known(column: Column) -> str:
    """The statistics of one column's training values."""
    missing = f"{column.missing_fraction:8.1%}, {column.missing}"
    if column.categories is not None:
        return f"{column.kind:38} {missing}; {_categories(column.categories, column.missing)}"
    unit = f"; {column.unit}" if column.unit else ""
    if column.numbers is not None:
        numbers = column.numbers
        return f"{numbers.mean:12.5g} {numbers.standard_deviation:12.5g} {numbers.median:12.5g} {missing}{unit}"
    known = [(each.name, each.numbers) for each in column.channels]
    channels = ", ".join(f"{name} {each.mean:.5g} ± {each.standard_deviation:.5g}" for name, each in known)
    return f"{column.kind:38} {missing}{unit}" + (f"; {channels}" if channels else "")


def _categories(categories: Categories, missing: str) -> str:
    """The categories with their training rows, and what becomes of an unseen value and of none."""
    counted = zip(categories.values, categories.counts, strict=True)
    shown = [f"{value} {count}" for value, count in list(counted)[:SHOWN]]
    more = len(categories.values) - len(shown)
    rest = f" and {more} more" if more else ""
    none = "refused" if missing == REFUSE else _rule(categories.missing, "missing")
    rules = f"unseen {_rule(categories.other, 'rare')}, none {none}"
    return f"{len(categories.values)} of type {categories.type}: {', '.join(shown)}{rest}; {rules}"


def _rule(count: int, kind: str) -> str:
    """What a code stands for: the training rows that had it, or an average category."""
    return f"as in {count} {kind} rows" if count else "as an average one"


def _line(title: str, text: str) -> str:
    return f"{title:11} {text}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in values.items())


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if value is None:
        return "varies"
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
