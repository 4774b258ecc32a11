"""A network that is trained and compiled, and the folder that keeps the state of its training."""

from dataclasses import dataclass, replace
from pathlib import Path

from whyport.exporter.data.dataset import Dataset
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.categories import encoding_of
from whyport.exporter.kinds.pytorch import compile_network
from whyport.exporter.train import checkpoint as checkpoints
from whyport.exporter.train.checkpoint import Checkpoint, best_epoch
from whyport.exporter.train.folder import record_files
from whyport.exporter.train.loop import train
from whyport.exporter.train.objective import loss_of
from whyport.exporter.train.settings import TrainSettings
from whyport.exporter.train.trained import Trained
from whyport.exporter.verify.engines import torch_outputs
from whyport.runtime.errors import UsageError


@dataclass(frozen=True)
class CheckpointFolder:
    """Where the state of a run is kept while it trains."""

    path: Path | None = None
    resume: bool = False

    def start(self) -> Checkpoint | None:
        """The checkpoint to go on from, if the run is to; UsageError where one would be lost."""
        if self.path is None:
            if self.resume:
                raise UsageError("--resume needs --checkpoint, the folder to resume from")
            return None
        if self.resume:
            return Checkpoint.load(self.path / checkpoints.FILE)
        if (self.path / checkpoints.FILE).exists():
            raise UsageError(f"{str(self.path)!r} holds a checkpoint: go on from it with --resume, or remove it")
        return None

    def keep(self, checkpoint: Checkpoint) -> None:
        """Save it, if there is a folder."""
        if self.path is not None:
            checkpoint.save(self.path)


@dataclass(frozen=True)
class Place:
    """Where a network is trained, and where its state is kept."""

    device: str = "auto"
    """"auto", "cpu" or "cuda"."""
    folder: CheckpointFolder = CheckpointFolder()
    start: Checkpoint | None = None
    """The checkpoint to go on from."""


def train_network(
    dataset: Dataset, settings: TrainSettings, draft: Draft, place: Place, opset: int | None = None
) -> Trained:
    """Train a network and compile it.

    Args:
        dataset: the rows to train, validate and test with.
        settings: the network and how to train it.
        draft: what is known of the bundle.
        place: where it is trained.
        opset: ONNX operator set; by default one that every runtime reads.

    Raises:
        TrainingError: the settings do not fit the data. UsageError: options that the task does not have. ExportError:
        the network cannot be compiled.
    """
    after = place.folder.keep
    model, last = train(dataset, settings, device=place.device, start=place.start, after_epoch=after)
    draft = replace(draft, encoding=encoding_of(model))
    compiled = compile_network(model.get_submodule("network"), draft, opset)
    assert compiled.graph is not None
    return Trained(
        draft,
        compiled,
        torch_outputs(compiled.graph.module, compiled.names)(dataset.test.rows),
        last.results[best_epoch(last.results) - 1].figures,
        {checkpoints.FILE: last.to_bytes(), **record_files(last.results, loss_of(dataset, settings))},
    )
