"""The options of the explanation methods."""

from dataclasses import dataclass

from batch.explainers import ENGINES, TORCHSCRIPT
from runtime.errors import UsageError, unknown

MEMORY = 256_000_000
"""The default budget."""


@dataclass(frozen=True)
class ExplainSettings:
    """The options of the explanation methods."""

    tolerance: float = 0.01
    """A row has converged if its completeness error is at most this share of |score - base value| ..."""
    absolute_tolerance: float = 0.001
    """... or at most this many logits."""
    steps: int | None = None
    """Nodes of integrated gradients' fixed rule; None for the adaptive one."""
    max_evaluations: int = 5000
    """Gradients after which the adaptive rule gives up on a row."""
    engine: str = TORCHSCRIPT
    """What runs the explanations, of ENGINES."""
    memory: int = MEMORY
    """Bytes that a method may hold at once, beside the model and the passes through it, which do not grow. A row that
    needs more by itself gets more."""

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UsageError(unknown("engine", self.engine, ENGINES))
        for name in ("steps", "max_evaluations", "memory"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name}: expected at least 1, got {value}")
        for name in ("tolerance", "absolute_tolerance"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise UsageError(f"{name}: expected a number above 0, got {value}")
