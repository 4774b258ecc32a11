"""The interface of whatever may stop the maker of a part: asked before each part, told of each batch."""

from abc import ABC, abstractmethod


class Stopping(ABC):
    """Says when no further part is begun."""

    @abstractmethod
    def check(self) -> None:
        """Raise InterruptedJobError if no further part is to be begun; called between two parts."""

    @abstractmethod
    def begin(self, rows: int) -> None:
        """Note that a part of so many rows begins; raises as `check`."""

    @abstractmethod
    def advance(self, rows: int) -> None:
        """Note that so many rows of the part at hand are done."""

    @abstractmethod
    def end(self) -> None:
        """Note that the part at hand is published."""
