"""The groups of a run as a document: figures, intervals and definitions, and no verdict."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from whyport.batch.groups import fairness
from whyport.batch.groups.fairness import Cells, Disparity
from whyport.batch.groups.groups import GroupedRun
from whyport.batch.groups.intervals import Estimate, rate
from whyport.batch.groups.tallies import BINS, ClassTally, QuantityTally
from whyport.batch.methods.catalogue import find_method
from whyport.batch.review.document import NOTHING, Column, Fact, Section, Table

RATES = {
    "selection_rate": "selection rate",
    "accuracy": "accuracy",
    "false_positive_rate": "false positive rate",
    "false_negative_rate": "false negative rate",
    "true_positive_rate": "true positive rate",
    "precision": "precision",
}
DEFINITIONS = {
    "selection rate": "rows predicted as the class / rows; it needs no truth",
    "accuracy": "rows whose prediction is right, one class against the rest / rows with a truth",
    "false positive rate": "rows of another class predicted as the class / rows of another class",
    "false negative rate": "rows of the class predicted as another / rows of the class",
    "true positive rate": "rows of the class predicted as it / rows of the class",
    "precision": "rows of the class predicted as it / rows predicted as the class",
    "calibration": "in each tenth of predicted probability, its mean against the share of rows of the class",
    "interval": "95 %: Wilson's for rates; the mean ± 1.96 standard errors for means",
    "small": "a group of fewer rows than --small-group: its figures move with a few rows",
}
OF_QUANTITIES = {
    "bias": "the mean of measured - predicted",
    "mean absolute error": "the mean of |measured - predicted|",
    "interval": DEFINITIONS["interval"],
    "small": DEFINITIONS["small"],
}
CLASS_ONLY = "selection rates, error rates, calibration and the figures of fairness: the model predicts no classes"


def group_document(found: GroupedRun) -> Section:
    """The document of a run's groups."""
    tally = found.tally
    blocks: list[Fact | Table | Section] = [*_facts(found)]
    if isinstance(tally, ClassTally):
        blocks += [_class_section(found, tally, s, name) for s, name in enumerate(found.shown)]
        definitions = DEFINITIONS | {name: f"compares {text}" for name, text in fairness.DEFINITIONS.items()}
    elif isinstance(tally, QuantityTally):
        blocks.append(Fact("left_out", CLASS_ONLY, "left out"))
        blocks += [_target_section(found, tally, k, name) for k, name in enumerate(tally.targets)]
        definitions = OF_QUANTITIES
    blocks += _share_sections(found)
    words = [f"{name}: {text}" for name, text in definitions.items()]
    blocks.append(Fact("definitions", definitions, "definitions", words))
    return Section("groups", f"groups by {found.settings.by}", blocks)


def _facts(found: GroupedRun) -> list[Fact]:
    settings, tally, truth = found.settings, found.tally, found.truth
    rows, known = int(tally.rows.sum()), int(tally.known.sum())
    facts = [
        Fact("run", str(found.run.folder.path)),
        Fact("by", settings.by),
        Fact("rows", rows),
        Fact("groups", len(found.order)),
        Fact("small_group", settings.small_group, "small", f"a group of fewer than {settings.small_group} rows"),
        Fact("truth", truth.origin or None, words=truth.origin or "none: the figures that need it are left out"),
    ]
    if truth.is_known:
        facts.append(Fact("rows_with_truth", known, "with truth"))
    if isinstance(tally, ClassTally) and tally.no_class:
        facts.append(Fact("truths_of_no_class", tally.no_class, "no class", f"{tally.no_class} truths name no class"))
    if truth.key:
        counts = found.counts
        facts += [
            Fact("key", truth.key),
            Fact("matched", counts.matched, words=f"{counts.matched} rows with a label"),
            Fact("rows_without_label", counts.rows_without_label, "unmatched", f"{counts.rows_without_label} rows"),
            Fact("labels_without_row", counts.labels_without_row, "unmatched", f"{counts.labels_without_row} labels"),
            Fact("rows_without_key", counts.rows_without_key, "no key", f"{counts.rows_without_key} rows"),
            Fact("labels_without_key", counts.labels_without_key, "no key", f"{counts.labels_without_key} labels"),
        ]
    return facts


