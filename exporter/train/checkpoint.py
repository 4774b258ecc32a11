"""The state of a training run after an epoch: enough to go on exactly from there, or to load the network again."""

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch

from whyport.exporter.train.architectures import Setting
from whyport.runtime.errors import TrainingError, first_line, listing
from whyport.runtime.files import whole_file

FILE = "checkpoint.pt"


@dataclass(frozen=True)
class EpochResult:
    """Loss and measure after an epoch, in evaluation mode, by the parts of the data."""

    epoch: int
    figures: dict[str, float]
    """By name: `train_loss`, and `train_accuracy` or `train_r2`; the same of `validation`, if any, and of `test`."""


def best_epoch(results: Sequence[EpochResult]) -> int:
    """The number of the epoch whose network is kept: of the smallest validation loss, the first; else the last."""
    losses = [result.figures.get("validation_loss") for result in results]
    validated = [loss for loss in losses if loss is not None]
    return losses.index(min(validated)) + 1 if validated else len(results)


@dataclass(frozen=True)
class Run:
    """What a training run must have in common with the checkpoint that it continues."""

    settings: dict[str, Setting]
    features: tuple[str, ...]
    targets: tuple[str, ...]
    data_digest: str
    rows_digest: str
    """The sha256 of the rows that train and validate, which tells one split from another."""

    def check_same(self, other: Self) -> None:
        """Raise TrainingError that spells out how another run differs from this one, a checkpoint's."""
        keys = [*self.settings, *(key for key in other.settings if key not in self.settings)]
        differences = [
            f"{key} was {self.settings.get(key)!r}, now {other.settings.get(key)!r}"
            for key in keys
            if self.settings.get(key) != other.settings.get(key)
        ]
        for kind, before, now in (
            ("features", self.features, other.features),
            ("targets", self.targets, other.targets),
        ):
            if before != now:
                differences.append(f"{kind} were {listing(before)}, now {listing(now)}")
        if self.data_digest != other.data_digest:
            differences.append(f"data had sha256 {self.data_digest[:12]}..., now {other.data_digest[:12]}...")
        elif self.rows_digest != other.rows_digest:
            differences.append("the rows were split in another way")
        if differences:
            raise TrainingError(f"the checkpoint is of another run: {'; '.join(differences)}")


@dataclass(frozen=True)
class Checkpoint:
    """A run after its last finished epoch."""

    run: Run
    results: tuple[EpochResult, ...]
    model: dict[str, Any]
    """State of the preprocessing and of the network, by "preprocess." and "network."."""
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    best: dict[str, Any] | None = None
    """The model's state after the best epoch; None without a validation, where the last epoch counts."""

    @property
    def kept(self) -> dict[str, Any]:
        """The state of the model that the training gives."""
        return self.model if self.best is None else self.best

    def to_bytes(self) -> bytes:
        """Tensors, numbers and text only: loads with weights_only=True."""
        content = {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "run": asdict(self.run),
            "results": [asdict(result) for result in self.results],
            "epoch": len(self.results),
        }
        buffer = io.BytesIO()  # not a file: torch would put its name inside
        torch.save(content, buffer)
        return buffer.getvalue()

    def save(self, folder: Path) -> None:
        """Replace the checkpoint in a folder at once, so that a kill leaves the old one or the new one."""
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / FILE) as file:
            file.write(self.to_bytes())

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read a checkpoint; TrainingError where there is none or it is not one."""
        if not file.is_file():
            raise TrainingError(f"expected a checkpoint to resume from, got no file {str(file)!r}")
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            del content["epoch"]
            results = tuple(EpochResult(**result) for result in content.pop("results"))
            return cls(run=Run(**content.pop("run")), results=results, **content)
        except Exception as error:  # a damaged file fails in any way
            message = f"expected a checkpoint, got a file that is not one: {first_line(error)}"
            raise TrainingError(f"{message}, in {file}") from error
