"""The last step of every graph: a model's scores to the outputs that its task names."""

from typing import final

import torch
from torch import Tensor, nn

from whyport.runtime.task import Classification, ProbabilityClassification


@final
class LogitsHead(nn.Module):
    """Logits [N, C] to logits and probabilities."""

    def forward(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        return scores, torch.softmax(scores, dim=1)


@final
class ProbabilitiesHead(nn.Module):
    """Probabilities [N, C], which are the scores, as they are."""

    def forward(self, scores: Tensor) -> tuple[Tensor]:
        return (scores,)


HEADS: dict[str, type[nn.Module]] = {
    Classification.name: LogitsHead,
    ProbabilityClassification.name: ProbabilitiesHead,
}
"""By the task's name: what gives `Task.outputs`, in order, as a tuple."""
