"""One ONNX graph of a bundle, called with slices of rows, side by side on the CPU."""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.batching import batch_slices, suitable_rows, taken
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.providers import CUDA, Provider, load_onnxruntime, open_session


class Runner:
    """A graph on an execution provider.

    Args:
        model: the ONNX file's content.
        device: "cpu", "cuda" or "auto".
        threads: calls that run side by side on the CPU, one thread each. The results do not depend on it.
        batch_rows: rows per call, by device; by default a number that suits the device and the graph.
    """

    provider: Provider
    """The graph's actual provider."""

    def __init__(self, model: bytes, device: str, threads: int, batch_rows: Mapping[str, int] | None = None) -> None:
        self._onnxruntime = load_onnxruntime()
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session, self.provider = open_session(model, device, options, self._onnxruntime)
        device = self.provider.device
        self.batch_rows = suitable_rows(device, self.metadata()) if batch_rows is None else batch_rows[device]
        self._workers = threads if device == "cpu" else 1
        # The calling thread works too.
        self._pool = ThreadPoolExecutor(max(self._workers - 1, 1), "whyport-predict")

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[TensorSpec]) -> dict[str, NDArray[Any]]:
        """The outputs, N long on the first axis, from inputs of N rows each, by name; empty arrays for N = 0."""
        rows = len(next(iter(feeds.values())))
        results = {spec.name: np.empty((rows, *spec.row_shape()), dtype=np.dtype(spec.dtype)) for spec in outputs}

        # Without rows there are no slices: ONNX Runtime would abort the process on an empty batch through an LSTM.
        waiting = deque(batch_slices(rows, self.batch_rows))

        def run() -> None:
            # A free thread takes the next call: a task per call would cost a small model more than the call itself.
            try:
                for part in taken(waiting):
                    of_part = {name: np.ascontiguousarray(values[part]) for name, values in feeds.items()}
                    for (_, values), got in zip(results.items(), self._call(of_part, list(results)), strict=True):
                        values[part] = got
            except BaseException:
                waiting.clear()
                raise

        helpers = [self._pool.submit(run) for _ in range(min(self._workers, len(waiting)) - 1)]
        run()
        for helper in helpers:
            helper.result()
        return results

    def metadata(self) -> dict[str, str]:
        """The graph's metadata_props."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def _call(self, feeds: dict[str, NDArray[Any]], names: list[str]) -> list[NDArray[Any]]:
        if self.provider is not CUDA:
            plain: list[NDArray[Any]] = self._session.run(names, feeds)
            return plain
        on_card = self._onnxruntime.OrtValue.ortvalue_from_numpy
        return run_bound(self._session, {name: on_card(values, "cuda", 0) for name, values in feeds.items()}, names)


def run_bound(session: Any, feeds: Mapping[str, Any], names: Sequence[str]) -> list[NDArray[Any]]:
    """Make one call with IO binding: the inputs are on the device already, each output is copied to the host once."""
    binding = session.io_binding()
    for name, values in feeds.items():
        binding.bind_ortvalue_input(name, values)
        device = values.device_name()
    for name in names:
        binding.bind_output(name, device)
    session.run_with_iobinding(binding)
    outputs: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
    return outputs
