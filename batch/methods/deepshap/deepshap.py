"""DeepSHAP by the bundle's compiled tensor program, against the whole background."""

import copy
import logging
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyport.batch.methods.engines.checked import shaped
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.deepshap import (
    PARTS_RECORD,
    PASS_PAIRS,
    Part,
    Program,
    pairs_per_pass,
    read_parts,
)
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import DEEPSHAP_MODEL

if TYPE_CHECKING:
    from whyport.batch.methods.deepshap.fused import FusedProgram

# Rows whose activations are computed together: too few rows do not keep the many small operators busy.
ACTIVATED_ROWS = 32

# The most memory of these rows' activations: those of an image are many.
ACTIVATED_BYTES = 1 << 24

# The activations of as many references are kept as fit into so much memory; the others' are made anew for such rows.
KEPT_BYTES = 3 << 24

# The largest value of a pass with fused kernels, which needs no grid of pairs between: smaller ones stay in the cache.
FUSED_PASS_BYTES = 1 << 22

# Pairs times features times classes of one pass on a GPU, which needs many at once. The demo model on an H200:
# 1 400 rows/s with the pairs of a pass on the CPU, 80 000 with these, which take half a gigabyte.
CARD_PASS_VALUES = 1 << 22

logger = logging.getLogger(__name__)

