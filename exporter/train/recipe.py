"""From a table to a bundle: train, compile, verify, write."""

from dataclasses import dataclass
from pathlib import Path

from whyport.exporter.bundle.package import make_package, versions
from whyport.exporter.bundle.target import Target, check_target
from whyport.exporter.bundle.write import write_bundle
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.data.dataset import Dataset, TableChoice, load_dataset
from whyport.exporter.data.samples import Samples
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.categories import encoding_of
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.kinds.pytorch import compile_network
from whyport.exporter.train import checkpoint as checkpoints
from whyport.exporter.train.checkpoint import Checkpoint
from whyport.exporter.train.figures import training_files
from whyport.exporter.train.loop import train
from whyport.exporter.train.settings import TrainSettings
from whyport.exporter.verify.engines import torch_outputs
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import Provenance
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
    """Train a classifier on a table and write it as a verified bundle.

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
    background = background or BackgroundChoice()
    references = background.take(dataset.features, dataset.train.rows, settings.seed)
    model, last = train(dataset, settings, device=device, start=start, after_epoch=folder.keep)
    draft = Draft(
        name=target.bundle_name(),
        classes=dataset.classes,
        features=dataset.features,
        standardise=True,
        provenance=_provenance(choice, settings, dataset, last),
        references=references,
        samples=Samples(dataset.train.rows, settings.seed, missing=True, columns=dataset.features),
        summary=background.summary,
        encoding=encoding_of(model),
    )
    compiled = compile_network(model.get_submodule("network"), draft, opset)
    package = make_package(draft, compiled, _training_folder(draft, compiled, dataset, last))
    return write_bundle(target.path, package, overwrite=target.overwrite)


def _provenance(choice: TableChoice, settings: TrainSettings, dataset: Dataset, last: Checkpoint) -> Provenance:
    result = last.results[-1]
    # With a table of its own for the test, no share of the data is kept back.
    fraction = choice.test_fraction if choice.test is None else None
    return Provenance(
        source=f"train {settings.architecture}",
        settings={**settings.flat(), "target": choice.target, "test_fraction": fraction},
        seed=settings.seed,
        data_digest=dataset.digest,
        versions=versions(),
        metrics={
            "test_accuracy": result.test_accuracy,
            "test_loss": result.test_loss,
            "train_accuracy": result.train_accuracy,
        },
    )


def _training_folder(draft: Draft, compiled: Compiled, dataset: Dataset, last: Checkpoint) -> dict[str, bytes]:
    assert compiled.graph is not None
    outputs = torch_outputs(compiled.graph.module, compiled.names)(dataset.test.rows)
    files = training_files(
        last.results, draft.task.predicted(outputs[draft.task.score]), dataset.test.labels, dataset.classes
    )
    files[checkpoints.FILE] = last.to_bytes()
    return {f"training/{name}": content for name, content in files.items()}
