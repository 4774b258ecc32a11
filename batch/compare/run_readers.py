"""The readers of one run: its parts, and its inputs where they are there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from whyport.batch.compare.input_columns import InputColumns, TableInputs, inputs_of
from whyport.batch.compare.input_reader import InputReader
from whyport.batch.compare.part_reader import PartReader
from whyport.batch.compare.reading import Reader
from whyport.batch.compare.sides import RunSide
from whyport.batch.compare.variables import Group
from whyport.runtime.errors import WhyportError, listing


@dataclass(frozen=True)
class RunReaders:
    """The readers of a run, and its inputs that are not compared."""

    readers: tuple[Reader, ...]
    notes: tuple[str, ...]
    """Where the inputs are read, if not from the files themselves, and which are not compared."""

    @classmethod
    def of(cls, side: RunSide, groups: Sequence[Group]) -> Self:
        """The readers of a run for some groups."""
        inputs, kept, notes = _inputs(side)
        parts = PartReader(side.run, groups, kept)
        readers: list[Reader] = [parts] if groups or kept else []
        readers += [inputs] if inputs is not None else []
        return cls(tuple(readers), tuple(notes))


def _inputs(side: RunSide) -> tuple[InputReader | None, InputColumns | None, list[str]]:
    """The reader of the inputs, or the kept columns in their place; and notes."""
    if not side.run.parts:
        return None, None, [f"the inputs of {side.title} are not compared: it has no rows"]
    known = None if side.bundle is None else inputs_of(side.bundle)
    try:
        reader = InputReader.open(side.run, known, _feature_names(side))
    except WhyportError as error:
        return _kept(side, known, str(error))
    return reader, None, _left_out(side, reader.left_out)


def _kept(
    side: RunSide, known: InputColumns | None, reason: str
) -> tuple[InputReader | None, InputColumns | None, list[str]]:
    there: Collection[str] = [name for name in side.run.settings.keep if name in side.run.schema.names]
    if known is None:
        known = TableInputs.among(side.run.schema, [name for name in _feature_names(side) if name in there])
    if not isinstance(known, TableInputs):
        return None, None, [f"the inputs of {side.title} are not compared: {reason}"]
    columns = known.only(there)
    if not columns.names:
        return None, None, [f"the inputs of {side.title} are not compared, none of them was kept: {reason}"]
    note = f"the inputs of {side.title} are its kept columns, without the rejected rows: {reason}"
    return None, columns, [note, *_left_out(side, columns.left_out)]


def _feature_names(side: RunSide) -> tuple[str, ...]:
    """The features by the run's own words, for a bundle that is gone."""
    run = side.run
    return run.layout.features if run.settings.methods and not run.settings.explain.get("players") else ()


def _left_out(side: RunSide, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [f"inputs of {side.title} that are not compared, as they are texts, nested, or not there: {listing(names)}"]