_References = tuple[list[Tensor], Tensor]
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
        asked, place = self._asked(request)
        values, scores, differences = self._single.explain(request.rows, asked, self.players)
        each = np.arange(len(asked))[:, None], asked
        error = np.abs(values.sum(axis=2) - differences[each])
        # Half of the allowed error is left for the difference between this engine's scores and ONNX Runtime's.
        allowed = self.allowed_error(scores[each], scores[each] - differences[each], asked)
        missed = np.flatnonzero(~(error <= 0.5 * allowed).all(axis=1))
        if len(missed):
            again = self._in_float64().explain(request.rows[missed], asked[missed], self.players)
            values[missed], scores[missed], _ = again
        evaluations = np.ones(len(request), dtype=np.int32)
        shares = values[request.row, place].astype(np.float32)
        return Shares(shares, scores[request.row, request.target], evaluations)

    def _asked(self, request: Request) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The targets that are computed for each row, [N, M], and the place of every explanation among its row's, [E].

        All targets of short rows, which cost no more than one; of long ones those that are asked for, the first again
        where other rows have more of them.
        """
        count = request.scores.shape[1]
        if not self._single.selects or request.width >= count:
            return np.tile(np.arange(count), (len(request.rows), 1)), request.target
        starts = np.searchsorted(request.row, np.arange(len(request.rows)))
        place = np.arange(len(request)) - starts[request.row]
        asked = request.target[starts].repeat(request.width).reshape(-1, request.width)
        asked[request.row, place] = request.target
        return asked, place

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
        self._given = references
        self._parts: FusedProgram | None = None
        with torch.no_grad():
            of_one = self._activations(references.rows[:1])
        sizes = [value.numel() * value.element_size() for value in of_one]
        self._pair_bytes, targets = max(sizes), of_one[0].shape[1]
        self._long = self._pairs(targets) < PASS_PAIRS
        self._activated_rows = max(1, min(ACTIVATED_ROWS, ACTIVATED_BYTES // sum(sizes)))
        self._slice = self._pairs(1 if self._long else targets)
        if self._long:
            self._slice = min(self._slice, self._activated_rows)
        self._kept: list[_References] = []
        self._base_values = np.zeros(targets)
        most = KEPT_BYTES // sum(sizes) if self._long else len(references.rows)
        self._kept_references = 0
        for activations, weights in self._references():
            self._base_values += (weights @ activations[0]).cpu().numpy()
            if self._kept_references + len(weights) <= most:
                self._kept.append((activations, weights))
                self._kept_references += len(weights)

    @property
    def selects(self) -> bool:
        """Whether single targets are explained for less than all of them: of long rows, part by part."""
        return self._long and self._parts is not None

    def fuse(self, parts: list[Part | None]) -> None:
        """Use fused kernels for the parts that have one; in float32 on the CPU."""
        try:
            from whyport.batch.methods.deepshap.fused import FusedProgram
        except ImportError as error:
            logger.info("deepshap runs without its fused kernels: %s", error)
        else:
            self._parts = FusedProgram(self._module, parts)

    def explain(self, rows: NDArray[np.float32], asked: NDArray[np.int64], players: PlayerMap) -> Explained:
        """The attributions [N, M, G] of some targets' logits, all logits [N, C], and their differences from the base.

        Args:
            rows: N rows [N, F].
            asked: M targets of each row, [N, M]; without `selects`, all of them in order.
            players: what the attributions are of.
        """
        values = np.empty((*asked.shape, len(players)))
        logits = np.empty((len(rows), len(self._base_values)))
        pairs = self._pairs(asked.shape[1])
        if self.selects:
            pairs = max(1, min(pairs, FUSED_PASS_BYTES // (self._pair_bytes * asked.shape[1])))
        if self._model.device.type != "cpu":
            pairs = max(pairs, CARD_PASS_VALUES // (rows.shape[1] * asked.shape[1]))
        # As many rows as fill a pass with their pairs.
        pass_rows = max(1, pairs // len(self._given.rows))

        @torch.no_grad()
        def run(part: slice) -> None:
            of_rows = self._activations(rows[part])
            logits[part] = of_rows[0].cpu().numpy()
            inside = list(batch_slices(len(of_rows[0]), pass_rows))
            totals: list[Tensor | None] = [None] * len(inside)
            for activations, weights in chain(self._kept, self._references(self._kept_references)):
                for i, some in enumerate(inside):
                    of_some = [value[some] for value in of_rows]
                    for few in batch_slices(len(weights), max(pairs, 1)):
                        of_few = [value[few] for value in activations], weights[few]
                        shares = self._attribute(of_some, *of_few, asked[part][some])
                        shape = (some.stop - some.start, asked.shape[1], rows.shape[1])
                        total, shares = totals[i], shaped("the attributions", shares, shape)
                        totals[i] = shares if total is None else total + shares
            for some, total in zip(inside, totals, strict=True):
                assert total is not None
                values[part][some] = players.sum_columns(total.cpu().numpy().astype(np.float64))

        at_once = self._activated_rows if self._long else max(ACTIVATED_ROWS, pass_rows)
        self._model.side_by_side(run, len(rows), at_once, DEEPSHAP_MODEL)
        return values, logits, logits - self._base_values

    def _attribute(
        self, of_rows: list[Tensor], of_references: list[Tensor], weights: Tensor, asked: NDArray[np.int64]
    ) -> Tensor:
        """The attributions [N, M, F] of the targets asked for."""
        if self._parts is None:
            attributions: Tensor = self._module.attribute(of_rows, of_references, weights)
            return attributions
        if asked.shape[1] == len(self._base_values):
            return self._parts.attribute(of_rows, of_references, weights)
        one = torch.nn.functional.one_hot(torch.tensor(asked.T.copy()), len(self._base_values)).to(self._dtype)
        return self._parts.attribute(of_rows, of_references, weights, one[:, :, None, None])

    def _pairs(self, targets: int) -> int:
        """The pairs of a pass that explains so many targets of each row."""
        return pairs_per_pass(self._pair_bytes * targets)

    def _references(self, start: int = 0) -> Iterator["_References"]:
        """Activations and weights of the references from one on, in slices that do not grow with their number."""
        rows, every = self._given.rows[start:], self._given.weights[start:]
        for part in batch_slices(len(rows), self._slice):
            with torch.no_grad():
                yield self._activations(rows[part]), self._tensor(every[part])

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
