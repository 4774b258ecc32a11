"""The columns behind `--keep`: names, patterns such as `*` or `credit_*`, and the model's own columns."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from whyport.batch.source.cleaning import not_copied
from whyport.batch.source.kept import common_field
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.errors import UsageError, listing

SIGNS = "*?["
"""The signs of a pattern."""
NAMED = 10
"""The columns left out that a line names."""


@dataclass(frozen=True)
class KeptNames:
    """The columns to keep, and what a pattern has left out."""

    names: tuple[str, ...]
    left_out: dict[str, str]
    """By column: why it cannot be kept."""

    @property
    def lines(self) -> list[str]:
        """What was left out, a line for each reason."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            by_reason.setdefault(reason, []).append(name)
        return [f"not kept: {listing(names, NAMED)}: {reason}" for reason, names in by_reason.items()]


def is_pattern(name: str) -> bool:
    """Whether a name of `--keep` is a pattern, unless there is a column of that name."""
    return any(sign in name for sign in SIGNS)


def matching(patterns: Collection[str], names: Collection[str]) -> list[str]:
    """The names that are among these, or that one of the patterns matches; capitals differ from small letters."""
    return [name for name in names if name in patterns or any(fnmatchcase(name, each) for each in patterns)]


def kept_names(
    given: Sequence[str], own: Sequence[str], sources: Sequence[SourceFile], taken: Collection[str]
) -> KeptNames:
    """The columns that are kept: those named, those that patterns match, and the model's own.

    A name that a file has as a column is that column, also where it has signs of a pattern.

    Args:
        given: names and patterns, in order.
        own: the model's columns to keep besides.
        sources: the files.
        taken: the names that the output has itself.

    Raises UsageError for a pattern that matches no column that can be kept.
    """
    every = dict.fromkeys(name for source in sources for name in source.schema.names)
    found: dict[str, None] = {}
    left_out: dict[str, str] = {}
    for each in given:
        if each in every or not is_pattern(each):
            found[each] = None
            continue
        matched = [name for name in every if fnmatchcase(name, each)]
        faults = {name: _fault(name, sources, taken) for name in matched}
        fitting = [name for name, fault in faults.items() if fault is None]
        if not fitting:
            why = KeptNames((), {name: fault for name, fault in faults.items() if fault is not None}).lines
            got = "; ".join(why) if why else f"none of {listing(every)}"
            raise UsageError(f"keep: expected a column that {each!r} matches, got {got}")
        found |= dict.fromkeys(fitting)
        left_out |= {name: fault for name, fault in faults.items() if fault is not None}
    found |= dict.fromkeys(own)
    return KeptNames(tuple(found), {name: why for name, why in left_out.items() if name not in found})


def _fault(name: str, sources: Sequence[SourceFile], taken: Collection[str]) -> str | None:
    """Why a column cannot be kept; None where it can."""
    return next(_faults(name, sources, taken), None)


def _faults(name: str, sources: Sequence[SourceFile], taken: Collection[str]) -> Iterator[str]:
    if name in taken:
        yield "the output has a column of that name"
    lacking = [source.name for source in sources if name not in source.schema.names]
    if lacking:
        yield f"it is not in {listing(lacking, 1)}"
    if any(source.schema.names.count(name) > 1 for source in sources):
        yield "a file has it twice"
        return
    kinds = [source.schema.field(name) for source in sources if name in source.schema.names]
    if any(not_copied(source, name) for source in sources if name in source.schema.names):
        yield "its rows cannot be copied"
    if common_field(kinds) is None:
        yield "it has types that no type holds unchanged"
