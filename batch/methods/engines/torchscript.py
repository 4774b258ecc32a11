"""The bundle's TorchScript graph: scores and gradients of one output per row."""

import io
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyport.batch.methods.engines.card import full_float32
from whyport.batch.methods.engines.checked import running, shaped
from whyport.batch.methods.engines.model import Gradients, Model
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.layers import Layer, layers_of
from whyport.runtime.bundle.sidecar import TORCHSCRIPT_MODEL, task_of
from whyport.runtime.errors import BundleError, ProviderError, message_line
from whyport.runtime.providers import available_cores

# Rows of one forward and backward pass; passes run side by side, one thread each. Gradients of the hybrid model on
# 2 cores: 14 400 rows/s with 256 rows per pass, 12 300 with 1 024 (the tensors leave the cache), and 11 000 with
# both threads in each pass. Where other processes want the cores too: 8 000 rows/s against 440, because the threads
# of one pass wait for each other at every operator.
PASS_ROWS = 256
PASS_CELLS = 1 << 17
"""The most cells of such a pass: a network holds many values for each pixel of an image."""

# A GPU needs many rows at once; wide rows are fewer, for its memory. The same gradients on an H200: 75 000 rows/s with
# 256 rows per pass, 1.0 million with 4 096, and 2.6 million with 16 384, which take 320 MB.
CARD_PASS_ROWS = 16384
CARD_PASS_VALUES = 1 << 19

# Values of the rows of a pass that gives maps: the tensors between them take a hundred times as much memory.
MAP_PASS_VALUES = 1 << 20

RECURRENT = {"RNN", "LSTM", "GRU"}


