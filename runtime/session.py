"""Fast batched inference with ONNX Runtime."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.batching import batch_slices, taken
from runtime.bundle import ONNX_MODEL, Bundle
from runtime.columns import Columns, column_arrays
from runtime.errors import MissingValueError, UsageError, ValueRangeError, unknown
from runtime.providers import CUDA, Provider, available_cores, load_onnxruntime, open_session

# Rows of one call of ONNX Runtime. On the CPU, calls of a few hundred rows run side by side, one thread each: on 2
# cores the hybrid model reaches 61 000 rows/s so, against 42 000 when the threads share one call of any size; 256 rows
# suit it best (64 000), 2 048 an MLP (3.4 million against 2.4), and 512 neither badly. A card wants many at once.
BATCH_ROWS = {"cpu": 512, "cuda": 16384}


class Session:
    """A bundle on an execution provider, with batching.

    Args:
        bundle: the bundle whose model.onnx is run.
        device: "cpu", "cuda", or "auto" (CUDA where it works); what is asked for is what it gets, or ProviderError.
        threads: calls of ONNX Runtime that run side by side on the CPU; by default the cores that this process may
            use. The results do not depend on it.
        batch_rows: rows of one call of ONNX Runtime; by default what suits the device.
    """

    provider: Provider
    """The provider that the session really got."""

    def __init__(
        self,
        bundle: Bundle,
        device: str = "auto",
        *,
        threads: int | None = None,
        batch_rows: int | None = None,
    ) -> None:
        for name, number in (("threads", threads), ("batch_rows", batch_rows)):
            if number is not None and number < 1:
                raise UsageError(f"{name}: expected at least 1, got {number}")
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.bundle = bundle
        self.threads = threads or available_cores()
        self._onnxruntime = onnxruntime
        self._session, self.provider = open_session(bundle.read_bytes(ONNX_MODEL), device, options, onnxruntime)
        self.batch_rows = batch_rows or BATCH_ROWS[self.provider.device]
        self._workers = self.threads if self.provider.device == "cpu" else 1
        # The thread that asks works too.
        self._pool = ThreadPoolExecutor(max(self._workers - 1, 1), "whyport-predict")
        self._columns = Columns.of(bundle.sidecar.features)

    def predict(self, rows: Any, outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Run the model on raw feature values.

        Args:
            rows: an array [N, F], a mapping from column names to arrays [N], or a pandas- or polars-like frame. Any
                numeric type; NaN stands for a missing value, which only a bundle that imputes accepts.
            outputs: names of the outputs to compute; by default all of the signature's.

        Returns:
            An array by output name, N long on the first axis; empty arrays for N = 0.

        Raises:
            ColumnError, ValueRangeError, MissingValueError: the rows do not fit; UsageError: unknown output.
        """
        return self.run(self.matrix(rows), outputs)

    def matrix(self, rows: Any) -> NDArray[np.float32]:
        """The float32 matrix [N, F] that `predict` would run for these rows; raises as it does."""
        matrix = self._columns.matrix(column_arrays(rows, self._columns.names))
        if not np.isfinite(matrix).all():
            self._check_missing(matrix)
        return matrix

    def run(self, matrix: NDArray[np.float32], outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """As `predict`, for a float32 matrix [N, F] that `matrix` made."""
        signature = self.bundle.sidecar.signature
        known = [spec.name for spec in signature.outputs]
        names = known if outputs is None else list(outputs)
        for name in names:
            if name not in known:
                raise UsageError(unknown("output", name, known))
        specs = [signature.output(name) for name in names]
        results = {spec.name: np.empty((len(matrix), *spec.row_shape()), dtype=np.dtype(spec.dtype)) for spec in specs}

        # Without rows there are no slices: ONNX Runtime would abort the process on an empty batch through an LSTM.
        waiting = deque(batch_slices(len(matrix), self.batch_rows))

        def run() -> None:
            # Whoever is free takes the next call: a task for each would cost a small model more than the call itself.
            try:
                for rows in taken(waiting):
                    for name, values in zip(names, self._run_batch(matrix[rows], names), strict=True):
                        results[name][rows] = values
            except BaseException:
                waiting.clear()
                raise

        helpers = [self._pool.submit(run) for _ in range(min(self._workers, len(waiting)) - 1)]
        run()
        for helper in helpers:
            helper.result()
        return results

    def embedded_metadata(self) -> dict[str, str]:
        """The metadata_props of model.onnx."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def _run_batch(self, batch: NDArray[np.float32], names: list[str]) -> list[NDArray[Any]]:
        batch = np.ascontiguousarray(batch)
        feed = self.bundle.sidecar.signature.features.name
        if self.provider is not CUDA:
            plain: list[NDArray[Any]] = self._session.run(names, {feed: batch})
            return plain
        return run_bound(self._session, feed, self._onnxruntime.OrtValue.ortvalue_from_numpy(batch, "cuda", 0), names)

    def _check_missing(self, matrix: NDArray[np.float32]) -> None:
        """Refuse infinities, and NaN where the bundle does not impute."""
        for row, j in np.argwhere(np.isinf(matrix)):
            raise ValueRangeError(f"{self._place(row, j)}: expected a finite value, got {matrix[row, j]}")
        if self.bundle.sidecar.preprocessing.imputation is None:
            for row, j in np.argwhere(np.isnan(matrix)):
                raise MissingValueError(f"{self._place(row, j)}: got NaN, and this bundle does not impute")

    def _place(self, row: int, j: int) -> str:
        return f"column {self._columns.names[j]!r}, row {row}"


def run_bound(session: Any, feed: str, batch: Any, names: Sequence[str]) -> list[NDArray[Any]]:
    """One call with IO binding: the input lies on the device already, each output crosses to the host once."""
    binding = session.io_binding()
    binding.bind_ortvalue_input(feed, batch)
    for name in names:
        binding.bind_output(name, batch.device_name())
    session.run_with_iobinding(binding)
    outputs: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
    return outputs
