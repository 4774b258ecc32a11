"""The last steps of every graph: a model's scores to the outputs that its task names."""

from typing import final

import torch
from torch import Tensor, nn

from whyport.runtime.task import Classification, ProbabilityClassification, Regression, Task


@final
class LogitsHead(nn.Module):
    """Logits [N, C] to logits and probabilities, which sum to 1."""

    def forward(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        return scores, torch.softmax(scores, dim=1)


@final
class OneLogitHead(nn.Module):
    """Logits [N, 2], each minus the other, to logits and probabilities, the sigmoid of each."""

    def forward(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        return scores, torch.sigmoid(scores)


@final
class ScoresHead(nn.Module):
    """Probabilities or values [N, K], which are the scores, as they are."""

    def forward(self, scores: Tensor) -> tuple[Tensor]:
        return (scores,)


@final
class Column(nn.Module):
    """One score a row, [N] or [N, 1], to [N, 1]."""

    def forward(self, scores: Tensor) -> Tensor:
        return scores.reshape(-1, 1)


@final
class BothLogits(nn.Module):
    """The logit [N, 1] of the second class to the logits [N, 2] of both: the first class has minus it."""

    def forward(self, scores: Tensor) -> Tensor:
        return torch.cat([-scores, scores], dim=1)


@final
class BothProbabilities(nn.Module):
    """The probability [N, 1] of the second class to the probabilities [N, 2] of both."""

    def forward(self, scores: Tensor) -> Tensor:
        return torch.cat([1 - scores, scores], dim=1)


HEADS: dict[str, type[nn.Module]] = {
    Classification.name: LogitsHead,
    ProbabilityClassification.name: ScoresHead,
    Regression.name: ScoresHead,
}
"""By the task's name: what gives `Task.outputs` of scores [N, K], in order, as a tuple."""

ONE_SCORE: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    Classification.name: (BothLogits, OneLogitHead),
    ProbabilityClassification.name: (BothProbabilities, ScoresHead),
}
"""By the task's name, where a model of two classes may give the score of the second alone: what adds the first's, and
the head behind it."""


def head_of(task: type[Task], scores: Tensor) -> tuple[list[nn.Module], nn.Module]:
    """The steps from a network's scores to scores [N, K], and the head that gives the task's outputs of these.

    Args:
        task: what the scores are.
        scores: the network's scores for some rows, [N] or [N, K].
    """
    column: list[nn.Module] = [Column()] if scores.ndim == 1 else []
    if task.name in ONE_SCORE and (scores.ndim == 1 or scores.shape[1] == 1):
        both, head = ONE_SCORE[task.name]
        return [*column, both()], head()
    return column, HEADS[task.name]()
