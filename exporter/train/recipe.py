"""From a table to a bundle: train, compile, verify, write."""

import logging
from dataclasses import replace

from whyport.exporter.bundle.package import make_package, versions
from whyport.exporter.bundle.target import Target, check_target
from whyport.exporter.bundle.write import write_bundle
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.data.dataset import Dataset, TableChoice, load_dataset
from whyport.exporter.data.public import public_form
from whyport.exporter.data.samples import Samples
from whyport.exporter.draft import Draft
from whyport.exporter.train.architectures import ENSEMBLES, NETWORKS, has_epochs
from whyport.exporter.train.ensemble import ensemble_columns, train_ensemble
from whyport.exporter.train.evaluation import evaluate
from whyport.exporter.train.folder import evaluation_files
from whyport.exporter.train.network import CheckpointFolder, Place, train_network
from whyport.exporter.train.objective import loss_of
from whyport.exporter.train.settings import TrainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import Provenance

logger = logging.getLogger(__name__)


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
    """Train a model on a table and write it as a verified bundle.

    Args:
        choice: the tables and their columns.
        settings: the architecture and how to train it.
        target: the bundle to write.
        device: what to train a network on: "auto", "cpu" or "cuda".
        folder: where checkpoints are kept, of a network.
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
    grows = settings.architecture in ENSEMBLES
    if grows:
        dataset = replace(dataset, features=ensemble_columns(dataset.features, settings.architecture))
    background = background or BackgroundChoice()
    public = background.public_rows(dataset.features, dataset.inputs)
    features, inputs = public_form(dataset.features, dataset.inputs, public, dataset.train.rows)
    dataset = replace(dataset, features=features, inputs=inputs)
    draft = Draft(
        name=target.bundle_name(),
        targets=dataset.targets,
        features=dataset.features,
        standardise=not grows,
        provenance=_provenance(choice, settings, dataset, background),
        given=dataset.inputs,
        references=background.take(dataset.features, dataset.train.rows, settings.seed, dataset.inputs),
        samples=Samples(dataset.train.rows, settings.seed, missing=True, columns=dataset.features, kept=public),
        summary=background.summary,
        task_name=dataset.outcome.task,
        units=dataset.outcome.units,
    )
    if grows:
        trained = train_ensemble(dataset, settings, draft)
    else:
        trained = train_network(dataset, settings, draft, Place(device, folder, start), opset)
    draft, task = trained.draft, trained.draft.task
    evaluation = evaluate(dataset, task, trained.outputs)
    if public is not None:
        evaluation = replace(evaluation, residuals=None)  # they are of single rows
    metrics = {**trained.figures, **evaluation.flat()}
    draft = replace(draft, provenance=replace(draft.provenance, metrics=metrics))
    files = trained.files | evaluation_files(dataset, task, trained.outputs, evaluation)
    extras = {f"training/{name}": content for name, content in files.items()}
    package = make_package(draft, trained.compiled, extras, trained.native)
    return write_bundle(target.path, package, overwrite=target.overwrite)


def _provenance(
    choice: TableChoice, settings: TrainSettings, dataset: Dataset, background: BackgroundChoice
) -> Provenance:
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
            "loss": loss_of(dataset, settings) if has_epochs(settings.architecture) else None,
            **background.record(),
        },
        seed=settings.seed,
        data_digest=dataset.digest,
        versions=versions(*(() if settings.architecture in NETWORKS else ("scikit-learn",))),
        metrics={},
    )
