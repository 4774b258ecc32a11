"""Trains a network: Adam, the learning rate divided by 10 after each third of the epochs, and the best epoch kept."""

import copy
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from whyport.exporter.data.dataset import Dataset, Labelled
from whyport.exporter.graphs.categories import build_encoding
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.exporter.train.architectures import create
from whyport.exporter.train.checkpoint import Checkpoint, EpochResult, Run, best_epoch
from whyport.exporter.train.objective import find_objective
from whyport.exporter.train.settings import TrainSettings
from whyport.runtime.bundle.row import row_shape
from whyport.runtime.errors import TrainingError, UsageError, unknown
from whyport.runtime.providers import DEVICES

logger = logging.getLogger(__name__)

EVALUATION_ROWS = 1024


def train(
    dataset: Dataset,
    settings: TrainSettings,
    *,
    device: str = "auto",
    start: Checkpoint | None = None,
    after_epoch: Callable[[Checkpoint], None] = lambda checkpoint: None,
) -> tuple[nn.Module, Checkpoint]:
    """Train, from the beginning or from a checkpoint of the same run.

    Every epoch draws its order and its dropout from the seed and its own number, so that a run that was cut short and
    continued ends with the same weights. With rows for the validation, the epoch with the smallest validation loss is
    kept; without, the last one.

    Args:
        dataset: the rows to train, validate and test with.
        settings: the network and how to train it.
        device: "cpu", "cuda", or "auto", which takes CUDA where there is a card.
        start: the checkpoint to go on from.
        after_epoch: called with the state after every epoch.

    Returns:
        The model of the epoch that is kept, a Sequential on the CPU, and the last checkpoint. Its children are
        `encode`, where there are categories, `preprocess` and `network`.

    Raises:
        TrainingError: the settings do not fit the data, the loss stops being finite, or `start` is of another run.
        UsageError: options that the task does not have.
    """
    place = choose_device(device)
    run = describe_run(dataset, settings)
    if start is not None:
        start.run.check_same(run)
    if settings.patience and dataset.validation is None:
        raise UsageError("--patience needs rows that say when to stop: --validation or --validation-fraction")
    state = _State(dataset, settings, place)
    checkpoint = start
    if start is not None:
        state.restore(start)
    epochs = tqdm(range(1, settings.epochs + 1), unit="epoch", disable=None)
    with _seeded(settings.seed, 0, place), torch.backends.cudnn.flags(enabled=True, deterministic=True), epochs as bar:
        for epoch in bar:
            if checkpoint is not None and epoch <= len(checkpoint.results):
                continue
            if checkpoint is not None and is_over(checkpoint.results, settings.patience):
                break
            _seed(settings.seed, epoch)
            state.step_epoch(settings.batch_rows)
            results = (*(checkpoint.results if checkpoint else ()), EpochResult(epoch, state.figures(dataset)))
            _report(bar, results[-1], settings.epochs)
            checkpoint = state.checkpoint(run, results, checkpoint)
            after_epoch(checkpoint)
    assert checkpoint is not None
    if dataset.validation is not None:
        logger.info("epoch %d has the smallest validation loss, and is kept", best_epoch(checkpoint.results))
    return state.trained(checkpoint), checkpoint


def is_over(results: Sequence[EpochResult], patience: int) -> bool:
    """Whether the validation loss has not fallen for so many epochs; never with a patience of 0."""
    return patience > 0 and len(results) - best_epoch(results) >= patience