class TorchScriptModel(Model):
    """A bundle's model.pt on a device.

    Args:
        bundle: model.pt is executed from the very bytes whose digest matched.
        device: "cpu" or "cuda".
        threads: passes that run side by side on the CPU; by default the cores that this process may use. The results
            do not depend on it.
    """

    engine = "TorchScript"

    def __init__(self, bundle: Bundle, device: str, threads: int | None = None) -> None:
        super().__init__(bundle)
        if device == "cuda" and not torch.cuda.is_available():
            raise ProviderError("device 'cuda': this PyTorch cannot use a CUDA card, which explanations need")
        self.device = torch.device(device)
        on_cpu = self.device.type == "cpu"
        self._pass_rows = pass_rows(bundle.sidecar.width) if on_cpu else card_pass_rows(bundle.sidecar.width)
        self._pool = ThreadPoolExecutor(
            (threads or available_cores()) if on_cpu else 1,
            "whyport-explain",
            initializer=torch.set_num_threads,
            initargs=(1,),
        )
        self._loaded: dict[str, tuple[Any, dict[str, str]]] = {}
        self._module = self.load(TORCHSCRIPT_MODEL)
        self._encodes = bundle.sidecar.has_categories
        """Whether a row's cells are not the row itself; only then has model.pt `cells` and `scored` for certain."""
        task = task_of(bundle.sidecar)
        self._targets = len(task.targets)
        self._place = [spec.name for spec in bundle.sidecar.signature.outputs].index(task.score)
        """The position of the scores among the graph's outputs."""
        if not on_cpu:
            allow_recurrent_backward(self._module)
            flatten_recurrent_weights(self._module)

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = np.empty((len(rows), self._targets), dtype=np.float32)

        @torch.no_grad()
        def run(part: slice) -> None:
            scores[part] = self._scores(self._module(self._tensor(rows[part])), part.stop - part.start).cpu().numpy()

        self.side_by_side(run, len(rows), self._pass_rows)
        return scores

    def cells(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._encodes:
            return rows
        cells = np.empty((len(rows), self.bundle.sidecar.width), dtype=np.float32)

        @torch.no_grad()
        def run(part: slice) -> None:
            made = self._module.cells(self._tensor(rows[part]))
            cells[part] = shaped("the cells", made, [part.stop - part.start, cells.shape[1]]).cpu().numpy()

        self.side_by_side(run, len(rows), self._pass_rows)
        return cells

    def gradients(self, cells: NDArray[np.float32], targets: NDArray[np.int64]) -> Gradients:
        gradients = np.empty_like(cells)
        scores = np.empty(len(cells), dtype=np.float64)

        def run(part: slice) -> None:
            leaf = self._tensor(cells[part]).requires_grad_()
            outputs = self._module.scored(leaf) if self._encodes else self._module(leaf)
            score = self._of_targets(outputs, self._tensor(targets[part]))
            (gradient,) = torch.autograd.grad(score.sum(), leaf)
            gradients[part] = gradient.cpu().numpy()
            scores[part] = score.detach().cpu().numpy()

        self.side_by_side(run, len(cells), self._pass_rows)
        return gradients, scores

    def class_maps(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Gradients:
        """The feature maps weighted by the target's gradient, positive values only, and its score [N].

        They are [N, positions], or [N, y, x]. Only the layers after the maps are differentiated. Raises BundleError if
        the maps are not [N, channels, positions] or [N, channels, y, x].
        """
        maps: list[NDArray[np.float32]] = [np.empty((0, 0), dtype=np.float32)] * -(-len(rows) // self._pass_rows)
        scores = np.empty(len(rows), dtype=np.float64)

        def run(part: slice) -> None:
            with torch.no_grad():
                features = self._module.features(self._tensor(rows[part]))
            if features.ndim not in (3, 4):
                expected = "[N, channels, positions] or [N, channels, y, x]"
                shape = ["N", *features.shape[1:]]
                raise BundleError(f"grad-cam: expected feature maps {expected}, got {shape}, of model.pt")
            axes = [None] * (features.ndim - 1)
            leaf = shaped("grad-cam", features, [part.stop - part.start, *axes]).detach().requires_grad_()
            score = self._of_targets(self._module.classify(leaf), self._tensor(targets[part]))
            (gradient,) = torch.autograd.grad(score.sum(), leaf)
            weights = gradient.flatten(2).mean(dim=2)[:, None]
            weighted = torch.matmul(weights, features.flatten(2)).reshape(-1, *features.shape[2:])
            maps[part.start // self._pass_rows] = torch.relu(weighted).cpu().numpy()
            scores[part] = score.detach().cpu().numpy()

        self.side_by_side(run, len(rows), self._pass_rows)
        return np.concatenate(maps), scores

    def layer_maps(
        self, rows: NDArray[np.float32], targets: NDArray[np.int64], layers: Sequence[Layer]
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
        """The maps of some layers, weighted as `class_maps` does, for J targets a row, and the targets' scores.

        One forward pass a row, and for each target one backward pass of what follows the first of the layers.

        Args:
            rows: [M, F].
            targets: [M, J].
            layers: some of those that the bundle names.

        Returns:
            Maps [M, J, y, x] of each layer, and scores [M, J].
        """
        every = layers_of(self.bundle.sidecar)
        places = [every.index(layer) for layer in layers]
        behind = len(self.bundle.sidecar.signature.outputs)
        maps = [np.empty((*targets.shape, *layer.shape), dtype=np.float32) for layer in layers]
        scores = np.empty(targets.shape, dtype=np.float64)

        def run(part: slice) -> None:
            count = part.stop - part.start
            zeros = [torch.empty(0, device=self.device) for _ in every]
            for place, layer in zip(places, layers, strict=True):
                zeros[place] = torch.zeros(count, layer.channels, 1, 1, device=self.device, requires_grad=True)
            given = self._module.layers(self._tensor(rows[part]), zeros)
            for j in range(targets.shape[1]):
                score = self._of_targets(given[:behind], self._tensor(targets[part, j]))
                more = j + 1 < targets.shape[1]
                gradients = torch.autograd.grad(score.sum(), [zeros[place] for place in places], retain_graph=more)
                for k, (place, layer) in enumerate(zip(places, layers, strict=True)):
                    shape = [count, layer.channels, *layer.shape]
                    features = shaped("grad-cam", given[behind + place], shape).detach()
                    weights = gradients[k].flatten(1)[:, None] / math.prod(layer.shape)
                    weighted = torch.matmul(weights, features.flatten(2)).reshape(-1, *layer.shape)
                    maps[k][part, j] = torch.relu(weighted).cpu().numpy()
                scores[part, j] = score.detach().cpu().numpy()

        pass_rows = max(1, min(self._pass_rows, MAP_PASS_VALUES // self.bundle.sidecar.width))
        self.side_by_side(run, len(rows), pass_rows)
        return maps, scores

    def load(self, name: str, records: dict[str, str] | None = None) -> Any:
        """Load a TorchScript file of the bundle on the device, in evaluation mode; BundleError for any other file.

        Args:
            name: the file's name.
            records: names of records to read from inside the file; filled with their text where they exist.
        """
        if name in self._loaded:
            module, own = self._loaded[name]
            if records is not None:
                records |= own
            return module
        content = self.bundle.read_bytes(name)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated", DeprecationWarning)
                module = torch.jit.load(  # type: ignore[no-untyped-call]
                    io.BytesIO(content), map_location=self.device, _extra_files=records
                )
        except Exception as error:  # a damaged archive raises many kinds
            place = str(self.bundle.path / name)
            raise BundleError(f"cannot load TorchScript: {message_line(error)}, in {place}") from None
        self._loaded[name] = module.eval(), dict(records or {})
        return module

    @contextmanager
    def running(self, file: str) -> Iterator[None]:
        """Run a file of the bundle: what it raises becomes BundleError, and a card keeps all of float32."""
        with running(self.bundle, file), nullcontext() if self.device.type == "cpu" else full_float32():
            yield

    def side_by_side(
        self, run: Callable[[slice], None], rows: int, pass_rows: int, file: str = TORCHSCRIPT_MODEL
    ) -> None:
        """Call `run` for slices of at most `pass_rows` of the rows, on as many threads as the model has.

        Raises BundleError for whatever goes wrong in the file's own code.
        """
        with self.running(file):
            for _ in self._pool.map(run, batch_slices(rows, pass_rows)):
                pass

    def _scores(self, outputs: Sequence[Tensor], rows: int) -> Tensor:
        """The scores [N, K] among the outputs of N rows."""
        return shaped("the scores", outputs[self._place], [rows, self._targets])

    def _of_targets(self, outputs: Sequence[Tensor], targets: Tensor) -> Tensor:
        """The score of each row's target, [N]."""
        return self._scores(outputs, len(targets)).gather(1, targets[:, None])[:, 0]

    def _tensor(self, values: NDArray[np.generic]) -> Tensor:
        return torch.tensor(values, device=self.device)


def allow_recurrent_backward(module: torch.jit.ScriptModule) -> None:
    """Let cuDNN run the backward pass of recurrent layers, which it refuses in evaluation mode.

    Only these layers go into training mode; the exporter has set their dropout to 0, so they compute the same.
    """
    for layer in module.modules():
        if getattr(layer, "original_name", None) in RECURRENT:
            layer.train()


def flatten_recurrent_weights(module: torch.jit.ScriptModule) -> None:
    """Lay the weights of recurrent layers out as cuDNN wants them; else it copies them, and warns, at every call."""
    for layer in module.modules():
        if getattr(layer, "original_name", None) in RECURRENT and hasattr(layer, "_flat_weights_names"):
            torch.nn.RNNBase.flatten_parameters(layer)  # type: ignore[arg-type]


def pass_rows(cells: int) -> int:
    """The number of rows of one pass on the CPU."""
    return max(1, min(PASS_ROWS, PASS_CELLS // cells))


def card_pass_rows(features: int) -> int:
    """The number of rows of one pass on a GPU."""
    return max(PASS_ROWS, min(CARD_PASS_ROWS, CARD_PASS_VALUES // features))
