"""Keras 3 on PyTorch: files named *.keras, read in Keras' safe mode, and models in memory."""

import json
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whyport.exporter.data.images import given_scale
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.one_input import OneInput, one_input
from whyport.exporter.graphs.onnx import DEFAULT_OPSET, export_onnx
from whyport.exporter.graphs.outputs import Place, find_scores
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.exporter.kinds.facts import ModelFacts
from whyport.exporter.kinds.keras_backend import import_keras
from whyport.exporter.kinds.kind import Kind
from whyport.exporter.networks.compile import compile_onnx_network
from whyport.exporter.source import AUTO
from whyport.exporter.verify.engines import onnx_outputs
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.errors import ExportError, first_line
from whyport.runtime.extras import needs
from whyport.runtime.parity import deviation
from whyport.runtime.task import Regression

SCORES = "scores"
PREDICTED_ROWS = 4096
"""How many rows one call of Keras takes."""
OWN_CODE = (
    "only Keras' own layers are read from a file; for others, write a function without arguments that returns the "
    "model, and name that, MODULE:NAME"
)
REGRESSION_LOSSES = {
    *("meansquarederror", "meanabsoluteerror", "meanabsolutepercentageerror", "meansquaredlogarithmicerror"),
    *("mse", "mae", "mape", "msle", "huber", "logcosh", "poisson"),
}
"""The losses of quantities, in small letters and without underscores."""


