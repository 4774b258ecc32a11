"""What the kinds of boosted trees share: their graphs, their trees, and what they know."""

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.boosters.boosted import IDENTITY, Boosted
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.kinds.facts import ModelFacts
from whyport.exporter.kinds.kind import Kind
from whyport.exporter.reasons.of_trees import tree_capabilities
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ExportError, WhyportError, first_line
from whyport.runtime.task import ClassificationByMargin


class BoosterKind(Kind):
    """Boosted trees of one library: a file, or a fitted model."""

    refusal = "is for PyTorch modules: boosted trees take their columns as they are"

    @cached_property
    def boosted(self) -> Boosted:
        """The model as sums of trees; raises ExportError where it is none, or its file is damaged."""
        if self.file is None:
            return self.read()
        try:
            return self.read()
        except (WhyportError, ModuleNotFoundError):
            raise
        except Exception as error:  # a damaged file fails in any way
            raise ExportError(f"{self.file.name} is damaged: {first_line(error)}") from error

    @abstractmethod
    def read(self) -> Boosted:
        """The model as sums of trees; of a damaged file, any error."""

    @abstractmethod
    def margins(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        """The sums as the library computes them, [N] or [N, R], in the unit of `boosted`."""

    @abstractmethod
    def answers(self, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
        """The probabilities or values as the library computes them: of all classes, or of the second of two."""

    def facts(self, columns: tuple[str, ...]) -> ModelFacts:
        boosted = self.boosted
        names = self.own_names(columns)
        return ModelFacts(
            features=names,
            width=boosted.features,
            task=boosted.task.name,
            targets=boosted.classes,
            takes_missing=frozenset(names or columns),
        )

    def own_names(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the model's features, as the sample writes them; empty where it knows none."""
        return self.boosted.names

    def compile(self, draft: Draft) -> Compiled:
        boosted, outputs = self.boosted, draft.task.outputs
        model = boosted.model(outputs)
        specs = tuple(TensorSpec(name, "float32", ("N", boosted.targets)) for name in outputs)
        obstacle = _obstacle(boosted, draft)
        names = tuple(column.name for column in draft.features)
        trees = None if obstacle else boosted.tree_sum(draft.references.rows, names).trees
        return Compiled(specs, tree_capabilities(obstacle), OnnxFile(model), trees=trees)

    def native(self, rows: NDArray[np.floating[Any]], draft: Draft) -> dict[str, NDArray[Any]]:
        if self.boosted.task is not ClassificationByMargin:
            return {self.boosted.task.score: self.answers(rows).reshape(len(rows), -1)}
        margins, chances = self.margins(rows), self.answers(rows)
        if margins.ndim == 1 or margins.shape[1] == 1:
            margins = margins.reshape(-1, 1) * np.array([-1, 1])
        if chances.ndim == 1:
            chances = np.column_stack([1 - chances, chances])
        outputs = dict(zip(ClassificationByMargin.outputs, (margins, chances), strict=True))
        return {name: values for name, values in outputs.items() if name in draft.task.outputs}


def _obstacle(boosted: Boosted, draft: Draft) -> str:
    """Why no trees' sum is the score; empty where one is."""
    if draft.task.score != boosted.task.score:
        return f"probabilities are no sum of trees; without --from-probabilities the {boosted.task.score} is explained"
    if boosted.link != IDENTITY:
        return f"the value is the {boosted.link} of the trees' sum, and no sum of trees itself; shapley explains it"
    return ""
