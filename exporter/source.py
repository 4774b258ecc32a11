"""A user's own model, as it is named to be exported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.data.input_choice import InputChoice
from whyport.runtime.bundle.score import CLASSIFICATION, REGRESSION
from whyport.runtime.errors import UsageError, listing, unknown
from whyport.runtime.task import Regression

AUTO = "auto"
"""The model's own task, where it knows one; otherwise a classification."""

TASKS = (AUTO, CLASSIFICATION, REGRESSION)
"""The tasks that a user names."""

TARGETS_OF_CLASSES = "is for --task regression; --classes names the classes of a classification"
CLASSES_OF_QUANTITIES = "a regression has no classes; --targets names what it predicts"


@dataclass(frozen=True)
class ModelSource:
    """A model that was not trained here, and a sample of the rows it is for."""

    source: str
    """MODULE:NAME, or a file; `kinds.KINDS` says which."""
    sample: Path
    weights: Path | None = None
    inputs: tuple[InputChoice, ...] = ()
    """The model's inputs by the names of its arguments; empty where it takes one table."""
    features: tuple[str, ...] = ()
    """The model's inputs in order; empty for all columns of the sample but the excluded."""
    excluded: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    """In the order of the outputs; empty for generic names. One logit has the second of two."""
    task: str = AUTO
    """The task: classification, regression or auto."""
    targets: tuple[str, ...] = ()
    """The names of a regression's quantities, in the order of the outputs; empty for generic names."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The units of these quantities, by name, where they are known."""
    background: BackgroundChoice = field(default_factory=BackgroundChoice)
    impute: bool = False
    standardise: bool = False
    output: str | None = None
    """Where the model gives several outputs: the name, attribute, key or position of its scores."""
    from_probabilities: bool = False
    """Whether the model's outputs are probabilities, which are the scores then."""
    trust_pickle: bool = False
    """Whether the code in a pickle may run."""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UsageError(unknown("task", self.task, TASKS))
        for option, names in (("--classes", self.classes), ("--targets", self.targets)):
            if len(set(names)) != len(names):
                raise UsageError(f"{option}: expected names that differ, got {listing(names)}")
            if "" in names:
                raise UsageError(f"{option}: expected names that are not empty, got {listing(names)}")
        for option, names in (("--features", self.features), ("--exclude", self.excluded)):
            if names and self.inputs:
                raise UsageError(f"{option} is for a model of one table; --input names the columns of each input")
        self.check_task(self.task)
        known = self.targets or Regression.generic_names(1)
        for name in self.units:
            if name not in known:
                raise UsageError(f"--target-unit: {unknown('target', name, known)}")

    def check_task(self, task: str) -> None:
        """Raise UsageError for names that the task has none of."""
        if task == REGRESSION:
            for option, given in {"--classes": self.classes, "--from-probabilities": self.from_probabilities}.items():
                if given:
                    raise UsageError(f"{option}: {CLASSES_OF_QUANTITIES}")
        if task == CLASSIFICATION:
            for option, given in {"--targets": self.targets, "--target-unit": self.units}.items():
                if given:
                    raise UsageError(f"{option}: {TARGETS_OF_CLASSES}")
