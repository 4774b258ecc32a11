"""The columns that a table must have: everything that is wrong with them in one message, with names to paste."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from whyport.runtime.errors import ColumnError

NAMED = 40
"""The most names of a message's list; the others are counted."""


def pasted(names: Iterable[str]) -> str:
    """The names as an option takes them: comma-separated, in double quotes where a name needs them."""
    names = list(names)
    shown = [f'"{name.replace(chr(34), 2 * chr(34))}"' if _needs_quotes(name) else name for name in names[:NAMED]]
    return (", ".join(shown) or "none") + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _needs_quotes(name: str) -> bool:
    return not name or name != name.strip() or any(mark in name for mark in ',"')


@dataclass
class ColumnFaults:
    """The faults of a table's columns, gathered from every check before one error is raised."""

    present: Sequence[str]
    """The table's columns."""
    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._counts = Counter(self.present)

    def check_present(self, names: Sequence[str], role: str) -> list[str]:
        """Note which of the names are missing, or occur more than once; returns those that occur once.

        Args:
            names: the names that are needed.
            role: what they are needed for: "feature", "kept", "label".
        """
        self._note(f"missing {role} columns", [name for name in names if name not in self._counts], names)
        repeated = [name for name in names if self._counts[name] > 1]
        counts = ", ".join(f"{self._counts[name]} times" for name in repeated[:NAMED])
        self._note(f"{role} columns that occur more than once", repeated, names, counts)
        return [name for name in names if self._counts[name] == 1]

    def check_types(self, names: Sequence[str], wrong_type: Callable[[str], str | None], rule: str) -> None:
        """Note which of the names have a wrong type.

        Args:
            names: columns that are there.
            wrong_type: a column's type in words if it is wrong, else None.
            rule: what is wrong with them, such as "feature columns that are not numeric".
        """
        wrong = {name: kind for name in names if (kind := wrong_type(name)) is not None}
        self._note(rule, list(wrong), names, ", ".join(list(dict.fromkeys(wrong.values()))[:NAMED]))

    def refuse(self, place: str = "the file") -> None:
        """Raise ColumnError if there is a fault."""
        if self.found:
            raise ColumnError(f"{'; '.join(self.found)}; {place} has: {pasted(self.present)}")

    def _note(self, what: str, bad: Sequence[str], names: Sequence[str], more: str = "") -> None:
        if bad:
            counted = f"{len(bad)} of {len(names)}" + (f"; {more}" if more else "")
            self.found.append(f"{what}: {pasted(bad)} ({counted})")
