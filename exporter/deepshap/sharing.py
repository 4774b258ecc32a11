"""Which divisions and choices take what shares features.

A feature reaches a value that is NaN when it is. It is shared where it reaches two inputs of a step.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from whyport.exporter.deepshap.program import Program, Step, Value
from whyport.exporter.deepshap.rules.choice import Branch
from whyport.exporter.deepshap.rules.division import Division

GROUPS_AT_A_TIME = 64
GROUP_VALUES = 1 << 22
"""Cells of the groups that are tried at a time: fewer groups of long rows."""


def find_shared(program: Program, features: int) -> None:
    """Tell each division and each choice where its inputs depend on a common feature.

    A group of features reaches at least what each of them does. So some features are tried alone first, then all in
    groups: a group that shares nothing new needs no closer look, and any other is halved.

    Args:
        program: of cells [N, features].
        features: the number of a row's cells.
    """
    rules = [step.rule for step in program.steps]
    told = [step for step in program.steps if isinstance(step.rule, (Branch, Division)) and len(step.inputs) > 1]
    if any(isinstance(rule, Branch) for rule in rules):
        for rule in rules:
            if isinstance(rule, Division):
                rule.guard()
    if not told:
        return
    at_a_time = max(1, min(features, GROUPS_AT_A_TIME, GROUP_VALUES // features))
    groups = list(torch.arange(features).tensor_split(at_a_time))
    groups += [group[:1] for group in groups if len(group) > 1]
    shared: list[Tensor] = []
    while groups:
        groups, tried = groups[:-at_a_time], groups[-at_a_time:]
        reached = list(_shared_by(program, told, features, tried))
        alone = torch.tensor([len(group) == 1 for group in tried])
        known = [each[alone].any(0) for each in reached]
        shared = [one | other for one, other in zip(known, shared or known, strict=True)]
        news = [(each & ~every).flatten(1).any(1) for each, every in zip(reached, shared, strict=True)]
        for group, is_new in zip(tried, torch.stack(news).any(0).tolist(), strict=True):
            groups += group.tensor_split(2) if is_new else ()
    found = iter(shared)
    for step in told:
        assert isinstance(step.rule, (Branch, Division))
        step.rule.share([next(found) for _ in range(len(step.inputs) - 1)])


def _shared_by(program: Program, told: Sequence[Step], features: int, groups: Sequence[Tensor]) -> Iterator[Tensor]:
    """Where groups of features reach both the first input of a step and another, [groups, *shape] of each other."""
    rows = torch.linspace(0.5, 1.5, features, dtype=program.identity.dtype).repeat(len(groups), 1)
    for row, group in zip(rows, groups, strict=True):
        row[group] = torch.nan
    last_use = {value: index for index, step in enumerate(program.steps, start=1) for value in step.inputs}
    values, waiting = {Value(0, 0): rows.unsqueeze(1)}, list(told)
    for index, step in enumerate(program.steps, start=1):
        if step is waiting[0]:
            assert isinstance(step.rule, (Branch, Division))
            yield from step.rule.common([values[value].isnan() for value in step.inputs])
            del waiting[0]
            if not waiting:
                return
        outputs = step.rule.probe([values[value] for value in step.inputs])
        values.update({Value(index, i): output for i, output in enumerate(outputs)})
        values = {value: kept for value, kept in values.items() if last_use.get(value, 0) > index}
