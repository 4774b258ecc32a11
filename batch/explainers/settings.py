"""The options of the explanation methods."""

from dataclasses import dataclass

from runtime.errors import UsageError


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

    def __post_init__(self) -> None:
        for name in ("steps", "max_evaluations"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name}: expected at least 1, got {value}")
        for name in ("tolerance", "absolute_tolerance"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise UsageError(f"{name}: expected a number above 0, got {value}")