@final
class KerasModel(Kind):
    """A Keras model on PyTorch, as a file or in memory."""

    options = frozenset({"--opset"})
    refusal = "is for PyTorch modules: a Keras model has its weights and its preprocessing inside"
    packages = ("keras",)
    advice = "export it yourself, with model.export(FILE, format='onnx'), and name that file"
    _place = Place()
    _output = ""
    _width = 0
    _front: nn.Module = nn.Identity()
    """What makes the network's tensor of rows."""

    def facts(self, columns: tuple[str, ...]) -> ModelFacts:
        shape = getattr(self._network, "input_shape", None)
        if self.source.inputs:
            return ModelFacts(task=self._own_task)
        if isinstance(shape, list | dict):
            raise ExportError(f"{self.label}: expected one input [N, F], got {len(shape)} inputs")
        if shape is not None and len(shape) != 2:
            got = ", ".join("N" if size is None else str(size) for size in shape)
            raise ExportError(f"{self.label}: expected one input [N, F], got [{got}]; a Reshape in front takes rows")
        return ModelFacts(width=None if shape is None else shape[1], task=self._own_task)

    @property
    def _own_task(self) -> str | None:
        """A regression where the loss says so and the user nothing: classifiers too are so trained, if seldom."""
        return Regression.name if self.source.task == AUTO and self._loss in REGRESSION_LOSSES else None

    def compile(self, draft: Draft) -> Compiled:
        rows, task = draft.trace_rows(), type(draft.task)
        if draft.given:
            scale = given_scale(self.source.inputs, channels_first=False)
            self._front = OneInput(one_input(draft.given, self.label), scale)
        with _on_cpu():
            try:
                made = self._network(self._front(rows), training=False)
                self._place = find_scores(made, task, self.source.output)
            except (TypeError, ValueError, RuntimeError) as error:
                raise ExportError(
                    f"{self.label} fails on rows of shape {list(rows.shape)}: {_reason(error)}"
                ) from error
            with _for_any_rows(self._network):
                model = export_onnx(
                    _Scores(self._network, self._place, self._front).eval(),
                    {INPUT: rows},
                    [SCORES],
                    self.opset or DEFAULT_OPSET,
                )
        compiled = compile_onnx_network(model, draft, SCORES)
        engine = onnx_outputs(compiled.onnx.session, compiled.names, draft.feeds)
        given, outputs = self._predict(rows.numpy()), engine(rows.numpy())
        fitting = [
            name
            for name, values in outputs.items()
            if deviation(_as_output(name, given, values.shape[1]), values) <= TOLERANCES["outputs"]
        ]
        self._output, self._width = (fitting or compiled.names)[0], compiled.outputs[0].row_shape()[0]
        return compiled

    def native(self, rows: NDArray[np.floating[Any]], draft: Draft) -> dict[str, NDArray[Any]]:
        return {self._output: _as_output(self._output, self._predict(rows), self._width)}

    def _predict(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """What Keras predicts for rows [N, F]: [N, K]."""
        with _on_cpu():
            taken = self._front(torch.from_numpy(rows.astype(np.float32))).numpy()
            given = self._network.predict(taken, batch_size=PREDICTED_ROWS, verbose=0)
        values: NDArray[np.float32] = np.asarray(self._place.of(given), dtype=np.float32)
        return values.reshape(len(rows), -1)

    @cached_property
    @needs("keras")
    def _network(self) -> Any:
        """The model itself; from a file, nothing but Keras' own code is run."""
        keras = import_keras()
        if self.file is None:
            return self.model.cpu()  # Keras makes its weights on a card where there is one
        if not zipfile.is_zipfile(self.file):
            raise ExportError(f"{self.label} is not a .keras file, as model.save(FILE) of Keras 3 writes it")
        try:
            with _on_cpu():
                return keras.saving.load_model(self.file, compile=False, safe_mode=True)
        except Exception as error:  # whatever Keras raises on a file
            raise ExportError(f"{self.label} cannot be read: {_reason(error)}; {OWN_CODE}") from error

    @property
    def _loss(self) -> str:
        """The name of the loss that the model was trained with, in small letters; empty where it is not known."""
        if self.file is None:
            loss: Any = getattr(self.model, "loss", None)
            name = loss if isinstance(loss, str) else getattr(loss, "name", "") or getattr(loss, "__name__", "")
        else:
            with zipfile.ZipFile(self.file) as archive:
                loss = (json.loads(archive.read("config.json")).get("compile_config") or {}).get("loss")
            name = loss.get("class_name", "") if isinstance(loss, dict) else loss
        return name.replace("_", "").lower() if isinstance(name, str) else ""


@final
class _Scores(nn.Module):
    """A Keras model's scores, as it gives them when it is not trained."""

    def __init__(self, network: Any, place: Place, front: nn.Module) -> None:
        super().__init__()
        self.network, self.place, self.front = network, place, front

    def forward(self, rows: Tensor) -> Tensor:
        """Rows [N, F] to scores in float32, whichever type its layers compute in."""
        scores: Tensor = self.place.of(self.network(self.front(rows), training=False))
        return scores.float()


def _as_output(name: str, given: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Predictions [N, K] as the output of the name: one logit or probability stands for those of both classes."""
    if given.shape[1] == width or width != 2:
        return given
    return np.concatenate([1 - given if name == "probabilities" else -given, given], axis=1)


def _reason(error: Exception) -> str:
    """The first sentence of an error: Keras goes on with how to run code that nobody has read."""
    return first_line(error).partition(". ")[0].rstrip(".")


@contextmanager
def _for_any_rows(network: Any) -> Iterator[None]:
    """The network without what would hold the number of rows in its graph, and does not matter to what it gives.

    These are the loops that Keras writes for recurrent layers, in place of one step after the other, and the losses of
    activities, which are divided by the number.
    """
    with ExitStack() as stack:
        for layer in network._flatten_layers():
            for name, value in (("unroll", True), ("activity_regularizer", None)):
                if hasattr(layer, name):
                    stack.callback(setattr, layer, name, getattr(layer, name))
                    setattr(layer, name, value)
        yield


@contextmanager
def _on_cpu() -> Iterator[None]:
    """Keras on the CPU, without warnings: its own code uses what NumPy and PyTorch have deprecated."""
    with warnings.catch_warnings(), import_keras().device("cpu"), torch.no_grad():
        warnings.simplefilter("ignore")
        yield
