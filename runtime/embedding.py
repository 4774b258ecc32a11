"""From rows of ids of tokens to rows of their embeddings, by a bundle's embed.onnx."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.batching import rows_per_call
from whyport.runtime.bundle.embedded import embed_graph, embedded_name, embedded_rows
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.inputs.feeds import input_feeds
from whyport.runtime.runner import Runner

if TYPE_CHECKING:
    from whyport.runtime.session import Session


class Embedding:
    """A session of texts as one of the embeddings of their tokens.

    Args:
        bundle: the bundle of the texts.
        session: the session of its view, whose rows hold embeddings.
    """

    def __init__(self, bundle: Bundle, session: "Session") -> None:
        self.session = session
        self._inputs = bundle.sidecar.inputs
        graph = embed_graph(bundle.sidecar)
        assert graph is not None
        self._graph = graph
        sizes = rows_per_call(session.bundle.sidecar.width)
        content = bundle.read_bytes(graph.file)
        self._runner = Runner(graph.file, content, session.provider.device, session.threads, sizes)

    def rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows of ids [N, F] as rows of embeddings; their memory is the caller's to bound."""
        feeds = input_feeds(self._inputs, rows)
        given = {spec.name: feeds[spec.name] for spec in self._graph.inputs}
        found = self._runner.run(given, self._graph.outputs)
        texts = {each.tensors[0].name: each.name for each in self._inputs}
        embedded = {texts[name]: found[embedded_name(name)] for name in given}
        return embedded_rows(self._inputs, rows, embedded)

    def metadata(self) -> dict[str, str]:
        """The metadata_props of embed.onnx."""
        return self._runner.metadata()
