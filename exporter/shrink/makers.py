"""The table of precisions: how each makes the model, and the graphs that give reasons, smaller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import onnx
from numpy.typing import NDArray

from whyport.exporter.shrink.arithmetic import dynamic_int8, static_int8
from whyport.exporter.shrink.weights import store_float16, store_int8, with_stored
from whyport.runtime.batching import ROW_VALUES_KEY
from whyport.runtime.bundle.sidecar import MADE_FROM_KEY

Feeds = Mapping[str, NDArray[Any]]
"""Sample rows as the model takes them, by tensor, N long on the first axis."""


@dataclass(frozen=True)
class Maker:
    """How a precision makes graphs smaller: None where nothing can be; ExportError says what failed."""

    model: Callable[[onnx.ModelProto, Feeds], onnx.ModelProto | None]
    """The way to make the model itself smaller."""
    others: Callable[[onnx.ModelProto], onnx.ModelProto | None]
    """The way for all other graphs, which compute in float32: their sums must add up."""


def _stored(store: Any) -> Maker:
    made = partial(with_stored, store=store)
    return Maker(lambda model, feeds: made(model), made)


MAKERS: dict[str, Maker] = {
    "float16": _stored(store_float16),
    "weights-int8": _stored(store_int8),
    "dynamic-int8": Maker(lambda model, feeds: dynamic_int8(model), partial(with_stored, store=store_int8)),
    "int8": Maker(static_int8, partial(with_stored, store=store_int8)),
}
"""By precision, from the one that changes a model least."""


def smaller(content: bytes, digest: str, make: Callable[[onnx.ModelProto], onnx.ModelProto | None]) -> bytes | None:
    """A smaller ONNX file, whose metadata says which one it was made from; None where nothing can be made smaller.

    Args:
        content: the graph's file in full size.
        digest: its sha256.
        make: makes the graph smaller.
    """
    model = onnx.load_from_string(content)
    kept = {each.key: each.value for each in model.metadata_props if each.key == ROW_VALUES_KEY}
    del model.metadata_props[:]
    made = make(model)
    if made is None:
        return None
    made.ir_version = model.ir_version
    made.producer_name, made.producer_version = model.producer_name, model.producer_version
    del made.graph.value_info[:]
    onnx.helper.set_model_props(made, {MADE_FROM_KEY: digest, **kept})
    small: bytes = made.SerializeToString(deterministic=True)
    return small
