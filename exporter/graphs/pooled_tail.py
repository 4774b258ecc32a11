"""Finds the end of a network that pools its last maps over y and x: scores that are an affine function of the means.

The tensors that all of the scores pass through are tried from the scores on, as to whether the rest of the graph gives
`weights @ mean + offset` of maps of random numbers. Neither the operators nor the layout matter: a dense layer behind
a global average pooling has such an end, and so has a convolution of one by one with a normalisation behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from whyport.exporter.graphs.onnx import open_onnx
from whyport.exporter.graphs.pruning import names_read, prune
from whyport.runtime.batching import batch_slices
from whyport.runtime.errors import ExportError, first_line

RANK = 4
GREAT = 2.0**40
"""A mean beside which no constant is seen: the weight comes out as it is, times a power of 2."""
CHECKED_MAPS = 16
TOLERANCE = 1e-5
CALL_VALUES = 1 << 22
"""The most values of the maps of one call."""
NOT_AFFINE = (
    "expected a mean of the last maps over y and x, with an affine function behind it, got something else behind maps "
)


@dataclass(frozen=True)
class PooledTail:
    """K scores of maps with C channels: `means @ weights.T + offset`."""

    maps: str
    """The tensor with the maps."""
    shape: tuple[int, ...]
    """Its axes behind the rows."""
    channels_last: bool
    """Whether the maps are [N, y, x, C], not [N, C, y, x]."""
    weights: NDArray[np.float64]
    """[K, C]"""
    offset: NDArray[np.float64]
    """[K]"""

    @property
    def size(self) -> tuple[int, int]:
        """The lengths of y and x."""
        height, width = self.shape[:2] if self.channels_last else self.shape[1:]
        return height, width


def find_pooled_tail(model: onnx.ModelProto, feeds: dict[str, NDArray[Any]], score: str) -> PooledTail:
    """The end of a graph, see `PooledTail`.

    Args:
        model: the graph; it is not changed.
        feeds: what the graph takes for one row, by the names of its inputs.
        score: its output with the scores [N, K].

    Raises:
        ExportError: the scores are no such function of the network's last maps.
    """
    maps = list(_maps(model, feeds, score))
    # A mean over one axis leaves strips of maps: they are tried where the maps before them have another end.
    whole = next((i for i, (_, shape) in enumerate(maps) if min(shape[1:]) > 1), len(maps))
    candidates = maps[whole : whole + 1] + maps[:whole]
    for name, shape in candidates:
        tail = _Tail(model, feeds, name, score)
        for channels_last in (False, True):
            found = tail.affine(shape, channels_last)
            if found is not None:
                return found
    if not candidates:
        raise ExportError("expected maps over y and x that all of the scores are made of, got none")
    raise ExportError(f"{NOT_AFFINE}{list(candidates[0][1])}")


def _maps(model: onnx.ModelProto, feeds: dict[str, NDArray[Any]], score: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of maps over y and x that all of the scores pass through, the last one first, with their axes."""
    passed = list(_passed(model.graph, score))
    if not passed:
        return
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in passed)
    prune(opened.graph)
    try:
        values = _run(opened, feeds, passed)
    except Exception as error:
        raise ExportError(f"the inside of the network cannot be looked at: {first_line(error)}") from error
    for name, value in zip(passed, values, strict=True):
        # Pooled maps that keep their axes have one place alone; maps may be one place high or wide.
        if value.dtype == np.float32 and value.ndim == RANK and sum(length > 1 for length in value.shape[1:]) > 1:
            yield name, value.shape[1:]


def _passed(graph: onnx.GraphProto, score: str) -> Iterator[str]:
    """The tensors that every way from the inputs to the scores passes through, the last one first.

    What only tells a shape is no way.
    """
    varying = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("Shape", "Size") and varying.intersection(names_read(node)):
            varying.update(node.output)
    waiting = {score}
    for node in reversed(graph.node):
        if waiting.isdisjoint(node.output):
            continue
        waiting = waiting.difference(node.output) | (names_read(node) & varying)
        if len(waiting) == 1:
            (name,) = waiting
            if all(name != value.name for value in graph.input):
                yield name


