"""The options of the explanation methods: common ones, and the options that the table of methods declares."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import find_method, method_options
from whyport.batch.methods.method import AUTO_ENGINE, ENGINES, Extra, Option, OptionValue
from whyport.batch.methods.per import AUTO
from whyport.batch.methods.players import Groups, PlayerMap, as_groups
from whyport.runtime.arguments import as_type, at_least
from whyport.runtime.errors import UsageError, unknown

MEMORY = 256_000_000
"""The default budget, in bytes."""


@dataclass(frozen=True)
class MethodSettings:
    """The options for one method."""

    tolerance: float
    absolute_tolerance: float
    seed: int
    memory: int
    options: Mapping[str, Any]
    """Every option of the method by name: the given value, or the method's default."""
    given: frozenset[str]
    """The names of the options that were given."""
    players: Groups = field(default_factory=dict)
    """The columns of each group that shares one value."""
    per: str = AUTO
    """What has a share in a picture or a text."""
    baseline: str | None = None
    """The bundle's baseline that scores are measured against, by name; None for its first."""
    alike: NDArray[np.bool_] | None = None
    """[F]: the features that every row to explain and every reference have alike; None where none is known."""
    row_players: PlayerMap | None = None
    """The players of the one row to explain; None where all rows have the same."""


@dataclass(frozen=True)
class ExplainSettings:
    """The options of a run's explanations."""

    tolerance: float = 0.01
    """A row has converged if its completeness error is at most this share of |score - base value| ..."""
    absolute_tolerance: float = 0.001
    """... or at most this much, in the score's unit; of a regression, in the scale of the target's scores."""
    engine: str = AUTO_ENGINE
    """The engine that runs the explanations, one of ENGINES, or "auto", for which the plan puts one of them."""
    seed: int = 0
    """The seed for a method's random draws, the same for every row."""
    memory: int = MEMORY
    """Bytes that a method may hold at once, beside the model and its passes, which do not grow. A single row that needs
    more gets more."""
    players: Groups = field(default_factory=dict)
    """The columns of each group that shares one value; every other column is a player of its own."""
    baseline: str | None = None
    """The bundle's baseline that scores are measured against, by name; None for its first."""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    """The given options of the methods, by name."""

    def __post_init__(self) -> None:
        for name, kind in _TYPES.items():
            object.__setattr__(self, name, as_type(name, getattr(self, name), (kind,)))
        if self.baseline is not None:
            object.__setattr__(self, "baseline", as_type("baseline", self.baseline, (str,)))
        if self.engine not in (AUTO_ENGINE, *ENGINES):
            raise UsageError(unknown("engine", self.engine, (AUTO_ENGINE, *ENGINES)))
        at_least("memory", self.memory, 1)
        at_least("seed", self.seed, 0)
        for name in ("tolerance", "absolute_tolerance"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise UsageError(f"{name}: expected a number above 0, got {value}")
        known = method_options()
        for name in self.options:
            if name not in known:
                raise UsageError(unknown("option", name, [*COMMON, *known]))
        read = {name: next(iter(known[name].values())).read(given) for name, given in self.options.items()}
        object.__setattr__(self, "options", read)
        object.__setattr__(self, "players", as_groups(self.players))

    @classmethod
    def of(cls, **given: Any) -> Self:
        """The settings from common and method options together, as keywords; None means an option's default."""
        common = {name: given.pop(name) for name in COMMON if name in given}
        return cls(**common, options={name: value for name, value in given.items() if value is not None})

    def of_method(self, name: str) -> MethodSettings:
        """The settings for the method of that name."""
        options = {option.name: self.options.get(option.name, option.default) for option in find_method(name).options}
        given = frozenset(options) & frozenset(self.options)
        return MethodSettings(
            tolerance=self.tolerance,
            absolute_tolerance=self.absolute_tolerance,
            seed=self.seed,
            memory=self.memory,
            options=options,
            given=given,
            players=self.players,
            baseline=self.baseline,
        )

    def extras_of(self, name: str) -> tuple[Extra, ...]:
        """The extra columns that a method writes with these settings."""
        options, found = self.of_method(name).options, list[Extra]()
        for extra in find_method(name).extras:
            if extra.names is not None:
                *own, _ = names_in(options[extra.names] or "")
                found += [replace(extra, name=f"{extra.name}.{each}") for each in own]
            elif extra.option is None or options[extra.option]:
                found.append(extra)
        return tuple(found)

    def record(self) -> dict[str, Any]:
        """Every option by name, flat, as `of` takes it.

        An option that was not given has its default, or null where methods have different defaults.
        """
        common = {name: getattr(self, name) for name in COMMON}
        return common | {
            name: self.options.get(name, shared_default(declared)) for name, declared in method_options().items()
        }


def names_in(text: str) -> list[str]:
    """The names in an option, which commas separate."""
    return [name.strip() for name in text.split(",")]


_TYPES = {"tolerance": float, "absolute_tolerance": float, "engine": str, "seed": int, "memory": int}

COMMON = tuple(each.name for each in fields(ExplainSettings) if each.name != "options")
"""The options that every method has."""


def shared_default(declared: Mapping[str, Option]) -> OptionValue:
    """The default that all methods with an option share; None where they differ."""
    defaults = {option.default for option in declared.values()}
    return defaults.pop() if len(defaults) == 1 else None
