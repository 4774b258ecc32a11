"""Compares the engines that run a graph: a bundle is written only if they agree."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.graph import Graph
from whyport.exporter.reasons.left_out import left_out
from whyport.exporter.verify.engines import (
    Engine,
    Feeds,
    onnx_outputs,
    torch_gradients,
    torch_outputs,
    torch_split_outputs,
)
from whyport.exporter.verify.tolerances import TOLERANCES, Parity, Tolerances
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.columns import LENGTH, TOKEN, Column
from whyport.runtime.errors import ParityError, first_line
from whyport.runtime.parity import deviation, row_deviations, share_deviation

BATCH_SIZES = (1, 2, 7, 257)
PROBE_ROWS = max(BATCH_SIZES)
GRADIENT_VALUES = 1 << 22
"""Values of the rows times classes whose gradients are compared: of images with many classes, a few of these."""
BATCHES_OF_A_SIZE = 4  # more than the runs after which TorchScript's optimised graph takes over
REFERENCE = "eager PyTorch"

NEARBY, SIDES = 1e-6, 2
"""How far from a row its gradient may not change, in spreads of the features, and in how many directions."""

Comparison: TypeAlias = Callable[[NDArray[Any], NDArray[Any]], float]
"""The deviation of one array from another: `deviation` or `share_deviation`."""


def verify_outputs(
    compiled: Compiled,
    rows: NDArray[np.float32],
    features: Sequence[Column],
    classes: Sequence[str],
    tolerances: Tolerances = TOLERANCES,
    feeds: Feeds | None = None,
) -> Parity:
    """Compare TorchScript and ONNX with eager PyTorch, and every batch size with every other.

    Where there is only ONNX, its batch sizes alone are compared.

    Args:
        compiled: the model.
        rows: `PROBE_ROWS` raw rows [N, F] that no graph was traced with.
        features: their spread is the unit of the gradients.
        classes: the class names.
        tolerances: how far two engines may differ.
        feeds: what model.onnx takes for rows; by default the rows are its only input.

    Returns:
        The largest deviations.

    Raises:
        ParityError: an engine differs by more, fails on a batch, or gives a value that is not finite.
    """
    names = compiled.names
    onnx = onnx_outputs(compiled.onnx.session, names, feeds)
    graph = compiled.graph
    if graph is None:
        batch_deviation = measure("ONNX Runtime", onnx, rows, _reference(onnx, rows), tolerances["outputs"])
        return {"onnx_outputs": batch_deviation}
    eager = torch_outputs(graph.whole, names)
    outputs = _reference(eager, rows)
    eager_engines = {REFERENCE: eager}
    if graph.split:
        eager_engines[f"{REFERENCE}'s classify(features(rows))"] = torch_split_outputs(graph.module, names)
    for engine_name, engine in eager_engines.items():
        measure(engine_name, engine, rows, outputs, tolerances["outputs"])
    parity = {"onnx_outputs": measure("ONNX Runtime", onnx, rows, outputs, tolerances["outputs"])}
    if compiled.torchscript is None:
        return parity
    module = compiled.torchscript.module
    engines = {"TorchScript": torch_outputs(module, names)}
    if graph.split:
        engines["TorchScript's classify(features(rows))"] = torch_split_outputs(module, names)
    torchscript_deviation = max(
        measure(engine_name, engine, rows, outputs, tolerances["outputs"]) for engine_name, engine in engines.items()
    )
    if not graph.differentiable:
        return parity | {"torchscript_outputs": torchscript_deviation}
    eager_gradients, gradients_of = (_gradients(graph, each, features, classes, rows) for each in (graph.whole, module))
    rows = steady_rows(eager_gradients, rows, features, tolerances["gradients"])
    gradients = _reference(eager_gradients, rows)
    measure(REFERENCE, eager_gradients, rows, gradients, tolerances["gradients"], share_deviation)
    gradient_deviation = measure("TorchScript", gradients_of, rows, gradients, tolerances["gradients"], share_deviation)
    return parity | {"torchscript_outputs": torchscript_deviation, "torchscript_gradients": gradient_deviation}


def with_right_gradients(
    compiled: Compiled, rows: NDArray[np.float32], features: Sequence[Column], classes: Sequence[str]
) -> Compiled:
    """The model, without gradients where they are not finite, or differ by more than rounding does.

    Takes what `verify_outputs` takes.

    The outputs may well be finite where a slope on the way is not: below a square root of 0, or a hidden NaN. After
    some calls TorchScript has its own derivatives. They multiply an infinite slope by 0 where eager PyTorch selects,
    and do not know Softplus's threshold. What rows at a bend give is not compared, see `steady_rows`. Where most rows
    are at one, as in a deep network of ReLU6, gradients depend on the number of rows in a batch.
    """
    graph = compiled.graph
    if graph is None or not graph.differentiable:
        return compiled
    try:
        eager = _gradients(graph, graph.whole, features, classes, rows)
        _reference(eager, rows)
        every, rows = rows, steady_rows(eager, rows, features, TOLERANCES["gradients"])
        expected = _reference(eager, rows)
        measure(REFERENCE, eager, rows, expected, TOLERANCES["gradients"], share_deviation)
        if compiled.torchscript is not None:
            engine = _gradients(graph, compiled.torchscript.module, features, classes, rows)
            _reference(engine, every)
            for _ in range(BATCHES_OF_A_SIZE):
                for name, values in _reference(engine, rows).items():
                    gradients = values, expected[name]
                    check_deviation(
                        f"{name}: TorchScript", *gradients, len(rows), TOLERANCES["gradients"], share_deviation
                    )
            measure("TorchScript", engine, rows, expected, TOLERANCES["gradients"], share_deviation)
    except ParityError as error:
        return compiled.without_gradients(left_out("gradients", error))
    return compiled


def steady_rows(
    eager: Engine, rows: NDArray[np.float32], features: Sequence[Column], tolerance: float
) -> NDArray[np.float32]:
    """The rows [M, F] at no bend of the scores; all rows where fewer than half are.

    At a bend, as a ReLU has one at 0, there are two gradients, and rounding alone decides which of them an engine
    gives. A row is taken to be at one where the gradients on both sides of it differ, `NEARBY` of each feature's spread
    away: farther than rounding, and much nearer than rows are to each other.

    Args:
        eager: gives the gradients by class.
        rows: rows [N, F].
        features: their spread is the unit of the distance.
        tolerance: what gradients may differ by.
    """
    if any(feature.categories is not None for feature in features):
        return rows
    spread = np.array([0.0 if feature.kind in (LENGTH, TOKEN) else feature.spread for feature in features])
    draw, at_bend = np.random.default_rng(0), np.zeros(len(rows), dtype=np.bool_)
    for _ in range(SIDES):
        away = (NEARBY * spread * draw.choice([-1.0, 1.0], rows.shape)).astype(np.float32)
        one, other = (run_engine("the model", eager, rows + step, len(rows)) for step in (away, -away))
        for name, values in one.items():
            scale = np.maximum(1.0, np.abs(values).max(axis=-1, keepdims=True, initial=0.0))
            off = row_deviations(values / scale, other[name] / scale)
            at_bend |= (off > tolerance) & np.isfinite(off)
    return rows if 2 * at_bend.sum() > len(rows) else rows[~at_bend]


def measure(
    name: str,
    engine: Engine,
    rows: NDArray[np.float32],
    expected: dict[str, NDArray[Any]],
    tolerance: float,
    compare: Comparison = deviation,
) -> float:
    """The largest deviation from the expected arrays at any batch size; ParityError where it exceeds the tolerance."""
    worst = 0.0
    for size in BATCH_SIZES:
        for batch in list(batch_slices(len(rows), size))[:BATCHES_OF_A_SIZE]:
            got = run_engine(name, engine, rows[batch], size)
            for output, values in got.items():
                worst = max(
                    worst,
                    check_deviation(f"{output}: {name}", values, expected[output][batch], size, tolerance, compare),
                )
    return worst


def check_deviation(
    what: str,
    got: NDArray[Any],
    expected: NDArray[Any],
    size: int,
    tolerance: float,
    compare: Comparison = deviation,
) -> float:
    """The deviation of one array at a batch size; ParityError where it exceeds the tolerance or the shapes differ."""
    where = f"at batch size {size}, compared with one batch of {PROBE_ROWS}"
    if got.shape != expected.shape:
        raise ParityError(f"{what}: expected shape {list(expected.shape)}, got {list(got.shape)}, {where}")
    distance = compare(got, expected)
    if distance > tolerance:
        raise ParityError(f"{what}: expected a deviation of at most {tolerance:g}, got {distance:.3g}, {where}")
    return distance


def run_engine(name: str, engine: Engine, rows: NDArray[np.float32], size: int) -> dict[str, NDArray[Any]]:
    """What an engine gives for rows [N, F]; ParityError with the batch size where it fails."""
    try:
        return engine(rows)
    except Exception as error:
        raise ParityError(f"{name} fails at batch size {size}: {first_line(error)}") from error


def compared_classes(count: int, values: int) -> list[int]:
    """The classes whose gradients are compared, evenly spaced: all, unless rows of so many values are long."""
    most = min(count, max(1, GRADIENT_VALUES // max(values, 1)))
    return [round(each) for each in np.linspace(0, count - 1, most).tolist()]


def _gradients(
    graph: Graph, module: Any, features: Sequence[Column], classes: Sequence[str], rows: NDArray[np.float32]
) -> Engine:
    """The gradients of a graph by one of its modules, in the cells where it has some, for `compared_classes`."""
    spread = np.array([feature.spread for feature in features], dtype=np.float32)
    if graph.encoding is not None:
        spread = np.repeat(spread, [len(cells) for cells in graph.encoding.cells])
    chosen = compared_classes(len(classes), rows.size)
    return torch_gradients(module, classes, spread, encodes=graph.encoding is not None, chosen=chosen)


def _reference(engine: Engine, rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    expected = run_engine("the model", engine, rows, len(rows))
    for output, values in expected.items():
        if values.ndim == 0 or len(values) != len(rows):
            raise ParityError(f"{output}: expected {len(rows)} rows for as many, got shape {list(values.shape)}")
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
        if len(bad):
            raise ParityError(f"{output}: expected finite values, got others in {len(bad)} of {len(rows)} probe rows")
    return expected
