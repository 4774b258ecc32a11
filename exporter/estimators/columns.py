"""The first step of a pipeline over columns of categories: tables of cells, and transformed numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.draft import Draft
from whyport.exporter.estimators.fitted import Fitted
from whyport.runtime.errors import ExportError, listing


@dataclass(frozen=True)
class Block:
    """Neighbouring outputs of a step over columns, and the columns that they are made of."""

    transformer: Any
    """What makes them of the columns; "passthrough" where they are these."""
    places: tuple[int, ...]
    """The columns."""
    outputs: slice


@dataclass(frozen=True)
class FirstStep:
    """The first step of a pipeline, which takes columns apart.

    Its cells are, column after column: a number as it is, and of a category what its code becomes.
    """

    fitted: Fitted
    draft: Draft

    @property
    def is_apart(self) -> bool:
        """Whether the step gives each of its transformers columns of its own."""
        model = self.fitted.model
        return hasattr(model, "steps") and len(model.steps) > 1 and hasattr(model.steps[0][1], "transformers_")

    @property
    def rest(self) -> Any:
        """The steps behind it."""
        return self.fitted.model[1:]

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Its parts, in the order of their outputs."""
        model = self.fitted.model
        if not hasattr(model, "steps"):
            raise ExportError(f"{type(model).__name__} takes categories itself; put an encoder in front of it")
        return tuple(sorted(_blocks(model.steps[0][1], len(self.draft.features)), key=lambda each: each.outputs.start))

    @cached_property
    def tables(self) -> dict[int, NDArray[np.float32]]:
        """What each code becomes, [codes, cells], by column of categories."""
        return {place: np.stack([found for _, found in cells], axis=1) for place, cells in self._by_column.items()}

    def sources(self, block: Block) -> list[tuple[int, int]]:
        """The column and the cell among this column's of each output of a block of categories."""
        found = {output: (place, i) for place, cells in self._by_column.items() for i, (output, _) in enumerate(cells)}
        return [found[output] for output in range(block.outputs.start, block.outputs.stop)]

    def is_coded(self, block: Block) -> bool:
        """Whether the block is made of categories; ExportError where it mixes them with numbers."""
        coded = [self.draft.features[place].categories is not None for place in block.places]
        if any(coded) and (not all(coded) or block.transformer == "passthrough"):
            names = listing(self.draft.features[place].name for place in block.places)
            raise ExportError(f"a step takes categories and numbers together, of the columns {names}; part them")
        return any(coded)

    @cached_property
    def _by_column(self) -> dict[int, list[tuple[int, NDArray[np.float32]]]]:
        """By column of categories: the outputs that depend on it, each with its value of every code."""
        found: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}
        for place, column in enumerate(self.draft.features):
            if column.categories is not None:
                # A column that no step takes has a cell that nothing reads.
                found[place] = []
        for block in self.blocks:
            if not self.is_coded(block):
                continue
            made = {place: self._outputs(block, place) for place in block.places}
            for output in range(block.outputs.stop - block.outputs.start):
                owners = [place for place, each in made.items() if (each[:, output] != each[0, output]).any()]
                if len(owners) > 1:
                    raise ExportError("a step makes one number of several categories; encode each of its own")
                owner = owners[0] if owners else block.places[0]
                found[owner].append((block.outputs.start + output, made[owner][:, output].astype(np.float32)))
        for place, cells in found.items():
            categories = self.draft.features[place].categories
            assert categories is not None
            cells += [(-1, np.zeros(categories.codes, dtype=np.float32))] if not cells else []
        return found

    def _outputs(self, block: Block, place: int) -> NDArray[Any]:
        """A block's outputs [codes, width] for every code of one column, the others' as in the first row."""
        categories = self.draft.features[place].categories
        assert categories is not None
        rows = np.repeat(self.draft.samples.rows[:1], categories.codes, axis=0)
        rows[:, place] = np.arange(categories.codes)
        return self.fitted.first_cells(rows)[:, block.outputs]


def _blocks(step: Any, width: int) -> Iterator[Block]:
    if not hasattr(step, "transformers_"):
        yield Block(step, tuple(range(width)), slice(0, len(step.get_feature_names_out())))
        return
    for name, transformer, _ in step.transformers_:
        outputs = step.output_indices_.get(name, slice(0, 0))
        places = tuple(int(place) for place in step._transformer_to_input_indices.get(name, ()))
        if outputs.stop > outputs.start and places and not (isinstance(transformer, str) and transformer == "drop"):
            yield Block(transformer, places, outputs)