class _Tail:
    """What follows the maps, to be run by itself.

    Args:
        model: the whole graph.
        feeds: what it takes for one row.
        maps: the tensor with the maps.
        score: the output.
    """

    def __init__(self, model: onnx.ModelProto, feeds: dict[str, NDArray[Any]], maps: str, score: str) -> None:
        self._maps, self._score, self._feeds = maps, score, feeds
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        graph = self._model.graph
        kept = [node for node in graph.node if maps not in node.output]
        outputs = [value for value in graph.output if value.name == score]
        for field, values in ((graph.node, kept), (graph.output, outputs)):
            copies = [type(value).FromString(value.SerializeToString()) for value in values]
            del field[:]
            field.extend(copies)
        graph.input.append(helper.make_tensor_value_info(maps, TensorProto.FLOAT, None))
        prune(graph)
        self._session: Any = None

    def affine(self, shape: tuple[int, ...], channels_last: bool) -> PooledTail | None:
        """The weights of the means, if the scores are affine in them."""
        channels = shape[-1] if channels_last else shape[0]
        generator = np.random.default_rng(0)
        scales = np.geomspace(0.1, 100, CHECKED_MAPS)[:, None]
        offsets = generator.normal(size=(CHECKED_MAPS, channels)) * scales
        noise = generator.normal(size=(CHECKED_MAPS, *shape)) * scales.reshape(-1, 1, 1, 1)
        random = (noise + _spread(offsets, shape, channels_last)).astype(np.float32)
        axes = (1, 2) if channels_last else (2, 3)
        means = random.mean(axis=axes, dtype=np.float64)
        unit = GREAT * np.eye(channels)
        try:
            (offset,) = self._scores(np.zeros((1, channels)), shape, channels_last)
            up, down = (self._scores(sign * unit, shape, channels_last) for sign in (1, -1))
            given = self._run(random)
        except Exception as error:
            raise ExportError(f"what follows the last maps cannot be run alone: {first_line(error)}") from error
        weights = (up - down).T / (2 * GREAT)
        scale = 1 + np.abs(random).mean(axis=axes) @ np.abs(weights.T) + np.abs(offset)
        fits = np.abs(given - (means @ weights.T + offset)) <= TOLERANCE * scale
        return PooledTail(self._maps, shape, channels_last, weights, offset) if fits.all() else None

    def _scores(self, means: NDArray[np.float64], shape: tuple[int, ...], channels_last: bool) -> NDArray[np.float64]:
        """The scores of maps that are the same everywhere, [M, C]."""
        rows = max(1, CALL_VALUES // int(np.prod(shape)))
        maps = (_spread(means[part], shape, channels_last) for part in batch_slices(len(means), rows))
        return np.concatenate([self._run(each.astype(np.float32)) for each in maps])

    def _run(self, maps: NDArray[np.float32]) -> NDArray[np.float64]:
        """The scores [M, K] of maps."""
        if self._session is None:
            self._session = open_onnx(self._model.SerializeToString())
        others = {name: np.repeat(value, len(maps), axis=0) for name, value in self._feeds.items()}
        given = others | {self._maps: maps}
        taken = {each.name: given[each.name] for each in self._session.get_inputs()}
        with np.errstate(all="ignore"):
            scores: NDArray[np.float64] = np.asarray(self._session.run([self._score], taken)[0], dtype=np.float64)
        return scores


def _spread(means: NDArray[np.float64], shape: tuple[int, ...], channels_last: bool) -> NDArray[np.float64]:
    """Maps [M, *shape] that are a mean [M, C] everywhere."""
    at = means[:, None, None, :] if channels_last else means[:, :, None, None]
    return np.broadcast_to(at, (len(means), *shape))


def _run(model: onnx.ModelProto, feeds: dict[str, NDArray[Any]], names: list[str]) -> list[NDArray[Any]]:
    session = open_onnx(model.SerializeToString())
    return [np.asarray(value) for value in session.run(names, feeds)]
