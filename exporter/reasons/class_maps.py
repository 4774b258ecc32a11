"""cam.onnx: the scores and the class activation maps of a network that ends in a mean over y and x.

Zhou et al. 2016, section 2: of maps A and scores `weights @ mean(A) + bias`, the map of class k is the sum over
channels of weights[k, c] A[c]. Its mean and the bias are the score. No gradient is needed.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.graphs.graph import capability
from whyport.exporter.graphs.names import free_name, used_names
from whyport.exporter.graphs.pooled_tail import PooledTail, find_pooled_tail
from whyport.exporter.graphs.pruning import prune
from whyport.runtime.bundle.class_maps import CAM
from whyport.runtime.bundle.inputs import ImagePreparation
from whyport.runtime.bundle.sidecar import CAM_MODEL, Capability
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ExportError

logger = logging.getLogger(__name__)

NO_PICTURE = "class activation maps are of a model whose only input is a picture"
"""Why a bundle of anything else has none."""


@dataclass(frozen=True)
class ClassMaps:
    """cam.onnx, with what the sidecar says of it."""

    file: OnnxFile
    outputs: tuple[TensorSpec, ...]
    """The scores [N, K], and the maps [N, K, y, x]."""
    bias: NDArray[np.float64]
    """[K]: the score of a target less the mean of its map."""

    def maps(self, feeds: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The maps [N, K, y, x] of what the graph takes."""
        made: NDArray[np.float32] = self.file.session.run([CAM], feeds)[0]
        return made


def compile_class_maps(draft: Draft, compiled: Compiled) -> tuple[ClassMaps | None, Capability]:
    """The graph, or why there is none.

    Args:
        draft: what is known of the bundle.
        compiled: the model.
    """
    if len(draft.inputs) != 1 or not isinstance(draft.inputs[0].prepare, ImagePreparation):
        return None, capability(NO_PICTURE)
    score = next(spec for spec in compiled.outputs if spec.name == draft.task.score)
    feeds = draft.feeds(draft.trace_rows().numpy()[:1])
    try:
        tail = find_pooled_tail(compiled.onnx.model, feeds, score.name)
    except ExportError as error:
        return None, capability(str(error))
    logger.info("compiling %s", CAM_MODEL)
    outputs = (score, TensorSpec(CAM, "float32", ("N", len(tail.offset), *tail.size)))
    return ClassMaps(OnnxFile(cam_graph(compiled.onnx.model, tail, score.name)), outputs, tail.offset), capability("")


def cam_graph(model: onnx.ModelProto, tail: PooledTail, score: str) -> onnx.ModelProto:
    """The graph with the scores and the maps as its outputs: a convolution of one by one of the last maps."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    used = used_names(graph)
    maps, weights = tail.maps, free_name("cam.weight", used)
    if tail.channels_last:
        maps = free_name("cam.channels_first", used)
        graph.node.append(helper.make_node("Transpose", [tail.maps], [maps], perm=[0, 3, 1, 2]))
    graph.node.append(helper.make_node("Conv", [maps, weights], [CAM], kernel_shape=[1, 1]))
    kernel = tail.weights.astype(np.float32)[:, :, None, None]
    graph.initializer.append(numpy_helper.from_array(kernel, weights))
    scores = [value for value in graph.output if value.name == score]
    scores.append(helper.make_tensor_value_info(CAM, TensorProto.FLOAT, ["N", len(tail.offset), *tail.size]))
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in scores]
    del graph.output[:]
    graph.output.extend(copies)
    prune(graph)
    return made
