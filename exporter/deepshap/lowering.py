"""From the operators of a network to the steps of a program, each with its rule."""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

import whyport.exporter.deepshap.rules  # noqa: F401 - registers every rule
from whyport.exporter.deepshap.chaining import merge_functions
from whyport.exporter.deepshap.dependence import Dependence
from whyport.exporter.deepshap.dividing import write_divisions
from whyport.exporter.deepshap.given import GivenSteps
from whyport.exporter.deepshap.positions import Positions, gathered, positions_of
from whyport.exporter.deepshap.program import Program, Step, Value
from whyport.exporter.deepshap.row_graph import RowGraph
from whyport.exporter.deepshap.rules.chain import as_function
from whyport.exporter.deepshap.rules.registry import RULES, Active, Call
from whyport.exporter.deepshap.rules.step import DISCRETE
from whyport.exporter.deepshap.sharing import find_shared
from whyport.exporter.deepshap.splitting import merge_picks
from whyport.runtime.errors import UnsupportedOperatorError

aten = torch.ops.aten

_TESTS = (aten.isnan.default, aten.isinf.default)
_EQUALITIES = (aten.eq.Scalar, aten.ne.Scalar)
_REPAIR = aten.nan_to_num.default

_KINDS = (torch.float32, torch.float64, torch.int32, torch.int64, torch.bool)
"""Types of values whose every number a program holds."""


def lower(graph: RowGraph, lengths: Sequence[int] = ()) -> Program:
    """The program of a network.

    Args:
        graph: from a row's cells to its logits.
        lengths: the cells that hold lengths of sequences, which all rows and references of a call have in common.

    Raises:
        UnsupportedOperatorError: an operator that depends on the row has no rule; the message says which, and where.
    """
    known: dict[fx.Node, Any] = {graph.row: Value(0, 0), **graph.constants}
    steps: list[Step] = []
    active = {Value(0, 0): _active(graph.row.meta["val"])}
    depends = Dependence(graph.row, lengths)
    given = GivenSteps(steps, active)
    # A value that is finite with the row passes no test. A function of one can be repaired: both become one step.
    finite, repairable = {Value(0, 0)}, {Value(0, 0)}
    taken = {**dict.fromkeys(_TESTS, finite), _REPAIR: repairable}
    for node in graph.nodes:
        args, kwargs = pytree.tree_map_only(fx.Node, known.__getitem__, (node.args, dict(node.kwargs)))
        inputs = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Value)]
        is_given = depends.is_given(node, known)
        if _expands_nothing(node):
            known[node] = args[0]
        elif any(isinstance(leaf, Positions) for leaf in pytree.tree_leaves((args, kwargs))):
            known[node] = gathered(node, args)
        elif not inputs:
            known[node] = node.target(*args, **kwargs)  # type: ignore[operator]
        elif node.target is operator.getitem:
            known[node] = _output(node, inputs[0], args[1], steps)
        elif node.target is aten.full_like.default:  # of its argument it takes the shape alone
            known[node] = torch.full(node.meta["val"].shape, args[1], dtype=node.meta["val"].dtype)
        elif is_given:
            known[node] = given.add(_call(node), args, kwargs, node.meta["val"])
            continue
        elif given.gathers(_call(node), args):
            known[node] = given.gathered(_call(node), args, kwargs)
        elif node.target in taken and inputs[0] not in taken[node.target]:
            _call(node).refuse(" on a value that can be infinite where the row is finite")
        elif node.target in _TESTS:
            known[node] = torch.zeros(node.meta["val"].shape, dtype=torch.bool)
        elif node.target in _EQUALITIES and args[1] in (-torch.inf, torch.inf) and inputs[0] in finite:
            known[node] = torch.full(node.meta["val"].shape, node.target is aten.ne.Scalar)
        else:
            args, kwargs = pytree.tree_map_only(Value, given.numbers, (args, kwargs))
            inputs = [given.numbers(value) for value in inputs]
            whole = {value for value in inputs if active[value].given}
            finite |= whole
            repairable |= whole
            steps.append(_step(node, args, kwargs, inputs, active))
            known[node] = Value(len(steps), 0)
            rule = steps[-1].rule
            if node.target is _REPAIR or (rule.keeps_finite and finite.issuperset(inputs)):
                finite.add(known[node])
                repairable.add(known[node])
            elif as_function(rule) is not None and repairable.issuperset(inputs):
                repairable.add(known[node])
        for index, output in enumerate(pytree.tree_leaves(node.meta["val"])):
            if isinstance(known[node], Value) and known[node] == Value(len(steps), 0):
                active.setdefault(Value(len(steps), index), _active(output))
    logits = known[graph.logits]
    if not isinstance(logits, Value) or active[logits].given:
        raise UnsupportedOperatorError("the logits do not depend on the row")
    steps, logits = merge_picks(*merge_functions(*write_divisions(steps, logits)))
    program = Program(steps, logits, graph.logits.meta["val"].shape[-1], lengths).to(graph.row.meta["val"].dtype)
    find_shared(program, graph.row.meta["val"].shape[-1])
    return program


def _step(node: fx.Node, args: Any, kwargs: Any, inputs: list[Value], active: dict[Value, Active]) -> Step:
    call = _call(node)
    if node.target not in RULES:
        call.refuse()
    kind = pytree.tree_leaves(node.meta["val"])[0].dtype
    rounds = not kind.is_floating_point and any(active[value].dtype.is_floating_point for value in inputs)
    if kind not in _KINDS or (rounds and node.target not in DISCRETE):
        loss = ", whose rounding would be nobody's share" if kind.is_floating_point else ""
        call.refuse(f" with a result in {str(kind).removeprefix('torch.')}{loss}")
    args, kwargs = pytree.tree_map_only(Value, lambda value: active[value], (args, kwargs))
    rule = RULES[node.target](call, *args, **kwargs)
    if any(active[value].given for value in inputs):
        rule.kernel = None  # a kernel gives every input its multipliers
    return Step(rule, tuple(inputs))


def _output(node: fx.Node, of_step: Value, index: int, steps: list[Step]) -> Value | Positions:
    """One of a step's outputs, or where its values are."""
    step = steps[of_step.step - 1]
    if index < step.rule.outputs:
        return Value(of_step.step, index)
    (made_by,) = node.all_input_nodes
    return positions_of(made_by, _call(made_by), of_step, step.inputs[0])


def _expands_nothing(node: fx.Node) -> bool:
    (given, *_) = node.all_input_nodes or (None,)
    return (
        node.target is aten.expand.default and given is not None and given.meta["val"].shape == node.meta["val"].shape
    )


def _call(node: fx.Node) -> Call:
    output = pytree.tree_leaves(node.meta["val"])[0]
    return Call(node.target, tuple(output.shape), output.dtype, _place(node))


def _active(value: Tensor) -> Active:
    return Active(tuple(value.shape), value.dtype)


def _place(node: fx.Node) -> str:
    """The module and the line of the model's code; never a path, which belongs to this machine."""
    modules = list(node.meta.get("nn_module_stack", {}).values())
    name, kind = modules[-1] if modules else ("", "")
    kind = kind if isinstance(kind, str) else kind.__name__
    lines = (node.meta.get("stack_trace") or "").strip().splitlines()
    line = f", line {lines[-1].strip()!r}" if lines and not lines[-1].strip().startswith("File ") else ""
    return f"in {repr(name) if name else 'the network'} ({kind.rpartition('.')[2]}){line}"
