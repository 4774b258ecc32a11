"""From a table to a bundle: train, compile, verify, write."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from whyport.exporter.bundle.package import make_package, versions
from whyport.exporter.bundle.target import Target, check_target
from whyport.exporter.bundle.write import write_bundle
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.data.dataset import Dataset, TableChoice, load_dataset
from whyport.exporter.data.samples import Samples
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.categories import encoding_of
from whyport.exporter.kinds.pytorch import compile_network
from whyport.exporter.train import checkpoint as checkpoints
from whyport.exporter.train.checkpoint import Checkpoint, best_epoch
from whyport.exporter.train.evaluation import evaluate
from whyport.exporter.train.folder import task_files, training_files
from whyport.exporter.train.loop import train
from whyport.exporter.train.objective import loss_of
from whyport.exporter.train.settings import TrainSettings
from whyport.exporter.verify.engines import torch_outputs
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import Provenance
from whyport.runtime.errors import UsageError

logger = logging.getLogger(__name__)


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


def train_bundle(
    choice: TableChoice,
    settings: TrainSettings,
    target: Target,
    *,
    device: str = "auto",
    folder: CheckpointFolder | None = None,
    opset: int | None = None,
    background: BackgroundChoice | None = None,
) -> Bundle:
    """Train a network on a table and write it as a verified bundle.

    Args:
        choice: the tables and their columns.
        settings: the network and how to train it.
        target: the bundle to write.
        device: what to train on: "auto", "cpu" or "cuda".
        folder: where checkpoints are kept.
        opset: ONNX operator set; by default one that every runtime reads.
        background: where the reference rows come from; by default the training rows.

    Raises:
        WhyportError: anything is wrong with the tables, the settings or the graphs; nothing is written then.
    """
    check_target(target.path, overwrite=target.overwrite)
    folder = folder or CheckpointFolder()
    start = folder.start()
    dataset = load_dataset(choice, settings.seed)
    for suspect in dataset.suspects:
        logger.warning("%s", suspect.text)
    background = background or BackgroundChoice()
    references = background.take(dataset.features, dataset.train.rows, settings.seed)
    model, last = train(dataset, settings, device=device, start=start, after_epoch=folder.keep)
    draft = Draft(
        name=target.bundle_name(),
        targets=dataset.targets,
        features=dataset.features,
        standardise=True,
        provenance=_provenance(choice, settings, dataset),
        references=references,
        samples=Samples(dataset.train.rows, settings.seed, missing=True, columns=dataset.features),
        summary=background.summary,
        task_name=dataset.outcome.task,
        units=dataset.outcome.units,
        encoding=encoding_of(model),
    )
    compiled = compile_network(model.get_submodule("network"), draft, opset)
    assert compiled.graph is not None
    outputs = torch_outputs(compiled.graph.module, compiled.names)(dataset.test.rows)
    evaluation = evaluate(dataset, draft.task, outputs)
    metrics = {**last.results[best_epoch(last.results) - 1].figures, **evaluation.flat()}
    draft = replace(draft, provenance=replace(draft.provenance, metrics=metrics))
    files = training_files(last, evaluation, loss_of(dataset, settings))
    files |= task_files(dataset, draft.task, outputs, evaluation)
    package = make_package(draft, compiled, {f"training/{name}": content for name, content in files.items()})
    return write_bundle(target.path, package, overwrite=target.overwrite)


def _provenance(choice: TableChoice, settings: TrainSettings, dataset: Dataset) -> Provenance:
    """Where the bundle comes from, with the metrics still to come."""
    split = choice.split
    return Provenance(
        source=f"train {settings.architecture}",
        settings={
            **settings.flat(),
            "target": ",".join(choice.target.columns),
            # With a table of its own, no share of the data is kept back.
            "test_fraction": split.test_fraction if split.test is None else None,
            "validation_fraction": split.validation_fraction,
            "split_by": split.by,
            "loss": loss_of(dataset, settings),
        },
        seed=settings.seed,
        data_digest=dataset.digest,
        versions=versions(),
        metrics={},
    )
