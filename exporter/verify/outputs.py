"""Compares the engines that run a graph: a bundle is written only if they agree."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.verify.engines import (
    Engine,
    Feeds,
    onnx_outputs,
    torch_outputs,
    torch_split_outputs,
)
from whyport.exporter.verify.tolerances import TOLERANCES, Parity, Tolerances
from whyport.runtime.batching import batch_slices
from whyport.runtime.errors import ParityError, first_line
from whyport.runtime.parity import deviation

BATCH_SIZES = (1, 2, 7, 257)
PROBE_ROWS = max(BATCH_SIZES)
BATCHES_OF_A_SIZE = 4  # more than the runs after which TorchScript's optimised graph takes over
REFERENCE = "eager PyTorch"

Comparison: TypeAlias = Callable[[NDArray[Any], NDArray[Any]], float]
"""The deviation of one array from another: `deviation` or `share_deviation`."""


def verify_outputs(
    compiled: Compiled,
    rows: NDArray[np.float32],
    tolerances: Tolerances = TOLERANCES,
    feeds: Feeds | None = None,
) -> Parity:
    """Compare TorchScript and ONNX with eager PyTorch, and every batch size with every other.

    Where there is only ONNX, its batch sizes alone are compared.

    Args:
        compiled: the model.
        rows: `PROBE_ROWS` raw rows [N, F] that no graph was traced with.
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
        batch_deviation = measure("ONNX Runtime", onnx, rows, finite_outputs(onnx, rows), tolerances["outputs"])
        return {"onnx_outputs": batch_deviation}
    eager = torch_outputs(graph.whole, names)
    outputs = finite_outputs(eager, rows)
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
    return parity | {"torchscript_outputs": torchscript_deviation}


def measure(
    name: str,
    engine: Engine,
    rows: NDArray[np.floating],
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


def run_engine(name: str, engine: Engine, rows: NDArray[np.floating], size: int) -> dict[str, NDArray[Any]]:
    """What an engine gives for rows [N, F]; ParityError with the batch size where it fails."""
    try:
        return engine(rows)
    except Exception as error:
        raise ParityError(f"{name} fails at batch size {size}: {first_line(error)}") from error


def finite_outputs(engine: Engine, rows: NDArray[np.floating]) -> dict[str, NDArray[Any]]:
    """What the model gives for rows [N, F] at once; ParityError unless it is finite, and of as many rows."""
    expected = run_engine("the model", engine, rows, len(rows))
    for output, values in expected.items():
        if values.ndim == 0 or len(values) != len(rows):
            raise ParityError(f"{output}: expected {len(rows)} rows for as many, got shape {list(values.shape)}")
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
        if len(bad):
            raise ParityError(f"{output}: expected finite values, got others in {len(bad)} of {len(rows)} probe rows")
    return expected
