"""The settings of a training run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from whyport.exporter.train.architectures import ENSEMBLES, NETWORKS, Setting
from whyport.runtime.errors import UsageError, unknown

AUTO = "auto"
NONE, BALANCED = "none", "balanced"

OF_NETWORKS = ("epochs", "batch_rows", "learning_rate")
"""The settings that trees have none of."""


def refuse_options_of_networks(architecture: str, settings: Mapping[str, Setting], given: Mapping[str, bool]) -> None:
    """Raise UsageError for options that trees have none of.

    Args:
        architecture: its name.
        settings: its own settings.
        given: whether each of these options was given.
    """
    found = [option for option, is_given in given.items() if is_given]
    if found and architecture in ENSEMBLES:
        raise UsageError(
            f"architecture {architecture!r}: {', '.join(found)} {'is' if len(found) == 1 else 'are'} for networks; its "
            f"settings are --set {', '.join(settings)}"
        )


def refuse_sequences(architecture: str) -> None:
    """Raise UsageError for an ensemble of trees, which takes no sequence."""
    if architecture in ENSEMBLES:
        raise UsageError(
            f"architecture {architecture!r}: trees take the columns of one table, and --input names sequences: choose "
            f"{', '.join(NETWORKS)}, or make columns of the steps, such as their mean, and name them in --features"
        )


@dataclass(frozen=True)
class TrainSettings:
    """The settings that, with the data and the machine, decide the weights."""

    architecture: str
    network: dict[str, Setting]
    """The architecture's own settings."""
    epochs: int = 50
    batch_rows: int = 32
    learning_rate: float = 0.005
    seed: int = 0
    loss: str = AUTO
    """The loss by name; "auto" takes the task's first."""
    class_weights: str = NONE
    patience: int = 0
    """The number of epochs without a smaller validation loss after which the training stops; 0 for never."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_rows < 1:
            raise UsageError(f"expected at least 1 epoch and 1 batch row, got {self.epochs} and {self.batch_rows}")
        if not 0 < self.learning_rate <= 1:
            raise UsageError(f"expected a learning rate above 0 and at most 1, got {self.learning_rate}")
        if self.seed < 0:
            raise UsageError(f"expected a seed of at least 0, got {self.seed}")
        if self.class_weights not in (NONE, BALANCED):
            raise UsageError(unknown("class weights", self.class_weights, (BALANCED, NONE)))
        if self.patience < 0:
            raise UsageError(f"expected a patience of at least 0, got {self.patience}")

    def flat(self) -> dict[str, Setting]:
        """All settings in one dictionary, the architecture's own among them."""
        values = asdict(self)
        network: dict[str, Setting] = values.pop("network")
        if self.architecture in ENSEMBLES:
            values = {name: value for name, value in values.items() if name not in OF_NETWORKS}
        return {"architecture": values.pop("architecture"), **network, **values}