def _class_section(found: GroupedRun, tally: ClassTally, place: int, name: str) -> Section:
    """One class against the rest."""
    k = tally.classes.index(name)
    blocks: list[Fact | Table | Section] = [Fact("class", name, words=_choice(found, name))]
    blocks += [_rates(found, tally, k), *_disparities(found, tally, k)]
    if len(tally.in_bin):
        blocks += _calibration(found, tally, place)
    return Section("classes", f"class {name}, against the rest", blocks, is_one_of_many=True)


def _choice(found: GroupedRun, name: str) -> str:
    if found.settings.favourable is not None:
        return f"{name}, the favourable one"
    if len(found.shown) == 1:
        return f"{name}, the last of two; --favourable names the other"
    return name


def _rates(found: GroupedRun, tally: ClassTally, k: int) -> Table:
    cells = _cells(tally, k)
    rows = []
    for code in found.order:
        count, own = int(tally.rows[code]), [int(each[code]) for each in vars(cells).values()]
        hits, misses, alarms, others = own
        figures = {"selection_rate": rate(tally.predicted[code, k], count)}
        if found.truth.is_known:
            figures |= {
                "accuracy": rate(hits + others, sum(own)),
                "false_positive_rate": rate(alarms, alarms + others),
                "false_negative_rate": rate(misses, hits + misses),
                "true_positive_rate": rate(hits, hits + misses),
                "precision": rate(hits, hits + alarms),
            }
        numbers = [figure.record for figure in figures.values()]
        rows.append([found.names[code], count, count < found.settings.small_group, sum(own), *numbers])
    names = RATES if found.truth.is_known else {"selection_rate": RATES["selection_rate"]}
    columns = [*_heads(), Column("rows_with_truth", "with truth")]
    columns += [_figure(key, title) for key, title in names.items()]
    return Table("rates", columns, rows, "rates by group")


def _heads() -> list[Column]:
    return [Column("group"), Column("rows"), Column("small")]


def _figure(key: str, title: str, format: str = ".3f") -> Column:
    """A column of figures with their intervals."""
    return Column(key, title, words=partial(_in_words, format))


def _in_words(format: str, record: Mapping[str, float | None]) -> str:
    """A figure with its interval in brackets."""
    value, low, high = record["value"], record["low"], record["high"]
    if value is None:
        return NOTHING
    text = f"{value:{format}}"
    return text if low is None or high is None else f"{text} [{low:{format}}, {high:{format}}]"


def _cells(tally: ClassTally, k: int) -> Cells:
    hits, true, predicted = tally.hits[:, k], tally.true[:, k], tally.known_predicted[:, k]
    return Cells(hits, true - hits, predicted - hits, tally.known - true - predicted + hits)


def _disparities(found: GroupedRun, tally: ClassTally, k: int) -> list[Table]:
    """The figures of fairness over all groups, and without the small ones where there are any."""
    codes = list(found.order)
    large = [code for code in codes if tally.rows[code] >= found.settings.small_group]
    tables = [_disparity_table(found, tally, k, codes, "fairness", "between the groups")]
    if len(large) < len(codes):
        tables.append(_disparity_table(found, tally, k, large, "fairness_without_small", "without the small groups"))
    return tables


def _disparity_table(found: GroupedRun, tally: ClassTally, k: int, codes: Sequence[int], key: str, title: str) -> Table:
    chosen = list(codes)
    disparities = [fairness.demographic_parity(tally.predicted[chosen, k], tally.rows[chosen])]
    disparities += fairness.with_truth(_cells(tally, k).of(chosen)) if found.truth.is_known else []
    columns = [Column("figure"), Column("difference", format=".4f"), Column("ratio", format=".4f")]
    columns += [Column("groups"), Column("left_out", "left out")]
    return Table(key, columns, [_disparity_row(found, each, chosen) for each in disparities], title)


def _disparity_row(found: GroupedRun, each: Disparity, codes: Sequence[int]) -> list[Any]:
    left_out = ", ".join(found.names[codes[i]] for i in each.left_out)
    return [each.name, each.difference, each.ratio, each.groups, left_out or None]


