"""shap's and captum's explainers on the demo model, as fast as they can be made to run.

Each explains every class of the rows that it is called with. The use of the cores is a setting like any other: one
process with one or with all threads, or several processes with one thread each.
"""

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from demo_model import EagerModel
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References

Rows = NDArray[np.float32]
Explain = Callable[[Rows], NDArray[np.floating]]
"""A function from rows [N, F] to attributions [N, C, F]."""


@dataclass(frozen=True)
class Setting:
    """The settings of a contender."""

    contender: str
    call_rows: int
    """Rows per call."""
    options: tuple[tuple[str, Any], ...] = ()
    crew: tuple[int, int] = (1, 1)
    """Processes, and threads per process."""

    def __str__(self) -> str:
        processes, threads = self.crew
        options = "".join(f", {name} {value}" for name, value in self.options)
        return f"{self.call_rows} rows a call{options}, {processes} processes x {threads} threads"

    def but(self, **options: Any) -> "Setting":
        """The same setting with other options."""
        return replace(self, options=tuple((dict(self.options) | options).items()))


@dataclass
class Crews:
    """Worker processes with the model loaded, one pool for each way to use the cores."""

    bundle: Path
    pools: dict[tuple[int, int], ProcessPoolExecutor] = field(default_factory=dict)

    def explain(self, setting: Setting, rows: Rows) -> NDArray[np.float64]:
        """The attributions [N, C, F] of rows."""
        if setting.crew not in self.pools:
            processes, threads = setting.crew
            self.pools[setting.crew] = ProcessPoolExecutor(
                processes, get_context("spawn"), initializer=_start, initargs=(self.bundle, threads)
            )
        calls = [rows[part] for part in batch_slices(len(rows), setting.call_rows)]
        results = self.pools[setting.crew].map(_explain, [setting] * len(calls), calls)
        return np.concatenate([np.asarray(result, dtype=np.float64) for result in results])


@contextmanager
def crews(bundle: Path) -> Iterator[Crews]:
    """Workers that are stopped when the context ends."""
    made = Crews(bundle)
    try:
        yield made
    finally:
        for pool in made.pools.values():
            pool.shutdown()


def _start(bundle: Path, threads: int) -> None:
    global _bundle
    _bundle = Bundle.read(bundle)
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    # TF32, cuDNN's default on a card, would make their sums worse.
    cudnn: Any = torch.backends.cudnn
    cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "ieee"


def _explain(setting: Setting, rows: Rows) -> NDArray[np.floating]:
    return _contender(setting.contender, setting.options)(rows)


@cache
def _contender(name: str, options: tuple[tuple[str, Any], ...]) -> Explain:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    background = References.read(_bundle)
    model = EagerModel(_bundle).to(device)

    def tensor(rows: Rows) -> torch.Tensor:
        return torch.tensor(rows, device=device)

    explain = CONTENDERS[name](model, background, tensor, **dict(options))
    for layer in model.modules():  # shap puts the model into evaluation mode, in which cuDNN refuses their gradients
        if isinstance(layer, torch.nn.RNNBase) and device.type == "cuda":
            layer.dropout = 0.0
            layer.train()
    return explain


def deep_explainer(model: EagerModel, background: References, tensor: Callable[..., torch.Tensor]) -> Explain:
    """shap.DeepExplainer without its check of the sum: on this model its attributions do not add up."""
    import shap

    explainer = shap.DeepExplainer(model, tensor(background.rows))
    return lambda rows: explainer.shap_values(tensor(rows), check_additivity=False).swapaxes(1, 2)


def gradient_explainer(
    model: EagerModel, background: References, tensor: Callable[..., torch.Tensor], samples: int, batch: int
) -> Explain:
    """shap.GradientExplainer: expected gradients from samples."""
    import shap

    explainer = shap.GradientExplainer(model, tensor(background.rows), batch_size=batch)
    return lambda rows: explainer.shap_values(tensor(rows), nsamples=samples).swapaxes(1, 2)


def captum_integrated_gradients(
    model: EagerModel, background: References, tensor: Callable[..., torch.Tensor], steps: int, rule: str, batch: int
) -> Explain:
    """captum's IntegratedGradients from the mean reference."""
    from captum.attr import IntegratedGradients

    reference = tensor(background.mean([]).rows)
    explainer = IntegratedGradients(model)

    def explain(rows: Rows) -> NDArray[np.floating]:
        given = tensor(rows)
        classes = int(model(given[:1]).shape[1])
        targets = torch.arange(classes, device=given.device).repeat(len(rows))
        shares = explainer.attribute(
            given.repeat_interleave(classes, 0),
            reference,
            targets,
            n_steps=steps,
            method=rule,
            internal_batch_size=batch,
        )
        attributions: NDArray[np.floating] = shares.detach().cpu().numpy().reshape(len(rows), classes, -1)
        return attributions

    return explain


CONTENDERS: dict[str, Callable[..., Explain]] = {
    "shap.DeepExplainer": deep_explainer,
    "shap.GradientExplainer": gradient_explainer,
    "captum.IntegratedGradients": captum_integrated_gradients,
}
