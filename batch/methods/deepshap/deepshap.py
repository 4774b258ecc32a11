"""DeepSHAP by the bundle's compiled tensor program, against the whole background."""

import copy
import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyport.batch.methods.engines.checked import shaped
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.deepshap import PARTS_RECORD, Part, Program, pairs_per_pass, read_parts
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import DEEPSHAP_MODEL

# Rows whose activations are computed together: too few rows do not keep the many small operators busy.
ACTIVATED_ROWS = 32

# Pairs times features times classes of one pass on a GPU, which needs many at once. The demo model on an H200:
# 1 400 rows/s with the pairs of a pass on the CPU, 80 000 with these, which take half a gigabyte.
CARD_PASS_VALUES = 1 << 22

logger = logging.getLogger(__name__)

Explained = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


class DeepShap(Explainer):
    """The mean over references of multiplier x (x_i - r_i); Lundberg & Lee 2017, section 4.2.

    Every rule conserves, so shares add up to rounding. Rows that still miss the tolerance are redone in float64.
    """

    only_rounds = True

    def __init__(self, model: TorchScriptModel, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        assert self.references is not None
        self._torchscript = model
        records = {PARTS_RECORD: ""}
        self._module = model.load(DEEPSHAP_MODEL, records)
        with model.running(DEEPSHAP_MODEL):
            self._single = _Program(self._module, model, self.references, torch.float32)
            if model.device.type == "cpu" and records[PARTS_RECORD]:
                self._single.fuse(read_parts(records[PARTS_RECORD]))
        self._double: _Program | None = None

    def choose_references(self, background: References) -> References:
        return background

    def attribute(self, request: Request) -> Shares:
        values, scores, differences = self._single.explain(request.rows)
        error = np.abs(values.sum(axis=2) - differences)
        # Half of the allowed error is left for the difference between this engine's scores and ONNX Runtime's.
        allowed = self.allowed_error(scores, scores - differences, np.arange(scores.shape[1]))
        missed = np.flatnonzero(~(error <= 0.5 * allowed).all(axis=1))
        if len(missed):
            values[missed], scores[missed], _ = self._in_float64().explain(request.rows[missed])
        evaluations = np.ones(len(request), dtype=np.int32)
        each = request.row, request.target
        of_players = self.players.sum_columns(values[each])
        return Shares(of_players.astype(np.float32), scores[each], evaluations)

    def _in_float64(self) -> "_Program":
        """The program in float64, made when the first row needs it."""
        if self._double is None:
            assert self.references is not None
            with self._torchscript.running(DEEPSHAP_MODEL):
                module = copy.deepcopy(self._module).double()
                self._double = _Program(module, self._torchscript, self.references, torch.float64)
        return self._double


class _Program:
    """The compiled program in one precision, with the references' half of the work done.

    Args:
        module: deepshap.pt.
        model: runs passes side by side, on its device.
        references: R rows and their weights.
        dtype: the precision.
    """

    def __init__(self, module: Program, model: TorchScriptModel, references: References, dtype: torch.dtype) -> None:
        self._module, self._model, self._dtype = module, model, dtype
        self._attribute = module.attribute
        self._references: list[tuple[list[Tensor], Tensor]] = []
        with torch.no_grad():
            of_one = self._activations(references.rows[:1])
            largest = max(value.numel() * value.element_size() for value in of_one)
            pairs = pairs_per_pass(largest * of_one[0].shape[1])
            # In slices: memory does not grow with rows x references.
            for part in batch_slices(len(references.rows), pairs):
                weights = self._tensor(references.weights[part])
                self._references.append((self._activations(references.rows[part]), weights))
        base_values = [(weights @ activations[0]).cpu().numpy() for activations, weights in self._references]
        self._base_values = np.sum(base_values, axis=0)
        # As many rows as fill a pass with their pairs.
        if model.device.type != "cpu":
            pairs = max(pairs, CARD_PASS_VALUES // (references.rows.shape[1] * len(self._base_values)))
        self._pass_rows = max(1, pairs // len(references.rows))

    def fuse(self, parts: list[Part | None]) -> None:
        """Use fused kernels for the parts that have one; in float32 on the CPU."""
        try:
            from whyport.batch.methods.deepshap.fused import FusedProgram
        except ImportError as error:
            logger.info("deepshap runs without its fused kernels: %s", error)
        else:
            self._attribute = FusedProgram(self._module, parts).attribute

    def explain(self, rows: NDArray[np.float32]) -> Explained:
        """The attributions [N, C, F] of every logit, the logits [N, C], and their differences from the base values."""
        values = np.empty((len(rows), len(self._base_values), rows.shape[1]))
        logits = np.empty(values.shape[:2])

        @torch.no_grad()
        def run(part: slice) -> None:
            of_rows = self._activations(rows[part])
            logits[part] = of_rows[0].cpu().numpy()
            for some in batch_slices(len(of_rows[0]), self._pass_rows):
                of_some = [value[some] for value in of_rows]
                shape = (some.stop - some.start, *values.shape[1:])
                shares = [
                    shaped("the attributions", self._attribute(of_some, *references), shape)
                    for references in self._references
                ]
                values[part][some] = sum(shares[1:], shares[0]).cpu().numpy()

        self._model.side_by_side(run, len(rows), max(ACTIVATED_ROWS, self._pass_rows), DEEPSHAP_MODEL)
        return values, logits, logits - self._base_values

    def _activations(self, rows: NDArray[np.float32]) -> list[Tensor]:
        """The activations of rows [N, F]: tensors with N in front, the logits [N, C] first."""
        activations = self._module.activations(self._tensor(rows))
        logits, *others = activations
        shaped("the logits", logits, [len(rows), len(self._model.bundle.sidecar.targets)])
        for i, value in enumerate(others, 1):
            shaped(f"activation {i}", value, [len(rows), *value.shape[1:]])
        return activations

    def _tensor(self, values: NDArray[np.floating[Any]]) -> Tensor:
        return torch.tensor(values, device=self._model.device, dtype=self._dtype)
