"""What a kind of model is: how it becomes the graphs of a bundle."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.lookups import Lookup
from whyport.exporter.kinds.facts import ModelFacts
from whyport.exporter.source import ModelSource
from whyport.runtime.errors import ExportError, UsageError


class Kind(ABC):
    """A model of one kind.

    Args:
        model: the path of the file, or the model in memory.
        source: what the user says of the model.
        opset: ONNX operator set; None for the kind's own.

    Raises:
        UsageError: an option was given that this kind does not accept.
    """

    options: ClassVar[frozenset[str]] = frozenset()
    """Which of --weights, --impute, --standardise and --opset it accepts."""
    refusal: ClassVar[str] = ""
    """Why it does not accept the others; the sentence begins with the option."""
    packages: ClassVar[tuple[str, ...]] = ()
    """The distributions that made the model and its graph, whose versions the provenance holds."""
    advice: ClassVar[str] = "convert the model to ONNX yourself, and export that file"
    """What to do where the graph does not compute what the model does."""

    def __init__(self, model: Any, source: ModelSource, opset: int | None = None) -> None:
        given = {
            "--weights": source.weights is not None,
            "--impute": source.impute,
            "--standardise": source.standardise,
            "--opset": opset is not None,
        }
        for option, is_given in given.items():
            if is_given and option not in self.options:
                raise UsageError(f"{option} {self.refusal}")
        self.model = model
        self.source = source
        self.opset = opset

    @property
    def label(self) -> str:
        """The model's name in the bundle's provenance."""
        # A file's folder belongs to this machine.
        return self.source.source if self.file is None else self.file.name

    @property
    def file(self) -> Path | None:
        """The file with the weights, whose digest the provenance holds; None where there is none."""
        return self.model if isinstance(self.model, Path) else None

    @property
    def native_rows(self) -> int:
        """The number of rows that the graph is compared with the model on; fewer where the model is slow."""
        return 100_000

    def facts(self, columns: tuple[str, ...]) -> ModelFacts:
        """What the model itself knows.

        Args:
            columns: the sample's columns that may be inputs, in the order that the user gave or the sample has.

        Raises:
            ExportError: it is no model that can be exported.
        """
        return ModelFacts()

    @abstractmethod
    def compile(self, draft: Draft) -> Compiled:
        """Compile the model.

        Args:
            draft: what is known of the bundle; its classes may have no names yet.

        Raises:
            ExportError: the model cannot be compiled, or is no classifier of the sample's features.
        """

    def compile_in_float64(self, draft: Draft) -> Compiled | None:
        """The model compiled to compute in float64, where float32 is not enough; None where there is no such way.

        Takes and raises what `compile` does.
        """
        return None

    def lookups(self, draft: Draft) -> tuple[Lookup, ...]:
        """Where the model looks up the embeddings of its texts, in the order of its calls.

        Raises ExportError where it has no such place, or none that can be found.
        """
        raise ExportError(f"the embeddings of {self.label} are not known: a PyTorch network's are")

    @property
    def is_native(self) -> bool:
        """Whether the model's own framework can be asked, by `native`."""
        return type(self).native is not Kind.native

    def native(self, rows: NDArray[np.floating[Any]], draft: Draft) -> dict[str, NDArray[Any]]:
        """The task's outputs as the model's own framework computes them; a kind without it cannot ask one.

        Args:
            rows: rows of codes [N, F], as everywhere, in float32 or float64.
            draft: what is known of the bundle.

        Returns:
            Arrays [N, K] by output; some of the task's outputs suffice. NaN in rows that the framework refuses.
        """
        raise NotImplementedError
