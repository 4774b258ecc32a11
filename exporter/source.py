"""A user's own model, as it is named to be exported."""

from dataclasses import dataclass, field
from pathlib import Path

from whyport.exporter.data.background import BackgroundChoice


@dataclass(frozen=True)
class ModelSource:
    """A model that was not trained here, and a sample of the rows it is for."""

    source: str
    """MODULE:FACTORY, or a file; `kinds.KINDS` says which."""
    sample: Path
    weights: Path | None = None
    features: tuple[str, ...] = ()
    """The model's inputs in order; empty for all columns of the sample but the excluded."""
    excluded: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    """In the order of the outputs; empty for generic names."""
    background: BackgroundChoice = field(default_factory=BackgroundChoice)
    impute: bool = False
    standardise: bool = False
    from_probabilities: bool = False
    """Whether the model's outputs are probabilities, which are the scores then."""
