"""One ONNX graph of a bundle, called with slices of rows, side by side on the CPU."""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.batching import batch_slices, suitable_rows, taken
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleError, message_line
from whyport.runtime.providers import CUDA, Provider, load_onnxruntime, open_session


class Runner:
    """A graph on an execution provider.

    Args:
        name: the ONNX file's name, for messages.
        model: its content.
        device: "cpu", "cuda" or "auto".
        threads: calls that run side by side on the CPU, one thread each. The results do not depend on it.
        batch_rows: rows per call, by device; by default a number that suits the device and the graph.

    Raises ProviderError if the device is not available, and BundleError if ONNX Runtime cannot open the graph.
    """

    provider: Provider
    """The graph's actual provider."""

    def __init__(
        self, name: str, model: bytes, device: str, threads: int, batch_rows: Mapping[str, int] | None = None
    ) -> None:
        self._name = name
        self._onnxruntime = load_onnxruntime()
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # Errors alone: on a card it warns of every graph that operators on shapes run on the CPU, as they should.
        options.log_severity_level = 3
        # Else ONNX Runtime would take another format, too, which the check for external data does not read.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self._session, self.provider = open_session(model, device, options, self._onnxruntime)
        except BundleError as error:
            raise error.at(name) from None
        device = self.provider.device
        self.batch_rows = suitable_rows(device, self.metadata()) if batch_rows is None else batch_rows[device]
        self._workers = threads if device == "cpu" else 1
        # The calling thread works too.
        self._pool = ThreadPoolExecutor(max(self._workers - 1, 1), "whyport-predict")

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[TensorSpec]) -> dict[str, NDArray[Any]]:
        """The outputs, N long on the first axis, from inputs of N rows each, by name; empty arrays for N = 0.

        Raises BundleError if the graph cannot be run, or if an output has another type or shape than its spec says.
        """
        rows = len(next(iter(feeds.values())))
        results: dict[str, NDArray[Any]] = {}
        starting = Lock()

        # Without rows there are no slices: ONNX Runtime would abort the process on an empty batch through an LSTM.
        waiting = deque(batch_slices(rows, self.batch_rows))

        def run() -> None:
            # A free thread takes the next call: a task per call would cost a small model more than the call itself.
            try:
                for part in taken(waiting):
                    of_part = {name: np.ascontiguousarray(values[part]) for name, values in feeds.items()}
                    got = self._call(of_part, [spec.name for spec in outputs])
                    for spec, values in zip(outputs, got, strict=True):
                        self._check(spec, values, part.stop - part.start)
                    with starting:  # memory is taken for shapes that the graph has, whatever the bundle says
                        if not results:
                            results.update(_empty(outputs, rows))
                    for spec, values in zip(outputs, got, strict=True):
                        results[spec.name][part] = values
            except BaseException:
                waiting.clear()
                raise

        helpers = [self._pool.submit(run) for _ in range(min(self._workers, len(waiting)) - 1)]
        run()
        for helper in helpers:
            helper.result()
        return results or _empty(outputs, rows)

    def metadata(self) -> dict[str, str]:
        """The graph's metadata_props; raises BundleError if they are no text."""
        try:
            return dict(self._session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError as error:
            raise BundleError(f"expected metadata in UTF-8, got {error}, in {self._name}") from None

    def _call(self, feeds: dict[str, NDArray[Any]], names: list[str]) -> list[NDArray[Any]]:
        try:
            if self.provider is not CUDA or any(values.dtype == object for values in feeds.values()):
                # Texts cannot be on the card: ONNX Runtime looks their categories up on the CPU.
                plain: list[NDArray[Any]] = self._session.run(names, feeds)
                return plain
            on_card = self._onnxruntime.OrtValue.ortvalue_from_numpy
            given = {name: on_card(values, "cuda", 0) for name, values in feeds.items()}
            return run_bound(self._session, given, names)
        except Exception as error:  # ONNX Runtime's own errors have no common class
            raise BundleError(f"ONNX Runtime cannot run it: {message_line(error)}, in {self._name}") from None

    def _check(self, spec: TensorSpec, values: Any, rows: int) -> None:
        """Refuse an output that would otherwise be broadcast or converted to what the bundle says."""
        expected = f"{spec.dtype} {[rows, *spec.row_shape()]}"
        got = f"{values.dtype} {list(values.shape)}" if isinstance(values, np.ndarray) else type(values).__name__
        if got != expected:
            raise BundleError(f"output {spec.name!r}: expected {expected} for {rows} rows, got {got}, in {self._name}")


def _empty(outputs: Sequence[TensorSpec], rows: int) -> dict[str, NDArray[Any]]:
    """Arrays for the outputs of that many rows."""
    return {spec.name: np.empty((rows, *spec.row_shape()), dtype=np.dtype(spec.dtype)) for spec in outputs}


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
