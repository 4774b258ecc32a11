"""Trains a classifier: Adam, cross-entropy, the learning rate divided by 10 after each third of the epochs."""

import copy
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from whyport.exporter.data.dataset import Dataset, Labelled
from whyport.exporter.graphs.categories import build_encoding
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.exporter.train.architectures import create
from whyport.exporter.train.checkpoint import Checkpoint, EpochResult, Run
from whyport.exporter.train.settings import TrainSettings
from whyport.runtime.errors import TrainingError, UsageError, unknown
from whyport.runtime.providers import DEVICES
from whyport.runtime.task import first_largest

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
    continued ends with the same weights.

    Args:
        dataset: the rows to train and test with.
        settings: the network and how to train it.
        device: "cpu", "cuda", or "auto", which takes CUDA where there is a card.
        start: the checkpoint to go on from.
        after_epoch: called with the state after every epoch.

    Returns:
        The model, a Sequential on the CPU, and the last checkpoint. Its children are `encode`, where there are
        categories, `preprocess` and `network`.

    Raises:
        TrainingError: the settings do not fit the data, the loss stops being finite, or `start` is of another run.
    """
    place = choose_device(device)
    run = describe_run(dataset, settings)
    if start is not None:
        start.run.check_same(run)
    state = _State(dataset, settings, place)
    results = list(start.results) if start else []
    checkpoint = start
    if start is not None:
        state.restore(start)
    epochs = tqdm(range(1, settings.epochs + 1), unit="epoch", disable=None)
    with _seeded(settings.seed, 0, place), torch.backends.cudnn.flags(enabled=True, deterministic=True), epochs as bar:
        for epoch in bar:
            if epoch <= len(results):
                continue
            _seed(settings.seed, epoch)
            state.step_epoch(settings.batch_rows)
            results.append(EpochResult(epoch, *state.evaluate(dataset.train), *state.evaluate(dataset.test)))
            _report(bar, results[-1], settings.epochs)
            checkpoint = state.checkpoint(run, results)
            after_epoch(checkpoint)
    assert checkpoint is not None
    return state.model.cpu(), checkpoint


class _State:
    """What changes from epoch to epoch, on the device."""

    def __init__(self, dataset: Dataset, settings: TrainSettings, device: torch.device) -> None:
        with _seeded(settings.seed, 0, torch.device("cpu")):
            encoding = build_encoding(dataset.features)
            width = encoding.width if encoding else len(dataset.features)
            network = create(settings.architecture, width, len(dataset.classes), settings.network)
        if caveat := network.caveat(encodes=encoding is not None):
            logger.warning("%s", caveat)
        self.device = device
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
        self.rows, self.labels = self._move(dataset.train)

    def restore(self, checkpoint: Checkpoint) -> None:
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.scheduler.load_state_dict(checkpoint.scheduler)

    def checkpoint(self, run: Run, results: list[EpochResult]) -> Checkpoint:
        return Checkpoint(
            run=run,
            results=tuple(results),
            model={name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()},
            # A copy: it is of the parameters' own tensors, which the next epoch changes.
            optimizer=copy.deepcopy(self.optimizer.state_dict()),
            scheduler=self.scheduler.state_dict(),
        )

    def step_epoch(self, batch_rows: int) -> None:
        self.model.train()
        order = torch.randperm(len(self.rows)).to(self.device)
        for batch in torch.split(order, batch_rows):
            self.optimizer.zero_grad()
            loss = F.cross_entropy(_logits(self.model(self.rows[batch])), self.labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        self.scheduler.step()

    @torch.inference_mode()
    def evaluate(self, labelled: Labelled) -> tuple[float, float]:
        """Mean loss and accuracy."""
        self.model.eval()
        rows, labels = self._move(labelled)
        logits = torch.cat([_logits(self.model(batch)) for batch in torch.split(rows, EVALUATION_ROWS)])
        loss = float(F.cross_entropy(logits, labels))
        return loss, float((first_largest(logits) == labels).double().mean())

    def _move(self, labelled: Labelled) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(labelled.rows).to(self.device), torch.from_numpy(labelled.labels).to(self.device)


def describe_run(dataset: Dataset, settings: TrainSettings) -> Run:
    """What identifies a run, for its checkpoints."""
    return Run(
        settings=settings.flat(),
        features=tuple(feature.name for feature in dataset.features),
        classes=dataset.classes,
        data_digest=dataset.digest,
    )


def choose_device(name: str) -> torch.device:
    """The device of that name; UsageError for an unknown one, TrainingError for CUDA where there is none."""
    if name not in DEVICES:
        raise UsageError(unknown("device", name, DEVICES))
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device 'cuda': PyTorch finds no CUDA card; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _logits(given: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return given if isinstance(given, Tensor) else given[0]


def _report(bar: "tqdm[int]", result: EpochResult, epochs: int) -> None:
    if not np.isfinite(result.train_loss):
        raise TrainingError(
            f"epoch {result.epoch}: the training loss is {result.train_loss}; try a smaller --learning-rate"
        )
    bar.set_postfix(loss=f"{result.train_loss:.4f}", test_accuracy=f"{result.test_accuracy:.4f}")
    if bar.disable:
        logger.info(
            "epoch %d/%d: train loss %.4f, accuracy %.4f; test loss %.4f, accuracy %.4f",
            result.epoch,
            epochs,
            result.train_loss,
            result.train_accuracy,
            result.test_loss,
            result.test_accuracy,
        )


def _seed(seed: int, epoch: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seeded inside; afterwards the caller's random state is back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        _seed(seed, epoch)
        yield
