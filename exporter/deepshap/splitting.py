"""Merges the picks that divide one value among them into one split.

The query, key and value of an attention layer are picks of one product. Apart, each multiplier is padded to the whole
with zeros and then added; together, they are laid behind each other. The split moves ahead of the reshapes that lead to
it: then they are laid as the product's columns are, and copied once.
"""

from collections import defaultdict
from collections.abc import Sequence

from whyport.exporter.deepshap.program import Step, Value
from whyport.exporter.deepshap.rules.rule import LinearRule
from whyport.exporter.deepshap.rules.shape import Permute, Pick, Reshape, Split


def merge_picks(steps: Sequence[Step], logits: Value) -> tuple[list[Step], Value]:
    """The same program with a split in the place of the first of its picks; and where the logits are now."""
    picks: dict[tuple[Value, int], list[int]] = defaultdict(list)
    for index, step in enumerate(steps, start=1):
        if isinstance(step.rule, Pick):
            picks[step.inputs[0], step.rule.axis].append(index)
    splits = {indices[0]: ordered for indices in picks.values() if (ordered := _covering(steps, indices))}
    merged = {index for indices in splits.values() for index in indices}
    made: list[Step] = []
    moved = {Value(0, 0): Value(0, 0)}
    for index, step in enumerate(steps, start=1):
        if index in merged and index not in splits:
            continue
        inputs = tuple(moved[value] for value in step.inputs)
        if index in splits:
            parts, value, behind = _ahead([_pick(steps, i) for i in splits[index]], inputs[0], made)
            made.append(Step(Split(parts), (value,)))
            split = len(made)
            for output, i in enumerate(splits[index]):
                moved[Value(i, 0)] = Value(split, output)
                for rule in behind[output]:
                    made.append(Step(rule, (moved[Value(i, 0)],)))
                    moved[Value(i, 0)] = Value(len(made), 0)
        else:
            made.append(Step(step.rule, inputs))
            outputs = {value.output for other in steps for value in other.inputs if value.step == index} | {0}
            moved.update({Value(index, output): Value(len(made), output) for output in outputs})
    return made, moved[logits]


def _ahead(
    picks: list[Pick], value: Value, steps: Sequence[Step]
) -> tuple[list[Pick], Value, list[tuple[LinearRule, ...]]]:
    """The picks ahead of the reshapes that make `value`, what they pick from there, and the reshapes behind each."""
    behind: list[tuple[LinearRule, ...]] = [()] * len(picks)
    while value.step and isinstance(rule := steps[value.step - 1].rule, (Permute, Reshape)):
        moved = [ahead for pick in picks if (ahead := pick.ahead_of(rule))]
        if len(moved) < len(picks):
            break
        picks = [first for first, *_ in moved]
        behind = [(*rest, *others) for (_, *rest), others in zip(moved, behind, strict=True)]
        (value,) = steps[value.step - 1].inputs
    return picks, value, behind


def _covering(steps: Sequence[Step], indices: Sequence[int]) -> list[int]:
    """The picks in the order of their ranges if these cover the axis, each position once; otherwise none."""
    ordered = sorted(indices, key=lambda index: _pick(steps, index).start)
    end = 0
    for index in ordered:
        pick = _pick(steps, index)
        if pick.start != end:
            return []
        end += pick.length
    first = _pick(steps, ordered[0])
    return ordered if len(ordered) > 1 and end == first.given[first.axis] else []


def _pick(steps: Sequence[Step], index: int) -> Pick:
    rule = steps[index - 1].rule
    assert isinstance(rule, Pick)
    return rule
