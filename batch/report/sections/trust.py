"""The section on whether the run can be trusted: errors, rejected rows and drift."""

from collections.abc import Mapping, Sequence

import numpy as np

from whyport.batch.output.totals import ErrorHistogram
from whyport.batch.report.figures.canvas import ORANGE
from whyport.batch.report.figures.categories import occurrence_figure
from whyport.batch.report.figures.plots import counts_figure, decades, drift_figure, errors_figure
from whyport.batch.report.gather.drift import ATTRIBUTION_BINS, MOVED, STABLE, UNTOLD, Drift, FeatureDrift
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Data, Heading, Note, Picture, Section, Table

THRESHOLDS = f"Below {STABLE:g} is stable, above {MOVED:g} has moved, by custom."
TABLE_ROWS = 50
CATEGORY_COLUMNS = 4
"""The columns of categories that have a picture of their own."""
OUTSIDE = 0.01
"""The share of values outside of the training range that is worth a word."""


def trust_section(view: View, max_features: int) -> Section:
    """Errors, rejected rows and drift."""
    blocks: list[Block] = [
        *_errors(view),
        *_rejected(view),
        *_not_seen(view),
        *_cut(view),
        Heading("Drift", _formula()),
    ]
    if view.inputs is not None:
        blocks += _drift(view.inputs, "inputs", "Inputs against the training rows", _of_inputs(view), max_features)
    if view.steps:
        blocks.append(_steps(view))
    for method, drift in view.attributions.items():
        title = f"Attributions of {method} against the reference rows"
        blocks += _drift(drift, f"attributions-{method}", title, _of_attributions(view, method, drift), max_features)
    blocks += [Note(problem) for problem in view.problems]
    lead = "Whether the reasons add up, which rows are missing, and whether the data still are what the model knows."
    return Section("trust", "How far to trust it", lead, tuple(blocks))


def _errors(view: View) -> list[Block]:
    totals = {name: each for name, each in view.run.totals.methods.items() if each.errors.total}
    blocks: list[Block] = [Heading("Do the reasons add up?")]
    if not totals:
        return [*blocks, Note("No method of this run claims to add up to the score.")]
    errors = {name: each.errors for name, each in totals.items()}
    if any(each.counts for each in errors.values()):
        blocks.append(
            Picture(
                "errors",
                "Completeness errors",
                "|Σ attribution - (score - base value)| of every explanation, counted in bins of a fifth of a decade; "
                "errors of exactly 0 are in the leftmost.",
                "; ".join(
                    f"{n}: half are below {e.quantile(0.5):.2g}, the largest finite one is {e.worst:.2g}"
                    for n, e in errors.items()
                )
                + ".",
                lambda: errors_figure(errors, view.task.unit),
                data=lambda: _bins(errors),
            )
        )
    rows = tuple(
        (
            name,
            f"{each.explained:,}",
            f"{each.errors.total:,}",
            f"{each.errors.worst:.2g}"
            + (f" ({each.errors.not_finite:,} not finite)" if each.errors.not_finite else ""),
            f"{each.not_converged:,}",
            f"{each.not_converged / each.explained:.2%}",
        )
        for name, each in totals.items()
    )
    head = ("method", "rows", "explanations", f"worst error ({view.task.unit})", "rows not converged", "share")
    blocks.append(Table("Explanations that did not converge", head, rows, frozenset({1, 2, 3, 4, 5})))
    return blocks


def _bins(errors: Mapping[str, ErrorHistogram]) -> Data:
    """The bins of the figure of errors, method by method."""
    found = [(method, *decades(histogram)) for method, histogram in errors.items()]
    return {
        "method": [method for method, _, counts in found for _ in counts],
        "error from": np.concatenate([edges[:-1] for _, edges, _ in found]),
        "error to": np.concatenate([edges[1:] for _, edges, _ in found]),
        "explanations": np.concatenate([counts for *_, counts in found]),
    }


