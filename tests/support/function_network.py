"""A function of rows as a network."""

from collections.abc import Callable

from torch import Tensor, nn


class Network(nn.Module):
    """A network that is one function."""

    def __init__(self, body: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body = body

    def forward(self, rows: Tensor) -> Tensor:
        """Whatever the function gives for rows."""
        return self.body(rows)
