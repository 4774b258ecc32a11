"""Merges the picks that divide one value among them into one split.

The query, key and value of an attention layer are picks of one product. Apart, each multiplier is padded to the whole
with zeros and then added; together, they are laid behind each other.
"""

from collections import defaultdict
from collections.abc import Sequence

from exporter.deepshap.program import Step, Value
from exporter.deepshap.rules.shape import Pick, Split


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
            made.append(Step(Split([_pick(steps, i) for i in splits[index]]), inputs))
            moved.update({Value(i, 0): Value(len(made), output) for output, i in enumerate(splits[index])})
        else:
            made.append(Step(step.rule, inputs))
            outputs = {value.output for other in steps for value in other.inputs if value.step == index} | {0}
            moved.update({Value(index, output): Value(len(made), output) for output in outputs})
    return made, moved[logits]


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