def _rejected(view: View) -> list[Block]:
    report = view.run.report
    blocks: list[Block] = [Heading("Rows that could not be scored")]
    if not report.rejected:
        blocks.append(Note(f"None: all {report.rows_in:,} rows were scored."))
    else:
        shown = dict(list(report.rejected.items())[:20])
        blocks.append(
            Picture(
                "rejected",
                "Rejected rows by reason",
                f"{report.rows_rejected:,} of {report.rows_in:,} rows"
                + (f"; the 20 most common of {len(report.rejected)} reasons." if len(report.rejected) > 20 else "."),
                "; ".join(f"{reason}: {rows:,}" for reason, rows in shown.items()),
                lambda: counts_figure(shown, ORANGE, "rejected rows"),
                tuple(shown),
                of_rows=True,
                data=lambda: {"reason": list(shown), "rows": list(shown.values())},
            )
        )
        reasons = tuple((reason, f"{rows:,}") for reason, rows in report.rejected.items())
        blocks.append(Table("The reasons in full", ("reason", "rows"), reasons, frozenset({1}), of_rows=True))
    if report.skipped:
        skipped = tuple((file.source_file, file.reason) for file in report.skipped)
        blocks.append(Table("Files that were skipped", ("file", "reason"), skipped, of_rows=True))
    return blocks


def _cut(view: View) -> list[Block]:
    """The texts of which the model sees the beginning alone; nothing where there are none."""
    report = view.run.report
    rows = tuple((name, f"{count:,}", f"{count / report.rows_in:.2%}") for name, count in report.cut.items())
    title = "Texts cut off at the most tokens that the model takes"
    return [Table(title, ("column", "texts", "share"), rows)] if rows else []


def _not_seen(view: View) -> list[Block]:
    """The rows with values that training has not seen; nothing for a table of numbers."""
    report = view.run.report
    if not report.unseen:
        return []
    rows = tuple(
        (name, f"{count:,}", f"{count / report.rows_in:.2%}")
        for name, count in sorted(report.unseen.items(), key=lambda item: -item[1])
    )
    note = (
        f"{report.rows_unseen:,} of {report.rows_in:,} rows: other categories, other types, dates that do not exist. "
        "The model's own rule for such values scores them, where the run does not reject them."
    )
    return [
        Heading("Values that training has not seen"),
        Table(
            "Unseen values by column",
            ("column", "rows", "share of all rows"),
            rows[:TABLE_ROWS],
            frozenset({1, 2}),
            note,
        ),
    ]


def _formula() -> str:
    return (
        "The population stability index of a feature is Σ (a - e) ln(a / e) over bins, of the shares e expected and a "
        f"found (Siddiqi 2006). {THRESHOLDS}"
    )


def _of_inputs(view: View) -> str:
    rows = view.run.report.rows_in
    has_categories = view.bundle.sidecar.has_categories
    return (
        f"All {rows:,} rows of the inputs, in the bins of the training rows that the bundle records: deciles, and "
        "single values that are frequent or few. Missing and infinite values are not binned, the table has their share."
        + (" Categories have a bin each, and so have other and missing ones." if has_categories else "")
        + (" Of rows of varying length, the values of their own steps alone are counted." if view.steps else "")
    )


def _steps(view: View) -> Table:
    """How many steps the rows have, of inputs of varying length."""
    head = ("input", "rows", "fewest", "lower quartile", "median", "upper quartile", "most", "mean")
    note = "Steps of a row of the inputs; the bundle has no record of those in training, so no drift of them is told."
    return Table(
        "Steps of rows of varying length", head, view.steps, frozenset(range(1, len(head))), note, of_rows=True
    )


def _of_attributions(view: View, method: str, drift: Drift) -> str:
    reference, task = view.references[method], view.task
    mix = f"Another mix of {task.targets_title} moves it too. " if task.predicts_targets else ""
    mix += "So do shorter rows, as the references have the most steps. " if view.steps else ""
    return (
        f"All explained rows against the bundle's {reference.rows} reference rows, explained by the same method and "
        f"settings, in {ATTRIBUTION_BINS} bins of equal weight. So few references reach about {drift.by_chance:.2g} "
        f"by chance (shaded). {mix}Where the references were "
        "chosen by hand, it says how far the run is from them."
    )


