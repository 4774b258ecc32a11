"""The section on whether the run can be trusted: errors, rejected rows and drift."""

import numpy as np

from whyport.batch.report.figures.plots import counts_figure, drift_figure, errors_figure
from whyport.batch.report.gather.drift import ATTRIBUTION_BINS, MOVED, STABLE, Drift
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Heading, Note, Picture, Section, Table

THRESHOLDS = f"Below {STABLE:g} is stable, above {MOVED:g} has moved, by custom."
TABLE_ROWS = 50


def trust_section(view: View, max_features: int) -> Section:
    """Errors, rejected rows and drift."""
    blocks: list[Block] = [*_errors(view), *_rejected(view), Heading("Drift", _formula())]
    if view.inputs is not None:
        blocks += _drift(view.inputs, "inputs", "Inputs against the training rows", _of_inputs(view), max_features)
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
                lambda: errors_figure(errors, view.run.task.unit),
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
            f"{each.not_converged / each.errors.total:.2%}",
        )
        for name, each in totals.items()
    )
    head = ("method", "rows", "explanations", f"worst error ({view.run.task.unit})", "not converged", "share")
    blocks.append(Table("Explanations that did not converge", head, rows, frozenset({1, 2, 3, 4, 5})))
    return blocks


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
                lambda: counts_figure(shown, "#e28a1b", "rejected rows"),
                tuple(shown),
            )
        )
        reasons = tuple((reason, f"{rows:,}") for reason, rows in report.rejected.items())
        blocks.append(Table("The reasons in full", ("reason", "rows"), reasons, frozenset({1})))
    if report.skipped:
        skipped = tuple((file.source_file, file.reason) for file in report.skipped)
        blocks.append(Table("Files that were skipped", ("file", "reason"), skipped))
    return blocks


def _formula() -> str:
    return (
        "The population stability index of a feature is Σ (a - e) ln(a / e) over bins, of the shares e expected and a "
        f"found (Siddiqi 2006). {THRESHOLDS}"
    )


def _of_inputs(view: View) -> str:
    rows = view.run.report.rows_in
    return (
        f"All {rows:,} rows of the inputs, in the deciles of the training rows that the bundle records; missing values "
        "are not binned, the table has their share."
    )


def _of_attributions(view: View, method: str, drift: Drift) -> str:
    reference = view.references[method]
    return (
        f"All explained rows against the bundle's {reference.rows} reference rows, explained by the same method and "
        f"settings, in {ATTRIBUTION_BINS} bins of equal weight. So few references reach about {drift.by_chance:.2g} "
        f"by chance (shaded). Another mix of {view.run.task.targets_title} moves it too. Where the references were "
        "chosen by hand, it says how far the run is from them."
    )


def _drift(drift: Drift, key: str, title: str, caption: str, limit: int) -> list[Block]:
    shown = drift.features[:limit]
    moved = [each for each in drift.features if each.index >= MOVED]
    watched = [each for each in drift.features if STABLE <= each.index < MOVED]
    unknown = [each for each in drift.features if np.isnan(each.index)]
    names = tuple(each.name for each in drift.features)
    some = "" if len(shown) == len(names) else f" The {len(shown)} features that moved most, of {len(names)}."
    is_inputs = key == "inputs"
    rows = tuple(
        (
            each.name,
            "" if np.isnan(each.index) else f"{each.index:.3f}",
            *(
                (f"{each.missing_before:.2%}", f"{each.missing_after:.2%}")
                if is_inputs
                else ("" if np.isnan(each.halves) else f"{each.halves:.3f}",)
            ),
        )
        for each in drift.features[:TABLE_ROWS]
    )
    head = (
        ("feature", "index", "missing in training", "missing in this run")
        if is_inputs
        else (
            "feature",
            "index",
            "second half of the run against its first",
        )
    )
    return [
        Picture(
            f"drift-{key}",
            title,
            caption + some,
            f"{len(moved)} of {len(names)} features have moved, {len(watched)} more are to be watched"
            + (f", {len(unknown)} have no values" if unknown else "")
            + ". Largest: "
            + ", ".join(f"{each.name} {each.index:.3g}" for each in shown[:5])
            + ".",
            lambda: drift_figure(shown, drift.by_chance),
            names[:limit],
        ),
        Table(
            f"{title}, ranked",
            head,
            rows,
            frozenset(range(1, len(head))),
            "" if len(rows) == len(names) else f"The first {len(rows)} of {len(names)} features.",
        ),
    ]
