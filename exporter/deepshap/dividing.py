"""Products with an inverse written as divisions, and which divisions and choices take what shares features.

x * rsqrt(mean(x^2) + eps) is a division as much as x / sqrt(mean(x^2) + eps) is. The rule for divisions knows that the
two sides are never in different states; the rule for products does not.
"""

import copy
from collections.abc import Sequence

import torch

from whyport.exporter.deepshap.program import Program, Step, Value, without_unused
from whyport.exporter.deepshap.rules.choice import Branch
from whyport.exporter.deepshap.rules.division import ConstantDivision, Division
from whyport.exporter.deepshap.rules.elementwise import Inverse
from whyport.exporter.deepshap.rules.linear import Scale
from whyport.exporter.deepshap.rules.product import Product
from whyport.exporter.deepshap.rules.rule import Rule
from whyport.exporter.deepshap.rules.shape import Expand, Permute, Pick, Reshape
from whyport.runtime.batching import batch_slices

ROWS_AT_A_TIME = 64


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


def find_shared(program: Program, features: int) -> None:
    """Tell each division and each choice where its inputs depend on a common feature: all are NaN where it is."""
    told = [step for step in program.steps if isinstance(step.rule, (Branch, Division))]
    for some in batch_slices(features, ROWS_AT_A_TIME) if told else ():
        positions = torch.arange(features)[some]
        rows = torch.linspace(0.5, 1.5, features, dtype=program.identity.dtype).repeat(len(positions), 1)
        rows[torch.arange(len(positions)), positions] = torch.nan
        values = {Value(0, 0): rows.unsqueeze(1)}
        for index, step in enumerate(program.steps, start=1):
            outputs = step.rule.probe([values[value] for value in step.inputs])
            values.update({Value(index, i): output for i, output in enumerate(outputs)})
        for step in told:
            assert isinstance(step.rule, (Branch, Division))
            step.rule.share(*(values[value].isnan() for value in step.inputs))
    if any(isinstance(step.rule, Branch) for step in told):
        for step in told:
            if isinstance(step.rule, Division):
                step.rule.guard()
