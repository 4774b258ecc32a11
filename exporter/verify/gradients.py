"""Compares the gradients of TorchScript with those of eager PyTorch: a bundle serves them only if they agree."""

import copy
import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.graph import Graph
from whyport.exporter.reasons.left_out import left_out
from whyport.exporter.verify.engines import Engine, torch_gradients
from whyport.exporter.verify.outputs import (
    BATCHES_OF_A_SIZE,
    REFERENCE,
    check_deviation,
    finite_outputs,
    measure,
    run_engine,
)
from whyport.exporter.verify.tolerances import TOLERANCES, Parity
from whyport.runtime.bends import both_sides
from whyport.runtime.bundle.columns import Column
from whyport.runtime.errors import ParityError, first_line
from whyport.runtime.parity import row_deviations, share_deviation

logger = logging.getLogger(__name__)

GRADIENT_VALUES = 1 << 22
"""Values of the rows times classes whose gradients are compared: of images with many classes, a few of these."""
PASS_OPERATIONS, FEWEST_ROWS = 10**11, 8
"""Floating-point operations of the compared rows' gradients, which are taken some ten times; and the fewest rows."""


MOST_DIFFERENCE = 0.01
"""What share of a gradient float32, which serves it, may change in most rows, beside float64."""


def with_right_gradients(
    compiled: Compiled, rows: NDArray[np.float32], features: Sequence[Column], classes: Sequence[str]
) -> tuple[Compiled, Parity]:
    """The model, without gradients where they are not finite, or differ by more than rounding does.

    The outputs may well be finite where a slope on the way is not: below a square root of 0, or a hidden NaN. After
    some calls TorchScript has its own derivatives. They multiply an infinite slope by 0 where eager PyTorch selects,
    and do not know Softplus's threshold.

    Rows at a bend are not compared, see `at_bends`. Where most rows are at one, as those of a deep network of ReLU6
    are, all are compared in float64, where a row is at none; float32 may then change little of a gradient as a whole.

    Args:
        compiled: the model.
        rows: raw rows [N, F] that no graph was traced with. Of a costly network fewer of them are compared.
        features: their spread is the unit of the gradients.
        classes: the class names.

    Returns:
        The model, and the deviation of its gradients where they were compared.
    """
    graph = compiled.graph
    if graph is None or not graph.differentiable:
        return compiled, {}
    try:
        eager = _gradients(graph, graph.whole, features, classes, rows)
        rows = _affordable(eager, rows)
        found = finite_outputs(eager, rows)
        steady = ~at_bends(eager, rows, features, TOLERANCES["gradients"])
        if 2 * steady.sum() < len(rows):
            return compiled, _compare_in_float64(compiled, graph, rows, features, classes, found)
        expected, compared = {name: values[steady] for name, values in found.items()}, rows[steady]
        measure(REFERENCE, eager, compared, expected, TOLERANCES["gradients"], share_deviation)
        if compiled.torchscript is None:
            return compiled, {}
        engine = _gradients(graph, compiled.torchscript.module, features, classes, rows)
        finite_outputs(engine, rows)
        return compiled, _compare(engine, compared, expected)
    except ParityError as error:
        return compiled.without_gradients(left_out("gradients", error)), {}


def at_bends(
    eager: Engine, rows: NDArray[np.float32], features: Sequence[Column], tolerance: float
) -> NDArray[np.bool_]:
    """Which rows are at a bend of the scores, [N]: where the gradients on both sides of them differ.

    Args:
        eager: gives the gradients by class.
        rows: rows [N, F].
        features: their spread is the unit of the distance.
        tolerance: what gradients may differ by.
    """
    found = np.zeros(len(rows), dtype=np.bool_)
    for moved in both_sides(rows, features):
        one, other = (run_engine("the model", eager, each, len(rows)) for each in moved)
        for name, values in one.items():
            scale = np.maximum(1.0, np.abs(values).max(axis=-1, keepdims=True, initial=0.0))
            off = row_deviations(values / scale, other[name] / scale)
            found |= (off > tolerance) & np.isfinite(off)
    return found


def compared_classes(count: int, values: int) -> list[int]:
    """The classes whose gradients are compared, evenly spaced: all, unless rows of so many values are long."""
    most = min(count, max(1, GRADIENT_VALUES // max(values, 1)))
    return [round(each) for each in np.linspace(0, count - 1, most).tolist()]


def _compare(engine: Engine, rows: NDArray[np.floating], expected: dict[str, NDArray[Any]]) -> Parity:
    """Compare TorchScript, first in as many runs as its optimised graph takes to take over."""
    for _ in range(BATCHES_OF_A_SIZE):
        for name, values in finite_outputs(engine, rows).items():
            gradients = values, expected[name]
            check_deviation(f"{name}: TorchScript", *gradients, len(rows), TOLERANCES["gradients"], share_deviation)
    off = measure("TorchScript", engine, rows, expected, TOLERANCES["gradients"], share_deviation)
    return {"torchscript_gradients": off}


def _compare_in_float64(
    compiled: Compiled,
    graph: Graph,
    rows: NDArray[np.float32],
    features: Sequence[Column],
    classes: Sequence[str],
    found: dict[str, NDArray[Any]],
) -> Parity:
    """Compare all rows in float64, and with what was found in float32.

    ParityError also where the network cannot compute in float64, or float32 has too few digits for it.
    """
    logger.info("comparing gradients in float64: at most rows, rounding decides between several")
    exact, script = rows.astype(np.float64), compiled.torchscript
    eager = _gradients(graph, copy.deepcopy(graph.whole).double(), features, classes, rows)
    engines = [eager]
    if script is not None:
        wide = dataclasses.replace(script, in_float64=True).module
        engines.append(_gradients(graph, wide, features, classes, rows))
    for engine in engines:
        try:
            engine(exact[:1])
        except Exception as error:  # whatever a network raises that holds numbers of float32
            reason = "at most rows rounding decides between several gradients, and the network has none in float64"
            raise ParityError(f"{reason}: {first_line(error)}") from error
    expected = finite_outputs(eager, exact)
    for name, values in expected.items():
        off = np.abs(found[name] - values).sum(axis=1) / np.maximum(1e-30, np.abs(values).sum(axis=1))
        if not np.median(off) <= MOST_DIFFERENCE:
            raise ParityError(
                f"{name}: rounding decides between several: expected float32 to change at most {MOST_DIFFERENCE:g} of "
                f"its size in most rows, got {np.median(off):.2g}"
            )
    measure(REFERENCE, eager, exact, expected, TOLERANCES["gradients"], share_deviation)
    return _compare(engines[1], exact, expected) if script is not None else {}


def _affordable(eager: Engine, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first rows, as many as may be compared."""
    with _Operations() as operations:
        run_engine("the model", eager, rows[:1], 1)
    return rows[: max(FEWEST_ROWS, PASS_OPERATIONS // max(operations.count, 1))]


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts floating-point operations; PyTorch's FlopCounterMode follows modules too, which autograd.grad refuses."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.count += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


def _gradients(
    graph: Graph, module: Any, features: Sequence[Column], classes: Sequence[str], rows: NDArray[np.float32]
) -> Engine:
    """The gradients of a graph by one of its modules, in the cells where it has some, for `compared_classes`."""
    spread = np.array([feature.spread for feature in features], dtype=np.float32)
    if graph.encoding is not None:
        spread = np.repeat(spread, [len(cells) for cells in graph.encoding.cells])
    chosen = compared_classes(len(classes), rows.size)
    return torch_gradients(module, classes, spread, encodes=graph.encoding is not None, chosen=chosen)
