"""The options of the explanation methods."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whyport.runtime.errors import UsageError, unknown

if TYPE_CHECKING:
    pass


TORCHSCRIPT, ONNX = ENGINES = ("torchscript", "onnx")
"""What runs the explanations: PyTorch, or ONNX Runtime alone."""

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
    engine: str = TORCHSCRIPT
    """What runs the explanations, of ENGINES."""
    max_evaluations: int | None = None
    """Gradients, or forward passes, after which a row is given up; None for what suits the method."""
    permutations: int | None = None
    """Of Shapley values, so many for every row; None for as many as the tolerance takes, or for every coalition."""
    noise: float = 0.1
    """Of smoothgrad, as a share of each feature's training standard deviation."""
    samples: int = 50
    """Of smoothgrad, gradients a row."""
    grad_cam_map: bool = False
    """Whether grad-cam writes its maps too, as they are before they are scaled and upsampled."""
    seed: int = 0
    """Of what a method draws at random."""
    memory: int = MEMORY
    """Bytes that a method may hold at once, beside the model and the passes through it, which do not grow. A row that
    needs more by itself gets more."""

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UsageError(unknown("engine", self.engine, ENGINES))
        for name in ("steps", "max_evaluations", "memory", "samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name}: expected at least 1, got {value}")
        if self.permutations is not None and self.permutations < 4:
            raise UsageError(f"permutations: expected at least 4, for a standard error, got {self.permutations}")
        if self.seed < 0:
            raise UsageError(f"seed: expected at least 0, got {self.seed}")
        for name in ("tolerance", "absolute_tolerance", "noise"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise UsageError(f"{name}: expected a number above 0, got {value}")
