"""A comparison as a document: for a terminal, a program, or a page in Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any

from whyport.batch.compare.figures import (
    Change,
    CompareReport,
    Comparison,
    ExplanationFigures,
    Figure,
    Matched,
    MatchedExplanation,
    RaisedAlarm,
)
from whyport.batch.review.document import Column, Fact, Section, Table, Words

UNMATCHED = "rows are not matched, only distributions are compared: --key COLUMN matches rows"

PSI = Column("psi", "PSI", format=".4f")
CHANCE = Column("psi_by_chance", "by chance", format=".4f")
DISTANCE = Column("wasserstein", "Wasserstein", format=".4g")
ERROR = Column("wasserstein_error", "± at most", format=".2g")
PLAIN = (
    Column("name", "name"),
    PSI,
    CHANCE,
    DISTANCE,
    ERROR,
    Column("mean_a", "mean in A", format=".5g"),
    Column("mean_b", "mean in B", format=".5g"),
    Column("missing_a", "missing in A", format=".2%"),
    Column("missing_b", "missing in B", format=".2%"),
)
REASONS = 3


def document_of(report: CompareReport, top: int | None = 20) -> Section:
    """The document of a report; `top` is the most rows of a table of features, None for all, and for the bins too."""
    blocks: list[Fact | Table | Words | Section] = []
    if len(report.comparisons) > 1:
        blocks.append(line_table(report.comparisons))
    blocks += [comparison_document(each, top) for each in report.comparisons]
    return Section(blocks=blocks)


def line_table(comparisons: Sequence[Comparison]) -> Table:
    """The largest moves, run by run: a line over the nights."""
    columns = [Column("run"), Column("rows")]
    for kind in comparisons[0].groups:
        columns += [Column(f"psi_{kind}", f"PSI of {kind}", format=".4f"), Column(f"most_{kind}", "of")]
    columns += [Column("strongest", "strongest reason"), Column("alarms")]
    rows = []
    for each in comparisons:
        row: list[Any] = [each.after, each.rows_after]
        for figures in each.groups.values():
            known = [figure for figure in figures if figure.psi == figure.psi]
            most = max(known, key=lambda figure: figure.psi) if known else None
            row += [None, None] if most is None else [most.psi, most.name]
        rows.append([*row, _strongest(each), ", ".join(alarm.name for alarm in each.alarms) or None])
    return Table("line", columns, rows, title=f"each run beside A, {comparisons[0].before}")


def _strongest(comparison: Comparison) -> str | None:
    """The feature with the largest mean |share| in B."""
    if not comparison.explanations:
        return None
    ranked = [each for each in comparison.explanations[0].features if each.shift is not None]
    return next((each.name for each in ranked if each.shift and each.shift.rank_after == 1), None)


def comparison_document(comparison: Comparison, top: int | None) -> Section:
    """The document of one comparison; `top` as in `document_of`."""
    rows = "" if comparison.rows_before is None else f", {comparison.rows_before} rows"
    blocks: list[Fact | Table | Words | Section] = [
        Fact("a", comparison.before, "A", f"{comparison.before}{rows}"),
        Fact("b", comparison.after, "B", f"{comparison.after}, {comparison.rows_after} rows"),
        Fact("rows_a", comparison.rows_before, words=()),
        Fact("rows_b", comparison.rows_after, words=()),
        Fact("notes", list(comparison.notes), "note", list(comparison.notes)),
        Fact("left_out", list(comparison.left_out), "left out", list(comparison.left_out)),
    ]
    if comparison.matched is None:
        blocks.append(Words([f"{'rows':11} {UNMATCHED}"]))
    blocks += [
        *_alarms(comparison.alarms, top),
        *_plain("predictions", "predictions", comparison.predictions, None if top is None else top),
        *_plain("inputs", "inputs, the one that moved most first", comparison.inputs, top),
        *_explanations(comparison.explanations, top),
        *_changes(comparison.changes, top),
        *_matched(comparison.matched, top),
    ]
    return Section("comparisons", "", blocks, is_one_of_many=True)


def _alarms(alarms: Sequence[RaisedAlarm], top: int | None) -> Iterator[Table]:
    columns = [Column("name", "alarm"), Column("value"), Column("limit"), Column("where", "of")]
    rows = [(alarm.name, alarm.value, alarm.limit, alarm.where) for alarm in alarms]
    if rows or top is None:
        yield Table("alarms", columns, rows, title="alarms")


def _plain(key: str, title: str, figures: Sequence[Figure], top: int | None) -> Iterator[Table]:
    """The figures of predictions or inputs."""
    rows = [_cells(each) for each in figures]
    if top is None:
        yield Table(
            key, [*PLAIN, *_bin_columns()], [[*row, *_bins(each)] for row, each in zip(rows, figures, strict=True)]
        )
    elif rows:
        yield Table(key, PLAIN, rows[:top], title=title, note=_more(len(rows), top))


def _cells(each: Figure) -> list[Any]:
    return [
        each.name,
        each.psi,
        each.by_chance,
        each.wasserstein,
        each.wasserstein_error,
        each.mean_before,
        each.mean_after,
        each.missing_before,
        each.missing_after,
    ]


def _bin_columns() -> list[Column]:
    return [Column(key) for key in ("psi_chance_limit", "edges", "bins", "shares_a", "shares_b")]


def _bins(each: Figure) -> list[Any]:
    return [each.chance_limit, each.edges, each.bins, each.before, each.after]


def _explanations(explanations: Sequence[ExplanationFigures], top: int | None) -> Iterator[Table | Section]:
    if len(explanations) > 1 and top is not None:
        yield _side_by_side(explanations, top)
    for each in explanations:
        yield _explanation(each, top)


def _side_by_side(explanations: Sequence[ExplanationFigures], top: int) -> Table:
    """The index of each feature by several explanations."""
    names = dict.fromkeys(figure.name for each in explanations for figure in each.features)
    found = [{figure.name: figure.psi for figure in each.features} for each in explanations]
    rows = [[name, *(own.get(name) for own in found)] for name in names]
    columns = [Column("feature"), *(Column(each.title, format=".4f") for each in explanations)]
    title = "PSI of shares, by explanation"
    return Table("side_by_side", columns, rows[:top], title=title, note=_more(len(rows), top))


def _explanation(each: ExplanationFigures, top: int | None) -> Section:
    columns = [
        Column("feature"),
        PSI,
        CHANCE,
        DISTANCE,
        ERROR,
        Column("mean_magnitude_a", "mean |share| in A", format=".5g"),
        Column("mean_magnitude_b", "in B", format=".5g"),
        Column("change", format="+.3g"),
        Column("low", "95 % from", format="+.3g"),
        Column("high", "to", format="+.3g"),
        Column("rank_a", "rank in A"),
        Column("rank_b", "in B"),
    ]
    rows = [_share_cells(figure) for figure in each.features]
    if top is None:
        columns += [Column("standard_error"), *_bin_columns()]
        rows = [
            [*row, figure.shift and figure.shift.standard_error, *_bins(figure)]
            for row, figure in zip(rows, each.features, strict=True)
        ]
    title = f"shares by {each.title}, in {each.unit}: {each.rows_before} rows of A, {each.rows_after} of B"
    note = "" if top is None else _more(len(rows), top)
    facts = [
        Fact("method", each.method, words=()),
        Fact("target", each.target or None, words=()),
        Fact("unit", each.unit, words=()),
        Fact("rows_a", each.rows_before, words=()),
        Fact("rows_b", each.rows_after, words=()),
    ]
    table = Table("features", columns, rows if top is None else rows[:top], note=note)
    return Section("explanations", title, [*facts, table], is_one_of_many=True)


def _share_cells(figure: Figure) -> list[Any]:
    shift = figure.shift
    moved = (
        [None] * 7
        if shift is None
        else [
            shift.before,
            shift.after,
            shift.change,
            shift.low,
            shift.high,
            shift.rank_before,
            shift.rank_after,
        ]
    )
    return [figure.name, figure.psi, figure.by_chance, figure.wasserstein, figure.wasserstein_error, *moved]


def _changes(changes: Sequence[Change], top: int | None) -> Iterator[Table]:
    columns = [Column("kind"), Column("name"), Column("state", "in B")]
    rows = [(each.kind, each.name, "appeared" if each.appeared else "vanished") for each in changes]
    if rows or top is None:
        shown = rows if top is None else rows[:top]
        note = "" if top is None else _more(len(rows), top)
        yield Table("changes", columns, shown, title="appeared and vanished", note=note)


def _matched(matched: Matched | None, top: int | None) -> Iterator[Section]:
    if matched is None:
        return
    sides = (
        ("A", matched.only_before, matched.examples_before, matched.without_key[0]),
        ("B", matched.only_after, matched.examples_after, matched.without_key[1]),
    )
    blocks: list[Fact | Table | Words | Section] = [
        Fact("key", matched.key, "matched by", f"{matched.key}: {matched.pairs} rows in both"),
        Fact("pairs", matched.pairs, words=()),
    ]
    for name, only, examples, without in sides:
        some = f": {', '.join(examples)}{', …' if only > len(examples) else ''}" if examples else ""
        blocks.append(Fact(f"only_{name.lower()}", only, f"only in {name}", f"{only} rows{some}"))
        blocks.append(Fact(f"examples_only_{name.lower()}", list(examples), words=()))
        told = f"{without} rows, which are not matched" if without else ()
        blocks.append(Fact(f"without_key_{name.lower()}", without, f"no key in {name}", told))
    blocks += [_changed(each, top) for each in matched.explanations]
    yield Section("matched", "", blocks)


def _changed(each: MatchedExplanation, top: int | None) -> Section:
    title = f"{each.method}, {each.target}" if each.target else each.method
    columns = [
        Column("key"),
        Column("distance", "Σ |change of share|", format=".5g"),
        Column("prediction_a", "prediction in A"),
        Column("prediction_b", "in B"),
        Column("reasons", "largest changes"),
        Column("file_a", "file in A"),
        Column("row_a", "row"),
        Column("file_b", "file in B"),
        Column("row_b", "row"),
    ]
    rows = []
    for row in each.changed:
        words = "; ".join(f"{name} {one:+.3g} to {two:+.3g}" for name, one, two in row.reasons)
        told = [{"feature": name, "share_a": one, "share_b": two} for name, one, two in row.reasons]
        reasons = told if top is None else words
        changed = [row.key, row.distance, row.prediction_before, row.prediction_after, reasons]
        rows.append([*changed, *row.place_before, *row.place_after])
    mean = f"the mean of {each.rows} pairs is {each.mean_distance:.5g}" if each.rows else "no row is explained in both"
    facts = [
        Fact("method", each.method, words=()),
        Fact("target", each.target or None, words=()),
        Fact("rows", each.rows, words=()),
        Fact("mean_distance", each.mean_distance, words=()),
    ]
    heading = f"rows whose reasons changed most, by {title}: {mean}"
    return Section("explanations", heading, [*facts, Table("changed", columns, rows)], is_one_of_many=True)


def _more(count: int, top: int) -> str:
    return f"the first {top} of {count}" if count > top else ""