def _drift(drift: Drift, key: str, title: str, caption: str, limit: int) -> list[Block]:
    shown = drift.features[:limit]
    watched = [each for each in drift.features if each.is_told and STABLE <= each.index < MOVED]
    names = tuple(each.name for each in drift.features)
    some = "" if len(shown) == len(names) else f" The {len(shown)} features that moved most, of {len(names)}."
    head, rows = _table_of_inputs(drift) if key == "inputs" else _table_of_attributions(drift)
    largest = [f"{each.name} {each.index:.3g}" for each in shown if each.is_told][:5]
    return [
        Picture(
            f"drift-{key}",
            title,
            caption + some + _unseen(drift),
            f"{len(drift.moved)} of {len(names)} features have moved, {len(watched)} more are to be watched"
            + (f", {len(drift.untold)} {UNTOLD}" if drift.untold else "")
            + "."
            + (f" Largest: {', '.join(largest)}." if largest else ""),
            lambda: drift_figure(shown, drift.by_chance),
            names[:limit],
            data=lambda: {
                "feature": names[:limit],
                "index": [each.index if each.is_told else None for each in shown],
            },
        ),
        *_by_category(drift, key),
        Table(
            f"{title}, ranked",
            head,
            rows[:TABLE_ROWS],
            frozenset(range(1, len(head))),
            "" if len(rows) <= TABLE_ROWS else f"The first {TABLE_ROWS} of {len(names)} features.",
        ),
    ]


def _by_category(drift: Drift, key: str) -> list[Block]:
    """How often the categories of the columns that have moved most occur."""
    found = [each for each in drift.features if each.categories is not None][:CATEGORY_COLUMNS]
    if not found:
        return []
    return [
        Picture(
            f"drift-{key}-categories",
            "Categories in training and in this run",
            f"The {len(found)} columns of categories that have moved most, with their commonest categories; (other) is "
            "a value that is none of them, (missing) is no value.",
            "; ".join(f"{each.name}: index {each.index:.3g}, {_largest_step(each)}" for each in found) + ".",
            lambda: occurrence_figure(found),
            tuple(name for each in found for name in (each.name, *(each.categories or ()))),
            data=lambda: {
                "column": [each.name for each in found for _ in each.categories or ()],
                "category": [name for each in found for name in each.categories or ()],
                "share in training": np.concatenate([each.before for each in found]),
                "share in this run": np.concatenate([each.after for each in found]),
            },
        )
    ]


def _largest_step(each: FeatureDrift) -> str:
    code = int(np.argmax(np.abs(each.after - each.before)))
    return f"{(each.categories or ())[code]} {each.before[code]:.1%} to {each.after[code]:.1%}"


def _unseen(drift: Drift) -> str:
    """The changes that the index does not show."""
    empty = [each.name for each in drift.untold if np.isnan(each.index)]
    coarse = [each.name for each in drift.untold if not np.isnan(each.index)]
    missing = [
        f"{each.name} {each.missing_before:.2%} to {each.missing_after:.2%}"
        for each in drift.features
        if each.missing_index >= STABLE
    ]
    beyond = [each for each in drift.features if each.outside >= OUTSIDE]
    outside = [f"{each.name} {each.outside:.2%}" for each in beyond if each.categories is None]
    others = [f"{each.name} {each.outside:.2%}" for each in beyond if each.categories is not None]
    found = {
        f"{len(empty)} {UNTOLD}, without any value": empty,
        f"{len(coarse)} {UNTOLD} until the model is exported anew, as most values are in one of its bins": coarse,
        f"The share of missing values has moved in {len(missing)}": missing,
        f"Values are outside of the training range in {len(outside)}": outside,
        f"Values are none of the categories in {len(others)}": others,
    }
    return "".join(f" {what}: {_some(names)}." for what, names in found.items() if names)


def _some(texts: Sequence[str], limit: int = 10) -> str:
    """The first of the texts, and how many more there are."""
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more


Cells = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]


def _table_of_inputs(drift: Drift) -> Cells:
    outside = "outside of the training range"
    outside += ", or no category" if any(each.categories for each in drift.features) else ""
    head = ("feature", "index", "missing in training", "missing in this run", outside)
    return head, tuple(
        (each.name, _index(each), f"{each.missing_before:.2%}", f"{each.missing_after:.2%}", f"{each.outside:.2%}")
        for each in drift.features
    )


def _table_of_attributions(drift: Drift) -> Cells:
    head = ("feature", "index", "second half of the run against its first")
    return head, tuple(
        (each.name, _index(each), "" if np.isnan(each.halves) else f"{each.halves:.3f}") for each in drift.features
    )


def _index(each: FeatureDrift) -> str:
    return f"{each.index:.3f}" if each.is_told else UNTOLD
