"""Explanations of a 200 x 200 network over pictures beside captum: parts of inputs_speed.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import DeepLiftShap, IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor, nn

import image_models
import whyport
from as_run import AsRun, added_memory, exported, opened
from timing import fastest, in_turn

REFERENCES, TARGET = 10, 0
PAIRS = (2, 4, 8, 16, 50)
"""Steps of a path that captum computes at once."""
ROWS_AT_ONCE = (1, 2, 4)
STEPS = 50

Shares = NDArray[np.floating[Any]]
Call = Callable[[], Shares]
"""Explains one target of each row, [N, ...]."""


@dataclass(frozen=True)
class Case:
    """The bundle of the network, and rows to explain."""

    bundle: whyport.Bundle
    network: nn.Module
    file: Path
    """The rows as pictures in Parquet."""
    images: Tensor
    """[N, 1, 200, 200], as the network takes them."""
    references: Tensor
    """[R, 1, 200, 200]"""

    @classmethod
    def of(cls, folder: Path, count: int) -> "Case":
        """Export the bundle, unless the folder has one."""
        shown = {
            name: image_models.defects(size, seed)[0]
            for name, size, seed in (("sample", 24, 3), ("references", REFERENCES, 4), ("rows", count, 5))
        }
        files = {name: image_models.write_pictures(folder / f"{name}.parquet", each) for name, each in shown.items()}
        bundle = exported(
            "image_models:train_defects",
            files["sample"],
            folder / "bundle",
            explain_references=0,
            input="image=image:photo:size=200x200,channels=1",
            background=files["references"],
        )
        rows, references = (torch.from_numpy(shown[name][:, None]).float() / 255 for name in ("rows", "references"))
        return cls(bundle, image_models.train_defects(), files["rows"], rows, references)

    def difference(self, starts: Tensor) -> NDArray[np.float64]:
        """The explained score less its mean over pictures, [N]."""
        with torch.no_grad():
            scores, base = (self.network(of)[:, TARGET].double().numpy() for of in (self.images, starts))
        difference: NDArray[np.float64] = scores - base.mean()
        return difference

    def beside(self, method: str, peer: str, makes: Mapping[int, Call], starts: Tensor, repeats: int) -> dict[str, Any]:
        """A method beside a peer with several settings: seconds, their ratio, and how far the sums are off.

        Args:
            method: of whyport.
            peer: its name.
            makes: the peer's calls, by setting.
            starts: the pictures whose mean score is the base value.
            repeats: how often everything is timed.
        """
        options = {"explain": method, "explain_target": self.bundle.sidecar.targets[TARGET]}
        run, best = AsRun.of(opened(self.bundle), self.file, options), fastest(makes)
        calls: dict[str, Call] = {
            f"whyport {method}": lambda: run().attributions[method].values,
            peer: makes[best],
        }
        seconds, shares = in_turn(calls, repeats)
        ours, theirs = seconds.values()
        difference = self.difference(starts)
        off = {
            name: each.reshape(len(difference), -1).sum(1, dtype=np.float64) - difference
            for name, each in shares.items()
        }
        return {
            "cpu_seconds_per_row": {name: round(spent / len(difference), 4) for name, spent in seconds.items()},
            "times": round(theirs / ours, 2),
            f"{peer}, best setting": best,
            "largest error of a sum, of the largest difference": {
                name: float(f"{np.abs(each).max() / np.abs(difference).max():.2g}") for name, each in off.items()
            },
            "MB that explaining adds": added_memory(self.bundle, self.file, options),
        }


def deepshap(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """DeepSHAP of one class, against 10 references."""
    case = Case.of(folder, rows)
    peer = DeepLiftShap(case.network)

    def explain(at_once: int) -> Shares:
        parts = case.images.split(at_once)
        return np.concatenate([peer.attribute(each, case.references, target=TARGET).detach().numpy() for each in parts])

    makes = {count: lambda count=count: explain(count) for count in ROWS_AT_ONCE if count <= rows}
    return case.beside("deepshap", "captum.DeepLiftShap", makes, case.references, repeats)


def gradients(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """Integrated gradients of one class, against the mean picture."""
    case = Case.of(folder, rows)
    peer, mean = IntegratedGradients(case.network), case.references.mean(0, keepdim=True)

    def explain(at_once: int) -> Shares:
        given = {"target": TARGET, "n_steps": STEPS, "internal_batch_size": at_once}
        return np.concatenate([peer.attribute(each, mean, **given).detach().numpy() for each in case.images.split(1)])

    makes = {count: lambda count=count: explain(count) for count in PAIRS}
    return case.beside("integrated-gradients", f"captum.IntegratedGradients, {STEPS} steps", makes, mean, repeats)
