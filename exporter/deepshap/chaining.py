"""Functions of one value whose result can be infinite, merged with the functions that follow."""

from collections.abc import Sequence

from whyport.exporter.deepshap.program import Step, Value, without_unused
from whyport.exporter.deepshap.rules.chain import Chain, as_function
from whyport.exporter.deepshap.rules.elementwise import Elementwise


def merge_functions(steps: Sequence[Step], logits: Value) -> tuple[list[Step], Value]:
    """The same program with one step in the place of such functions; and where the logits are now.

    Scaling and shifting by numbers between two functions is merged with them.
    """
    made: list[Step] = []
    for step in steps:
        before = _before(made, step.inputs[0]) if isinstance(step.rule, Elementwise) else None
        if before is not None:
            step = Step(Chain(before.rule, step.rule), before.inputs)
        made.append(step)
    return without_unused(made, logits)


def _before(steps: Sequence[Step], value: Value) -> Step | None:
    """The function that makes a value, if what it makes can be infinite."""
    if value.step == 0:
        return None
    step = steps[value.step - 1]
    if isinstance(step.rule, Elementwise):
        return None if step.rule.keeps_finite else step
    function, before = as_function(step.rule), _before(steps, step.inputs[0])
    return Step(Chain(before.rule, function), before.inputs) if function and before else None
