"""Compares the engines that run a graph: a bundle is written only if they agree."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.graphs.graph import Graph
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.verify.engines import Engine, onnx_outputs, torch_gradients, torch_outputs, torch_split_outputs
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.sidecar import Feature, Parity, Tolerances
from whyport.runtime.errors import ParityError, first_line
from whyport.runtime.parity import deviation

BATCH_SIZES = (1, 2, 7, 257)
PROBE_ROWS = max(BATCH_SIZES)
BATCHES_OF_A_SIZE = 4  # more than the runs after which TorchScript's optimised graph takes over
REFERENCE = "eager PyTorch"


def verify_graph(
    graph: Graph,
    torchscript: bytes | None,
    onnx: bytes,
    rows: NDArray[np.float32],
    features: Sequence[Feature],
    classes: Sequence[str],
    tolerances: Tolerances,
) -> Parity:
    """Compare TorchScript and ONNX with eager PyTorch, and every batch size with every other.

    Args:
        graph: the graph in eager mode.
        torchscript: model.pt, if the bundle has one.
        onnx: model.onnx.
        rows: `PROBE_ROWS` raw rows [N, F] that no graph was traced with.
        features: their spread is the unit of the gradients.
        classes: the class names.
        tolerances: how far two engines may differ.

    Returns:
        The largest deviations.

    Raises:
        ParityError: an engine differs by more, fails on a batch, or gives a value that is not finite.
    """
    names = [spec.name for spec in graph.outputs]
    eager = torch_outputs(graph.whole, names)
    outputs = _reference(eager, rows)
    eager_engines = {REFERENCE: eager}
    if graph.split:
        eager_engines[f"{REFERENCE}'s classify(features(rows))"] = torch_split_outputs(graph.module, names)
    for engine_name, engine in eager_engines.items():
        measure(engine_name, engine, rows, outputs, tolerances.outputs)
    onnx_deviation = measure("ONNX Runtime", onnx_outputs(onnx, names), rows, outputs, tolerances.outputs)
    if torchscript is None:
        return Parity(BATCH_SIZES, onnx_outputs=onnx_deviation)
    compiled = load_torchscript(torchscript)
    engines = {"TorchScript": torch_outputs(compiled, names)}
    if graph.split:
        engines["TorchScript's classify(features(rows))"] = torch_split_outputs(compiled, names)
    torchscript_deviation = max(
        measure(engine_name, engine, rows, outputs, tolerances.outputs) for engine_name, engine in engines.items()
    )
    spread = np.array([feature.standard_deviation for feature in features], dtype=np.float32)
    eager_gradients = torch_gradients(graph.whole, classes, spread)
    gradients = _reference(eager_gradients, rows)
    measure(REFERENCE, eager_gradients, rows, gradients, tolerances.gradients)
    gradient_deviation = measure(
        "TorchScript", torch_gradients(compiled, classes, spread), rows, gradients, tolerances.gradients
    )
    return Parity(
        BATCH_SIZES,
        onnx_outputs=onnx_deviation,
        torchscript_outputs=torchscript_deviation,
        torchscript_gradients=gradient_deviation,
    )


def verify_onnx(onnx: bytes, names: Sequence[str], rows: NDArray[np.float32], tolerance: float) -> Parity:
    """Compare every batch size with every other, for a model that there is nothing else to compare with."""
    engine = onnx_outputs(onnx, names)
    deviations = measure("ONNX Runtime", engine, rows, _reference(engine, rows), tolerance)
    return Parity(BATCH_SIZES, onnx_outputs=deviations)


def measure(
    name: str, engine: Engine, rows: NDArray[np.float32], expected: dict[str, NDArray[Any]], tolerance: float
) -> float:
    """The largest deviation from the expected arrays at any batch size; ParityError where it exceeds the tolerance."""
    worst = 0.0
    for size in BATCH_SIZES:
        for batch in list(batch_slices(len(rows), size))[:BATCHES_OF_A_SIZE]:
            got = _run(name, engine, rows[batch], size)
            for output, values in got.items():
                worst = max(
                    worst, check_deviation(f"{output}: {name}", values, expected[output][batch], size, tolerance)
                )
    return worst


def check_deviation(what: str, got: NDArray[Any], expected: NDArray[Any], size: int, tolerance: float) -> float:
    """The deviation of one array at a batch size; ParityError where it exceeds the tolerance or the shapes differ."""
    where = f"at batch size {size}, compared with one batch of {PROBE_ROWS}"
    if got.shape != expected.shape:
        raise ParityError(f"{what}: expected shape {list(expected.shape)}, got {list(got.shape)}, {where}")
    distance = deviation(got, expected)
    if distance > tolerance:
        raise ParityError(f"{what}: expected a deviation of at most {tolerance:g}, got {distance:.3g}, {where}")
    return distance


def _run(name: str, engine: Engine, rows: NDArray[np.float32], size: int) -> dict[str, NDArray[Any]]:
    try:
        return engine(rows)
    except Exception as error:
        raise ParityError(f"{name} fails at batch size {size}: {first_line(error)}") from error


def _reference(engine: Engine, rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    expected = _run("the model", engine, rows, len(rows))
    for output, values in expected.items():
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
        if len(bad):
            raise ParityError(f"{output}: expected finite values, got others in {len(bad)} of {len(rows)} probe rows")
    return expected
