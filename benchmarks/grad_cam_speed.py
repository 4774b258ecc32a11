"""Speed of Grad-CAM, beside captum's LayerGradCam at the fastest of its batch sizes.

    python benchmarks/grad_cam_speed.py [BUNDLE] [--rows N] [--repeats N] [--out JSON]

Both explain the same rows from the same TorchScript, in turn, as many times as asked; the best time counts. captum
runs at every batch size below, in two ways: with as many threads as cores and one PyTorch thread in each, as whyport
runs, and with PyTorch's own threads. Both upsample their maps to the features. CPU seconds are the whole process's.
"""

import argparse
import io
import json
import platform
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import LayerAttribution, LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn

from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.maps.grad_cam import GradCam
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import TORCHSCRIPT_MODEL
from whyport.runtime.providers import available_cores

BATCH_ROWS = (64, 128, 256, 512, 1024, 2048, 4096)


class Maps(nn.Module):
    """The layer for captum's hooks."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, rows: Tensor) -> Tensor:
        """The feature maps of rows [N, F]."""
        return self.module.features(rows)  # type: ignore[no-any-return]


class Split(nn.Module):
    """A bundle's TorchScript with its feature maps as a layer."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.module: Any = torch.jit.load(io.BytesIO(bundle.read_bytes(TORCHSCRIPT_MODEL))).eval()
        self.maps = Maps(self.module)

    def forward(self, rows: Tensor) -> Tensor:
        """The logits of rows [N, F]."""
        return self.module.classify(self.maps(rows))[0]  # type: ignore[no-any-return]


class Captum:
    """captum's LayerGradCam, with batches one after another or side by side.

    Args:
        bundle: the model.
        threads: batches that run at once.
    """

    def __init__(self, bundle: Bundle, threads: int) -> None:
        # Hooks belong to a module, so each thread has its own.
        self._splits = [Split(bundle) for _ in range(threads)]
        own = available_cores() if threads == 1 else 1
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(own,))

    def explain(self, rows: NDArray[np.float32], targets: NDArray[np.int64], batch_rows: int) -> NDArray[np.float32]:
        """The maps of rows [N, F], upsampled to the features, [N, F]."""
        slices = list(batch_slices(len(rows), batch_rows))

        def run(which: int) -> list[Tensor]:
            split = self._splits[which]
            method = LayerGradCam(split, split.maps)
            found = []
            for part in slices[which :: len(self._splits)]:
                leaf = torch.tensor(rows[part], requires_grad=True)
                maps = method.attribute(leaf, torch.tensor(targets[part]), relu_attributions=True).detach()
                found.append(LayerAttribution.interpolate(maps, rows.shape[1], interpolate_mode="linear")[:, 0])
            return found

        values = np.empty_like(rows)
        for which, found in enumerate(self._pool.map(run, range(len(self._splits)))):
            for part, maps in zip(slices[which :: len(self._splits)], found, strict=True):
                values[part] = maps.numpy()
        return values


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path(__file__).parents[1] / "models" / "breast_cancer")
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "grad_cam_speed.json")
    arguments = parser.parse_args()
    bundle = Bundle.read(arguments.bundle)
    background = References.read(bundle)
    generator = np.random.default_rng(0)
    rows = background.rows[generator.integers(len(background.rows), size=arguments.rows)]
    rows = (rows * generator.normal(1, 0.05, size=rows.shape)).astype(np.float32)
    targets = np.arange(len(rows)) % len(bundle.sidecar.targets)
    explainer = GradCam(TorchScriptModel(bundle, "cpu"), background, ExplainSettings().of_method("grad-cam"))
    contenders: dict[str, Callable[[], Any]] = {"whyport": lambda: explain(explainer, rows, targets)}
    for threads in (1, available_cores()):
        captum = Captum(bundle, threads)
        for size in BATCH_ROWS:
            contenders[f"captum, batch {size}, {threads} at once"] = lambda captum=captum, size=size: captum.explain(
                rows, targets, size
            )
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for repeat in range(arguments.repeats + 1):
        for name, run in contenders.items():
            took = timed(run)
            if repeat:  # the first warms up
                seconds[name].append(took)
    best = {name: min(wall for wall, _ in taken) for name, taken in seconds.items()}
    cpu = {name: min(cpu for _, cpu in taken) for name, taken in seconds.items()}
    fastest = min((name for name in best if name != "whyport"), key=best.__getitem__)
    cheapest = min((name for name in cpu if name != "whyport"), key=cpu.__getitem__)
    result = {
        "settings": {
            "rows": len(rows),
            "repeats": arguments.repeats,
            "cpu": platform.processor() or platform.machine(),
            "cores": available_cores(),
            "versions": {name: version(name) for name in ("whyport", "torch", "captum", "numpy")},
        },
        "rows_per_second": {name: round(len(rows) / value) for name, value in best.items()},
        "rows_per_cpu_second": {name: round(len(rows) / value) for name, value in cpu.items()},
        "captum_fastest": fastest,
        "times_captum": round(best[fastest] / best["whyport"], 2),
        "times_captum_by_cpu_seconds": round(cpu[cheapest] / cpu["whyport"], 2),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
