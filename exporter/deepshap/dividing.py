"""Products with an inverse written as divisions.

x * rsqrt(mean(x^2) + eps) is a division as much as x / sqrt(mean(x^2) + eps) is. The rule for divisions knows that the
two sides are never in different states; the rule for products does not.
"""

import copy
from collections.abc import Sequence

from whyport.exporter.deepshap.program import Step, Value, without_unused
from whyport.exporter.deepshap.rules.division import ConstantDivision, Division
from whyport.exporter.deepshap.rules.elementwise import Inverse
from whyport.exporter.deepshap.rules.linear import Scale
from whyport.exporter.deepshap.rules.product import Product
from whyport.exporter.deepshap.rules.rule import Rule
from whyport.exporter.deepshap.rules.shape import Expand, Permute, Pick, Reshape


def write_divisions(steps: Sequence[Step], logits: Value) -> tuple[list[Step], Value]:
    """The same program with a division in the place of each product with an inverse; and where the logits are now."""
    made: list[Step] = []
    moved = {Value(0, 0): Value(0, 0)}
    divisors: dict[Value, Value] = {}

    def add(rule: Rule, *inputs: Value) -> Value:
        made.append(Step(rule, inputs))
        return Value(len(made), 0)

    for index, step in enumerate(steps, start=1):
        inputs = [moved[value] for value in step.inputs]
        inverse = next((i for i in reversed(range(len(inputs))) if inputs[i] in divisors), None)
        if isinstance(step.rule, Product) and inverse is not None:
            divided, divisor = inputs[1 - inverse], divisors[inputs[inverse]]
            left, right = (step.rule.left, step.rule.right)[:: 1 if inverse else -1]
            output = add(Division(left, right, step.rule.shape), divided, divisor)
        else:
            output = add(step.rule, *inputs)
            if isinstance(step.rule, Inverse):
                under = step.rule.under
                divisors[output] = inputs[0] if under is None else add(under, *inputs)
            elif isinstance(step.rule, ConstantDivision) and step.rule.numerator.all():
                scale = Scale(step.rule.right, step.rule.numerator.reciprocal(), step.rule.shape)
                divisors[output] = add(scale, *inputs)
            elif inverse is not None and (rule := _of_divisor(step.rule)) is not None:
                divisors[output] = add(rule, divisors[inputs[0]])
        for i in range(step.rule.outputs):
            moved[Value(index, i)] = Value(output.step, i)
    return without_unused(made, moved[logits])


def _of_divisor(rule: Rule) -> Rule | None:
    """What makes of d the divisor of what `rule` makes of 1 / d, if it is no more than moving and scaling."""
    if isinstance(rule, Scale) and rule.factor.all():
        return Scale(rule.given, rule.factor.reciprocal(), rule.shape)
    return copy.deepcopy(rule) if isinstance(rule, (Expand, Permute, Pick, Reshape)) else None
