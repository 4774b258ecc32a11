"""Speed and memory of explanations of pictures, beside captum and `lime`.

    python benchmarks/inputs_speed.py [--only PART,PART] [--rows N] [--repeats N] [--out JSON]

Bundles are exported from networks as users export them, with PNG pictures in Parquet. Times are seconds of processor
time a row on one thread, medians of repeats in which everything runs once, in turn. Each peer has the number of rows or
pairs a call that is fastest. Memory is the peak of a process of its own over what it holds with the model loaded.

The parts are in `PARTS`. A part that is not run keeps its figures in the file of results.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch read it

import numpy as np
import pyarrow.parquet as pq
import torch
from captum.attr import DeepLiftShap, IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor, nn

import image_models
import whyport
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import Explainer, explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.references import References

REFERENCES, TARGET = 10, 0
PAIRS = (2, 4, 8, 16, 50)
"""Pairs of row and reference, or steps of a path, that captum computes at once."""
IG_STEPS = 50

Call = Callable[[], NDArray[Any]]
"""Explains, and gives the shares of one target, [N, ...]."""


@dataclass(frozen=True)
class Setting:
    """A network, its pictures, and the option `--input` that its bundle is exported with."""

    network: Callable[[], nn.Module]
    pictures: Callable[[int, int], NDArray[np.uint8]]
    """A number of pictures and a seed, to grey [N, H, W]."""
    input: str


CNN = Setting(
    image_models.train_defects,
    lambda count, seed: image_models.defects(count, seed)[0],
    "image=image:photo:size=200x200,channels=1",
)


@dataclass(frozen=True)
class Case:
    """A bundle of a setting, and rows to explain."""

    bundle: whyport.Bundle
    network: nn.Module
    rows: NDArray[np.float32]
    """[N, F], as the bundle takes them."""
    images: Tensor
    """[N, C, H, W], as the network takes them."""
    references: Tensor
    """[R, C, H, W]"""

    @classmethod
    def of(cls, setting: Setting, folder: Path, count: int) -> "Case":
        """Export the bundle."""
        paths = {
            name: image_models.write_pictures(folder / f"{name}.parquet", setting.pictures(size, seed))
            for name, size, seed in (("sample", 24, 3), ("references", REFERENCES, 4), ("rows", count, 5))
        }
        bundle = whyport.export(
            f"image_models:{setting.network.__name__}",
            paths["sample"],
            folder / "bundle",
            input=setting.input,
            background=paths["references"],
            explain_references=0,
        )
        session = whyport.Session(bundle, device="cpu")
        rows, references = (session.matrix(pq.read_table(paths[name])) for name in ("rows", "references"))
        (tensor,) = bundle.sidecar.inputs[0].tensors
        height, width, channels = (int(length) for length in tensor.shape[1:])
        of_rows, of_references = (
            torch.from_numpy(values.reshape(-1, height, width, channels).transpose(0, 3, 1, 2).copy()).float() / 255
            for values in (rows, references)
        )
        network = setting.network()
        with torch.no_grad():
            expected = session.predict({"photo": pq.read_table(paths["rows"])["photo"].to_pylist()})["logits"]
            np.testing.assert_allclose(network(of_rows).numpy(), expected, atol=1e-3)  # the same pictures for both
        return cls(bundle, network, rows, of_rows, of_references)

    def difference(self, starts: Tensor) -> NDArray[np.float64]:
        """The explained score less its mean over pictures, [N]."""
        with torch.no_grad():
            scores, base = (self.network(of)[:, TARGET].double().numpy() for of in (self.images, starts))
        difference: NDArray[np.float64] = scores - base.mean()
        return difference


def explainer_of(model: TorchScriptModel, method: str) -> Explainer:
    """A method with its defaults, against the bundle's references."""
    return explainer_class(method)(model, References.read(model.bundle), ExplainSettings().of_method(method))


def ours(case: Case, method: str) -> Call:
    """Explains by whyport, on one thread."""
    explainer = explainer_of(TorchScriptModel(case.bundle, "cpu", 1), method)
    targets = np.full(len(case.rows), TARGET)
    return lambda: explain(explainer, case.rows, targets).values


def fastest(makes: Mapping[int, Call]) -> tuple[int, Call]:
    """The setting that takes the least time, and its call."""
    times = {}
    for setting, call in makes.items():
        started = time.process_time()
        call()
        times[setting] = time.process_time() - started
    best = min(times, key=lambda each: times[each])
    return best, makes[best]


def deep_lift_shap(case: Case, rows: int) -> Call:
    """captum.DeepLiftShap, so many rows a call."""
    peer = DeepLiftShap(case.network)

    def call() -> NDArray[Any]:
        parts = case.images.split(rows)
        return np.concatenate([peer.attribute(each, case.references, target=TARGET).detach().numpy() for each in parts])

    return call