def _calibration(found: GroupedRun, tally: ClassTally, s: int) -> list[Table]:
    rows = []
    for code in found.order:
        for b in np.flatnonzero(tally.in_bin[s, code]):
            count, known = int(tally.in_bin[s, code, b]), int(tally.known_in_bin[s, code, b])
            observed = rate(tally.true_in_bin[s, code, b], known)
            predicted = tally.chance_in_bin[s, code, b] / count
            of_known = tally.known_chance_in_bin[s, code, b] / known if known else None
            places = [found.names[code], f"{b / BINS:.1f} to {(b + 1) / BINS:.1f}", count, float(predicted)]
            rows.append([*places, *([known, of_known, observed.record] if found.truth.is_known else [])])
    columns = [Column("group"), Column("bin", "predicted"), Column("rows"), Column("mean_predicted", "mean predicted")]
    if found.truth.is_known:
        columns += [Column("rows_with_truth", "with truth"), Column("mean_predicted_with_truth", "their mean")]
        columns.append(_figure("observed", "observed"))
    title = "calibration by group" if found.truth.is_known else "predicted probability by group"
    return [Table("calibration", columns, rows, title)]


def _target_section(found: GroupedRun, tally: QuantityTally, k: int, name: str) -> Section:
    """One predicted quantity."""
    rows = []
    measured = found.truth.is_known and found.truth.columns[k] is not None
    for code in found.order:
        count, errors = int(tally.rows[code]), tally.errors[k]
        cells: list[Any] = [found.names[code], count, count < found.settings.small_group]
        cells.append(tally.predictions[k].of(code).record)
        if measured:
            squared = errors.of(code, 3).value
            root = None if squared is None else float(np.sqrt(squared))
            cells += [int(errors.rows[code])]
            cells += [errors.of(code, place).record for place in range(3)]
            cells.append(root)
        rows.append(cells)
    columns = [*_heads(), _figure("mean_prediction", "mean prediction", ".6g")]
    if measured:
        columns.append(Column("rows_with_truth", "with truth"))
        figures = {"mean_measured": "mean measured", "bias": "bias", "mean_absolute_error": "mean absolute error"}
        columns += [_figure(key, title, ".6g") for key, title in figures.items()]
        columns.append(Column("root_mean_squared_error", "root mean squared error"))
    unit = found.run.task.unit_of(name)
    table = Table("errors", columns, rows, "predictions by group")
    blocks: list[Fact | Table] = [Fact("target", name), Fact("unit", unit), table]
    return Section("targets", f"target {name}", blocks, is_one_of_many=True)


def _share_sections(found: GroupedRun) -> list[Fact | Section]:
    shares = found.shares
    blocks: list[Fact | Section] = []
    if not shares.found:
        return [Fact("shares", None, words="none: the run explained no row")]
    if shares.others:
        others = sorted(shares.others)
        blocks.append(Fact("targets_left_out", others, "left out", f"the shares of {len(others)} other targets"))
    if found.run.settings.top_k is not None:
        kept = "the run kept each row's strongest shares alone; the others count as 0"
        blocks.append(Fact("shares_kept", found.run.settings.top_k, "shares", kept))
    for each in shares.found:
        strength = [
            sum((each.absolute.of(code, f).value or 0.0) * each.absolute.rows[code] for code in found.order)
            for f in range(len(shares.features))
        ]
        rows = []
        for f in np.argsort(-np.array(strength), kind="stable").tolist():
            for code in found.order:
                count = int(each.signed.rows[code])
                figures = (each.signed.of(code, f), each.absolute.of(code, f)) if count else (Estimate(None),) * 2
                small = count < found.settings.small_group
                numbers = [figure.record for figure in figures]
                rows.append([shares.features[f], found.names[code], count, small, *numbers])
        columns = [Column("feature"), Column("group"), Column("rows"), Column("small")]
        columns.append(_figure("mean_share", "mean share", "+.4g"))
        columns.append(_figure("mean_magnitude", "mean |share|", ".4g"))
        unit = find_method(each.method).unit_of(found.run.task.unit_of(each.target))
        facts = [Fact("method", each.method), Fact("target", each.target), Fact("unit", unit)]
        words = (f"{each.left_out} that are not finite",) if each.left_out else ()
        facts.append(Fact("not_finite", each.left_out, "left out", words))
        table = Table("by_feature", columns, rows, "mean share by feature and group, the strongest feature first")
        title = f"shares by {each.method} in {each.target}"
        inner: list[Fact | Table] = [*facts, table]
        blocks.append(Section("shares", title, inner, is_one_of_many=True))
    return blocks
