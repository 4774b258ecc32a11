"""The graphs that give reasons without PyTorch: explain.onnx and gradient.onnx, from DeepSHAP's program."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from whyport.exporter.deepshap.program import Program
from whyport.exporter.deepshap.rules.rule import Pair, settled
from whyport.exporter.reasons.lengths import OfLength
from whyport.runtime.bundle.lengths import Length
from whyport.runtime.bundle.references import References
from whyport.runtime.task import Task

REFERENCES = "references"
"""The constant of explain.onnx that stays as it is: what follows from it is computed where the graph is loaded."""


class _Reasons(nn.Module):
    """What both graphs compute first.

    Args:
        program: of the network.
        imputation: the value that replaces a NaN, by feature; None where the graphs do not impute.
        task: what the scores mean.
        head: what gives the task's outputs of scores [N, K].
    """

    identity: Tensor
    imputation: Tensor | None

    def __init__(self, program: Program, imputation: Sequence[float] | None, task: Task, head: nn.Module) -> None:
        super().__init__()
        self.program = program
        self.task = task
        self.head = head
        values = None if imputation is None else torch.tensor(imputation, dtype=torch.float32)
        self.register_buffer("imputation", values)
        self.register_buffer("identity", program.identity.reshape(program.identity.shape[-1], -1).clone())

    def imputed(self, rows: Tensor) -> Tensor:
        """The rows without missing values."""
        return rows if self.imputation is None else torch.where(torch.isnan(rows), self.imputation, rows)

    def explained(self, scores: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """The explained class [N] of rows with these scores, and a one for it among the classes, [1, N, 1, 1, C]."""
        explained = torch.where(index < 0, self.task.predicted(scores), index)
        return explained, self.identity.index_select(0, explained)[None, :, None, None, :]


class ExplainGraph(_Reasons):
    """explain.onnx: DeepSHAP's attributions of one class of each row, against references that are constants of it.

    Args:
        program: of the network; left in float32.
        imputation: see `_Reasons`.
        task: see `_Reasons`.
        head: see `_Reasons`.
        references: without missing values. Those of inputs of varying length have the most steps; each call cuts them
            to its rows' lengths.
        lengths: the inputs of varying length. Where the rows of a call differ in them, what it gives is NaN.
    """

    def __init__(
        self,
        program: Program,
        imputation: Sequence[float] | None,
        task: Task,
        head: nn.Module,
        references: References,
        lengths: Sequence[Length] = (),
    ) -> None:
        super().__init__(program, imputation, task, head)
        self.of_length = OfLength(lengths, references.rows.shape[1]) if lengths else None
        weights = torch.from_numpy(references.weights)
        with torch.no_grad():
            scores = program.double().activations(torch.from_numpy(references.rows).double())[0]
        program.float()
        self.register_buffer(REFERENCES, torch.from_numpy(references.rows))
        self.register_buffer("base_values", (weights @ scores).float())
        self.register_buffer("weights", weights.float())

    def forward(self, features: Tensor, class_index: Tensor) -> tuple[Tensor, ...]:
        """Raw rows [N, F] and class indices [N] to the outputs of explain.onnx."""
        of_rows, of_references = self.activations(self.imputed(features))
        explained, of_logits = self.explained(of_rows[0], class_index)

        def pair(position: int) -> Pair:
            return Pair(of_rows[position].unsqueeze(1), of_references[position].unsqueeze(0))

        row = pair(1)
        change = row.difference() * self.get_buffer("weights").unsqueeze(-1)
        multipliers = settled(self.program.multipliers(of_logits, pair, portable=True)[0], row)
        attribution = self.program.of_columns((multipliers * change).sum(1))
        attribution = self.program.of_one_length(attribution, of_rows[1], of_references[1])
        scores = of_rows[0]
        score = scores.gather(1, explained.unsqueeze(1)).squeeze(1)
        base_values = self.get_buffer("base_values")
        if self.of_length is not None:
            base_values = self.get_buffer("weights") @ of_references[0]
        base_value = base_values.index_select(0, explained)
        error = (attribution.sum(1) - (score - base_value)).abs()
        return *self.head(scores), explained, score, base_value, attribution, error

    def activations(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The activations of finite rows, and those of the references."""
        references = self.get_buffer(REFERENCES)
        if self.of_length is None:
            of_rows, of_references = (self.program.activations(each, portable=True) for each in (rows, references))
            return of_rows, of_references
        references = self.of_length(references, rows)
        every = self.program.activations(torch.cat([references, rows]), portable=True)
        count = len(references)
        return [value[count:] for value in every], [value[:count] for value in every]


class GradientGraph(_Reasons):
    """gradient.onnx: the derivative of one class's logit in the raw values; 0 where a value was imputed.

    Where row and reference are the same, every rule's multiplier is the operator's derivative.
    """

    def forward(self, features: Tensor, class_index: Tensor) -> tuple[Tensor, ...]:
        """Raw rows [N, F] and class indices [N] to the outputs of gradient.onnx."""
        of_rows = self.program.activations(self.imputed(features), portable=True)
        explained, of_logits = self.explained(of_rows[0], class_index)

        def pair(position: int) -> Pair:
            value = of_rows[position].unsqueeze(1)
            return Pair(value, value)

        gradient = self.program.multipliers(of_logits, pair, portable=True)[0, :, 0]
        gradient = self.program.of_one_length(gradient, of_rows[1])
        if self.imputation is not None:
            gradient = torch.where(torch.isnan(features), 0.0, gradient)
        scores = of_rows[0]
        score = scores.gather(1, explained.unsqueeze(1)).squeeze(1)
        return *self.head(scores), explained, score, gradient