def captum_integrated_gradients(case: Case, at_once: int) -> Call:
    """captum.IntegratedGradients against the mean picture, so many steps at once."""
    peer, baseline = IntegratedGradients(case.network), case.references.mean(0, keepdim=True)

    def call() -> NDArray[Any]:
        given = {"target": TARGET, "n_steps": IG_STEPS, "internal_batch_size": at_once}
        return np.concatenate(
            [peer.attribute(each, baseline, **given).detach().numpy() for each in case.images.split(1)]
        )

    return call


def timed(calls: Mapping[str, Call], rows: int, repeats: int) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
    """Processor seconds a row, medians of repeats in turn, and the sums of the shares, [N]."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    sums = {}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            started = time.process_time()
            shares = call()
            if repeat:  # the first compiles
                times[name].append((time.process_time() - started) / rows)
            sums[name] = shares.reshape(rows, -1).sum(1, dtype=np.float64)
    return {name: round(statistics.median(spent), 4) for name, spent in times.items()}, sums


def beside_peer(
    case: Case, method: str, peer: str, makes: Mapping[int, Call], starts: Tensor, repeats: int
) -> dict[str, Any]:
    """A method beside a peer with several settings: seconds, their ratio, and how far the sums are off.

    Args:
        case: what is explained.
        method: of whyport.
        peer: its name.
        makes: the peer's calls, by setting.
        starts: the pictures whose mean score is the base value.
        repeats: how often everything is timed.
    """
    best, call = fastest(makes)
    difference = case.difference(starts)
    seconds, sums = timed({f"whyport {method}": ours(case, method), peer: call}, len(case.rows), repeats)
    of_ours, of_peer = seconds.values()
    scale = float(np.abs(difference).max())
    return {
        "cpu seconds a row": seconds,
        "times": round(of_peer / of_ours, 2),
        f"{peer}, best setting": best,
        "largest error of a sum, of the largest difference": {
            name: float(f"{np.abs(sum_ - difference).max() / scale:.2g}") for name, sum_ in sums.items()
        },
        "peak MB beside the model": peak_beside_model(case, method),
    }


def deepshap_cnn(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """DeepSHAP of one class on the 200 x 200 network, against 10 references."""
    case = Case.of(CNN, folder, rows)
    makes = {count: deep_lift_shap(case, count) for count in (1, 2, 4) if count <= rows}
    return beside_peer(case, "deepshap", "captum.DeepLiftShap", makes, case.references, repeats)


def gradients_cnn(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """Integrated gradients of one class on the 200 x 200 network, against the mean picture."""
    case = Case.of(CNN, folder, rows)
    makes = {at_once: captum_integrated_gradients(case, at_once) for at_once in PAIRS}
    mean, peer = case.references.mean(0, keepdim=True), f"captum.IntegratedGradients, {IG_STEPS} steps"
    return beside_peer(case, "integrated-gradients", peer, makes, mean, repeats)


PARTS: dict[str, Callable[[Path, int, int], dict[str, Any]]] = {
    "deepshap-cnn": deepshap_cnn,
    "gradients-cnn": gradients_cnn,
}


def peak_beside_model(case: Case, method: str) -> float:
    """What explaining the rows adds to a process with the model, in MB."""
    rows = case.bundle.path / "rows.npy"
    np.save(rows, case.rows)
    command = [sys.executable, __file__, "--peak", str(case.bundle.path), str(rows), method]
    result: float = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    rows.unlink()
    return result


def own_peak(bundle: Path, rows: Path, method: str) -> float:
    """Measure it in this process."""
    matrix, model = np.load(rows), TorchScriptModel(whyport.Bundle.read(bundle), "cpu", 1)
    model.scores(matrix[:1])
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of loading
    before = status("VmRSS")
    explainer = explainer_of(model, method)
    explain(explainer, matrix, np.full(len(matrix), TARGET))
    return round(status("VmHWM") - before, 1)


def status(key: str) -> float:
    """A memory figure from this process's status, in MB."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024 / 1e6


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,PART")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=here / "results" / "inputs_speed.json")
    parser.add_argument("--peak", nargs=3, metavar=("BUNDLE", "ROWS", "METHOD"), help="One peak of memory.")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    sys.path.insert(0, str(here))
    if given.peak:
        bundle, rows, method = given.peak
        print(own_peak(Path(bundle), Path(rows), method))
        return
    results: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {}
    packages = {name: version(name) for name in ("torch", "captum", "lime")}
    for part in given.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            figures = PARTS[part](Path(folder), given.rows, given.repeats)
        results[part] = {"rows": given.rows, "repeats": given.repeats, **figures}
        print(part, json.dumps(results[part], indent=1), flush=True)
        results["machine"], results["versions"] = platform.machine(), packages
        given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