class _State:
    """The part of a training that changes from epoch to epoch, on the device."""

    def __init__(self, dataset: Dataset, settings: TrainSettings, device: torch.device) -> None:
        with _seeded(settings.seed, 0, torch.device("cpu")):
            encoding = build_encoding(dataset.features)
            width = encoding.width if encoding else len(dataset.features)
            shapes = [row_shape(each) for each in dataset.inputs]
            network = create(settings.architecture, width, len(dataset.targets), settings.network, shapes)
        if caveat := network.caveat(encodes=encoding is not None):
            logger.warning("%s", caveat)
        self.device = device
        self.objective = find_objective(dataset, settings)
        self.objective.to(device)
        self.model = nn.Sequential()
        if encoding is not None:
            self.model.add_module("encode", encoding)
        preprocess = build_preprocessing(dataset.features, standardise=True, encoding=encoding)
        self.model.add_module("preprocess", preprocess)
        self.model.add_module("network", network)
        self.model.to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=settings.learning_rate)
        self.scheduler = torch.optim.lr_scheduler.StepLR(
            self.optimizer, step_size=max(1, settings.epochs // 3), gamma=0.1
        )
        self.rows, self.expected = self._move(dataset.train)

    def restore(self, checkpoint: Checkpoint) -> None:
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.scheduler.load_state_dict(checkpoint.scheduler)

    def checkpoint(self, run: Run, results: tuple[EpochResult, ...], before: Checkpoint | None) -> Checkpoint:
        """The state after the last of the epochs; `before` is the state after the last but one."""
        model = {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}
        best = None
        if "validation_loss" in results[-1].figures:
            best = model if before is None or best_epoch(results) == len(results) else before.best
        return Checkpoint(
            run=run,
            results=results,
            model=model,
            # A copy: it is of the parameters' own tensors, which the next epoch changes.
            optimizer=copy.deepcopy(self.optimizer.state_dict()),
            scheduler=self.scheduler.state_dict(),
            best=best,
        )

    def trained(self, checkpoint: Checkpoint) -> nn.Module:
        """The model of the epoch that is kept, on the CPU, with scores in their unit."""
        self.model.load_state_dict(checkpoint.kept)
        network: Any = self.model.get_submodule("network")
        network.output = self.objective.output_module()
        return self.model.cpu()

    def step_epoch(self, batch_rows: int) -> None:
        self.model.train()
        order = torch.randperm(len(self.rows)).to(self.device)
        for batch in torch.split(order, batch_rows):
            self.optimizer.zero_grad()
            loss = self.objective.loss(_scores(self.model(self.rows[batch])), self.expected[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        self.scheduler.step()

    def figures(self, dataset: Dataset) -> dict[str, float]:
        """Loss and measure of every part of the data."""
        parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
        found: dict[str, float] = {}
        for name, part in parts.items():
            if part is not None:
                found[f"{name}_loss"], found[f"{name}_{self.objective.measure}"] = self._evaluate(part)
        return found

    @torch.inference_mode()
    def _evaluate(self, part: Labelled) -> tuple[float, float]:
        self.model.eval()
        rows, expected = self._move(part)
        scores = torch.cat([_scores(self.model(batch)) for batch in torch.split(rows, EVALUATION_ROWS)])
        return float(self.objective.loss(scores, expected)), self.objective.score(scores, expected)

    def _move(self, part: Labelled) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(part.rows).to(self.device), self.objective.encode(part.labels).to(self.device)


def describe_run(dataset: Dataset, settings: TrainSettings) -> Run:
    """The identity of a run, for its checkpoints."""
    parts = [dataset.train] if dataset.validation is None else [dataset.train, dataset.validation]
    rows = hashlib.sha256()
    for array in (array for part in parts for array in (part.rows, part.labels)):
        rows.update(np.ascontiguousarray(array).data)
    return Run(
        settings=settings.flat(),
        features=tuple(feature.name for feature in dataset.features),
        targets=dataset.targets,
        data_digest=dataset.digest,
        rows_digest=rows.hexdigest(),
    )


def choose_device(name: str) -> torch.device:
    """The device of that name; UsageError for an unknown one, TrainingError for CUDA where there is none."""
    if name not in DEVICES:
        raise UsageError(unknown("device", name, DEVICES))
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device 'cuda': PyTorch finds no CUDA card; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _scores(given: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return given if isinstance(given, Tensor) else given[0]


def _report(bar: "tqdm[int]", result: EpochResult, epochs: int) -> None:
    if not np.isfinite(loss := result.figures["train_loss"]):
        raise TrainingError(f"epoch {result.epoch}: the training loss is {loss}; try a smaller --learning-rate")
    if (validation := result.figures.get("validation_loss", 0.0)) != validation:
        raise TrainingError(f"epoch {result.epoch}: the validation loss is nan; try a smaller --learning-rate")
    bar.set_postfix({name: f"{value:.4f}" for name, value in result.figures.items()})
    if bar.disable:
        shown = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in result.figures.items())
        logger.info("epoch %d/%d: %s", result.epoch, epochs, shown)


def _seed(seed: int, epoch: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seeded inside; afterwards the caller's random state is back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        _seed(seed, epoch)
        yield
