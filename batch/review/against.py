"""Two rows beside each other: the differences of their shares, which add up to that of their scores."""

from collections.abc import Iterator

from whyport.batch.review.document import Column, Fact, Section, Table
from whyport.batch.review.explained_row import ExplainedRow, explanations_of
from whyport.batch.review.row_values import Value
from whyport.batch.review.show import SHARE_FORMAT, FoundRow
from whyport.runtime.errors import UsageError


def check_comparable(found: FoundRow) -> None:
    """Raise UsageError for a row that cannot be set against another: a rejected one, or one with shares of its own.

    Segments of a picture and tokens of a text are each row's own: two rows have none in common.
    """
    if found.is_rejected:
        raise UsageError(f"against: expected rows with a prediction, got a rejected one: {found.title}")
    settings = found.run.settings
    if not settings.methods:
        raise UsageError("against: expected a run with --explain, got one that predicts alone")
    columns = found.run.columns
    if columns.tokens.inputs or columns.layout.positions.segmented:
        kind = "tokens" if columns.tokens.inputs else "segments"
        raise UsageError(f"against: each row has {kind} of its own, whose shares have no other to be compared with")


def difference_sections(one: FoundRow, other: FoundRow, top: int) -> Iterator[Section]:
    """The difference of two rows by method and target, largest differences first.

    Args:
        one: the row that is looked at.
        other: the row that it is set against.
        top: how many features to give of each.

    Raises UsageError for rows that cannot be compared.
    """
    for each in (one, other):
        check_comparable(each)
    pairs = zip(explanations_of(one.table, one.run), explanations_of(other.table, other.run), strict=True)
    for here, there in pairs:
        if not isinstance(here, ExplainedRow) or not isinstance(there, ExplainedRow):
            lacking = other if isinstance(here, ExplainedRow) else one
            yield _refused(here.method, other, f"{lacking.title} is not explained")
        elif here.target != there.target:
            words = (
                f"explained for {here.target} here, and for {there.target} there: scores of two targets do not compare"
            )
            yield _refused(here.method, other, words)
        elif not (here.is_finite and there.is_finite):
            yield _refused(here.method, other, "attributions are not finite")
        else:
            yield _difference(one, other, here, there, top)


def _refused(method: str, other: FoundRow, words: str) -> Section:
    facts = [*_identity(method, other), Fact("not_compared", words, words=())]
    return Section("against", f"{method}, against {other.title}: not compared: {words}", facts, is_one_of_many=True)


def _identity(method: str, other: FoundRow) -> list[Fact]:
    source = other.run.inputs[other.index].source_file
    values = {"method": method, "source_file": source, "source_row": other.row}
    return [Fact(key, value, words=()) for key, value in values.items()]


def _difference(one: FoundRow, other: FoundRow, here: ExplainedRow, there: ExplainedRow, top: int) -> Section:
    shares = [dict(zip(each.features, each.shares.tolist(), strict=True)) for each in (here, there)]
    # A row that lacks a step has no share of it; of the strongest alone, the others' shares are not known.
    all_kept = here.is_complete and there.is_complete
    names = list(dict.fromkeys([*here.features, *there.features]))
    if not all_kept:
        names = [name for name in names if name in shares[0] and name in shares[1]]
    apart = {name: shares[0].get(name, 0.0) - shares[1].get(name, 0.0) for name in names}
    chosen = sorted(names, key=lambda name: -abs(apart[name]))[:top]
    values = [each.inputs.known(chosen) for each in (one, other)]
    columns = [
        Column("difference", "difference", here.unit, SHARE_FORMAT),
        Column("feature"),
        Column("value"),
        Column("value_of_other", "value there"),
        Column("unit"),
        Column("share", "share", here.unit, SHARE_FORMAT),
        Column("share_of_other", "share there", here.unit, SHARE_FORMAT),
    ]
    rows = []
    for name in chosen:
        mine, its = values[0].get(name), values[1].get(name)
        unit = next((each.unit for each in (mine, its) if each is not None), None)
        own = [shares[0].get(name), shares[1].get(name)]
        rows.append([apart[name], name, _value(mine), _value(its), unit, *own])
    title = f"{here.method}, {one.run.task.target} {here.target}, against {other.title}"
    facts = [*_identity(here.method, other), Fact("target", here.target, words=())]
    adds_up = here.base_value is not None and there.base_value is not None
    rest = None
    if adds_up:
        line, facts = f"{title}: {_sum_words(here, there)}", [*facts, *_sum_facts(here, there)]
        rest = (here.total - there.total) - sum(apart[name] for name in chosen)
    else:
        line = f"{title}: scores {here.score:+.4g} and {there.score:+.4g}"
        facts += [Fact("score", here.score, words=()), Fact("score_of_other", there.score, words=())]
    count = len(names) - len(chosen) if all_kept else None
    note = _note(rest, count)
    facts += [Fact("others", count, words=()), Fact("difference_of_others", rest, words=())]
    problem = next((each for each in (one.inputs.problem, other.inputs.problem) if each), "")
    blocks: list[Fact | Table] = [*facts, Table("differences", columns, rows, note=note)]
    if problem:
        blocks.append(Fact("values_problem", problem, "values", f"not shown: {problem}"))
    return Section("against", line, blocks, is_one_of_many=True)


def _sum_words(here: ExplainedRow, there: ExplainedRow) -> str:
    assert here.base_value is not None
    assert there.base_value is not None
    words = f"scores {here.score:+.4g} - {there.score:+.4g} = {here.score - there.score:+.4g} "
    moved = here.base_value - there.base_value
    words += f"= base values {moved:+.4g} + shares {here.total - there.total:+.4g}" if moved else ""
    words += f"= differences {here.total - there.total:+.4g}" if not moved else ""
    off = abs((here.score - there.score) - moved - (here.total - there.total))
    if not (here.is_complete and there.is_complete):  # the sums are not those of what was kept
        errors = [each.completeness_error or 0.0 for each in (here, there)]
        return f"{words} (off by at most {sum(errors):.2g} {here.score_unit})"
    return f"{words} (off by {off:.2g} {here.score_unit})"


def _sum_facts(here: ExplainedRow, there: ExplainedRow) -> list[Fact]:
    assert here.base_value is not None
    assert there.base_value is not None
    values = {
        "score": here.score,
        "score_of_other": there.score,
        "difference_of_scores": here.score - there.score,
        "difference_of_base_values": here.base_value - there.base_value,
        "difference_of_shares": here.total - there.total,
    }
    return [Fact(key, value, words=()) for key, value in values.items()]


def _note(rest: float | None, count: int | None) -> str:
    """The sum of the features that are not shown."""
    if count == 0:
        return ""
    others = "others" if count is None else f"{count} others"
    return others if rest is None else f"{rest:{SHARE_FORMAT}}  {others} together"


def _value(value: Value | None) -> object:
    return None if value is None else value.value
