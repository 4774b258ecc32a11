"""Whether explanations are sound, as a document: figures, definitions, and what each does not show."""

from collections.abc import Iterator, Sequence

from whyport.batch.faithfulness import infidelity, measure, stability
from whyport.batch.faithfulness.curves import FRACTIONS, RANDOM_ORDERS
from whyport.batch.faithfulness.faithfulness import Soundness
from whyport.batch.faithfulness.figures import Figures
from whyport.batch.faithfulness.measure import Measured
from whyport.batch.faithfulness.removal import MOST_REFERENCES
from whyport.batch.methods.catalogue import find_method
from whyport.batch.review.document import Column, Fact, Section, Table

DEFINITIONS = {
    "deletion": "players are replaced by references in the order of their shares; the area between the fall of the "
    f"score and that in {RANDOM_ORDERS} random orders, per share of the players. Rows with values that no row has "
    "may decide it.",
    "insertion": "the same, from references alone to the row. It does not show shares that cancel each other.",
    "infidelity": "the mean of (sum of the removed players' shares - fall of the score)² over "
    f"{infidelity.DRAWS} sets of players; relative: over the mean squared fall. Interactions that no sum of shares "
    "can have count in it, too.",
    "stability": f"the largest change of the shares over {stability.DRAWS} rows within {stability.RADIUS:g} standard "
    "deviations, by their size (max-sensitivity). Shares that never change are stable, and may be wrong.",
    "baseline": "rank correlation, and sum of |change| over sum of |share|, against another draw of the background or "
    "another baseline of the bundle. It does not show which baseline is the right one.",
    "agreement": "rank correlation, and the share of the strongest five that two methods have in common. Methods that "
    "agree may be wrong together; methods that answer different questions need not agree.",
    "randomisation": "rank correlation of the magnitudes with those of a network whose weights are shuffled in "
    "memory. Near 1, the explanation hardly depends on what was learned; near 0, it need not be right.",
    "error": "the standard error of a mean over explanations: draws and references add to it.",
}
"""The definition of each figure, with what it does not show."""


def soundness_document(found: Soundness) -> Section:
    """The document of a run's explanations."""
    blocks: list[Fact | Table | Section] = [
        Fact("run", str(found.run.folder.path)),
        Fact("rows", found.rows, words=f"{found.rows} explained rows, drawn with seed {found.seed}"),
        Fact("seed", found.seed, words=()),
        Fact("references", MOST_REFERENCES, words=f"at most {MOST_REFERENCES} for what is removed, drawn by weight"),
        _summary(list(found.measured.values())),
    ]
    blocks += [_method(found, each) for each in found.measured.values()]
    if found.agreement:
        blocks.append(_agreement(found))
    words = [f"{name}: {text}" for name, text in DEFINITIONS.items()]
    blocks.append(Fact("definitions", DEFINITIONS, words=words))
    return Section("faithfulness", "Whether the explanations are sound", blocks)


def _summary(every: Sequence[Measured]) -> Table:
    columns = [Column("method"), Column("explanations"), Column("not_finite", "not finite")]
    columns += [
        Column(f"{name}_{what}", f"{name}{title}", format=".4g")
        for name in ("deletion", "insertion")
        for what, title in (("area", ""), ("error", " ±"))
    ]
    columns += [Column("infidelity", format=".4g"), Column("infidelity_error", "±", format=".4g")]
    columns += [Column("relative_infidelity", "relative", format=".4g")]
    columns += [Column("sensitivity", "max-sensitivity", format=".4g"), Column("sensitivity_error", "±", format=".4g")]
    rows = []
    for each in every:
        areas = [number for name in ("deletion", "insertion") for number in _pair(each.curves.areas[name])]
        infidelity_of = [*_pair(each.infidelity.absolute), each.infidelity.relative.mean]
        rows.append(
            [each.method, each.explanations, each.not_finite, *areas, *infidelity_of, *_pair(each.stability.figures)]
        )
    return Table("methods", columns, rows, "by method")


def _pair(figures: Figures) -> list[float | None]:
    return [figures.mean, figures.error]


def _method(found: Soundness, each: Measured) -> Section:
    """The figures of one method beside the summary."""
    unit = find_method(each.method).unit_of(found.run.task.unit)
    order = "by share, the largest first" if each.curves.signed else "by magnitude, and changes of the score as such"
    blocks: list[Fact | Table] = [Fact("method", each.method), Fact("unit", unit), Fact("order", order)]
    blocks += [*_curves(each), *_baselines(found, each), *_randomised(each)]
    blocks += [
        Fact(f"left_out.{name}", reason, "left out", f"{name}: {reason}") for name, reason in each.left_out.items()
    ]
    return Section("details", each.method, blocks, is_one_of_many=True)


def _curves(each: Measured) -> Iterator[Table]:
    means = each.curves.means
    if not means:
        return
    columns = [Column("fraction", "players removed or put back", format=".0%")]
    columns += [Column(name, name.replace("_", ", "), format=".4g") for name in means]
    rows = [[float(f), *(float(curve[i]) for curve in means.values())] for i, f in enumerate(FRACTIONS)]
    title = "fall (deletion) and rise (insertion) of the score, mean"
    yield Table("curves", columns, rows, title, lines=_quarters(columns, rows))


def _baselines(found: Soundness, each: Measured) -> Iterator[Table]:
    others = {"another draw of the background": each.draw, **found.baselines.get(each.method, {})}
    there = {name: own for name, own in others.items() if own["spearman"].values}
    if not there:
        return
    columns = [Column("against"), *_with_error("spearman", "rank correlation")]
    columns += _with_error("relative_l1", "relative L1")
    rows = [[name, *_pair(own["spearman"]), *_pair(own["relative_l1"])] for name, own in there.items()]
    yield Table(measure.BASELINE, columns, rows, "sensitivity to the baseline")


def _randomised(each: Measured) -> Iterator[Table]:
    if not each.randomised:
        return
    columns = [Column("shuffled"), *_with_error("spearman", "rank correlation")]
    columns.append(Column("layers", "tensors of weights", words=lambda names: str(len(names))))
    rows = [[level, *_pair(own), each.layers[level]] for level, own in each.randomised.items()]
    yield Table(measure.RANDOMISATION, columns, rows, "with shuffled weights")


def _with_error(key: str, title: str) -> list[Column]:
    """A column of means, and one of their standard errors."""
    return [Column(key, title, format=".4f"), Column(f"{key}_error", "±", format=".4f")]


def _quarters(columns: Sequence[Column], rows: Sequence[Sequence[float]]) -> list[str]:
    """Every fifth step of the curves, for a terminal."""
    heads = [column.heading for column in columns]
    lines = ["  " + "  ".join(heads)]
    for row in rows[::5]:
        cells = [f"{row[0]:.0%}".rjust(len(heads[0]))]
        cells += [f"{value:.4g}".rjust(max(len(head), 9)) for value, head in zip(row[1:], heads[1:], strict=True)]
        lines.append("  " + "  ".join(cells))
    return lines


def _agreement(found: Soundness) -> Table:
    columns = [Column("one"), Column("other"), *_with_error("spearman", "rank correlation")]
    columns += _with_error("overlap", "strongest in common")
    rows = [[*pair, *_pair(own["spearman"]), *_pair(own["overlap"])] for pair, own in found.agreement.items()]
    return Table("agreement", columns, rows, "agreement between the methods")
