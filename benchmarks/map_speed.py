"""Speed of the maps of a network of pictures, beside pytorch_grad_cam, and beside a bare forward pass.

    python benchmarks/map_speed.py [--repeats N] [--out JSON]

The network of made surface defects of `image_models`, which ends in a global average pooling. One thread, rows per
second of processor time, medians over the repeats of one process, in turn. Maps are upsampled to the picture on both
sides. The peer is called with the rows a call that suit it best. It needs the packages grad-cam, ttach and
opencv-python-headless, installed without what they depend on.

`difference` is the largest one between our maps and the peer's, scaled as the peer scales them.
"""

import argparse
import json
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import image_models
import whyport
from timing import fastest, in_turn
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.maps.grad_cam import GradCam, scaled
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.session import Session

SIZE = image_models.DEFECT_SIZE
ROWS, SMOOTHED_ROWS, TARGETS, VIEWS = 16, 4, 3, 6
CALL_ROWS = (4, 16)
"""Rows of a call that the peer is tried with."""
LAYERS = ("blocks.3.0", "blocks.1.0")

Maps = NDArray[np.floating[Any]]


def as_photos(shown: NDArray[np.uint8]) -> Tensor:
    """Pixels [N, 200, 200] as the network takes them."""
    return torch.from_numpy(shown.astype(np.float32) / np.float32(255))[:, None]


def exported(folder: Path) -> Bundle:
    """The network as a bundle, without what explains by DeepSHAP in ONNX."""
    sample = image_models.write_pictures(folder / "sample.parquet", image_models.defects(16, 3)[0])
    picture = f"image=image:photo:size={SIZE}x{SIZE},channels=1"
    made = "image_models:train_defects"
    return whyport.export(made, sample, folder / "bundle", input=picture, explain_references=0)


class Peer:
    """pytorch_grad_cam, with stand-ins of what it imports from torchvision and does not need here."""

    def __init__(self, network: nn.Module) -> None:
        names = {"": (), ".transforms": ("Compose", "Normalize", "ToTensor"), ".transforms.functional": ("resize",)}
        for name, members in names.items():
            module = ModuleType(f"torchvision{name}")
            for member in members:
                setattr(module, member, None)
            sys.modules.setdefault(module.__name__, module)
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        self._make, self._target, self._network = GradCAM, ClassifierOutputTarget, network

    def maps(self, layer: str, photos: Tensor, targets: NDArray[np.int64], call_rows: int, *, smooth: bool) -> Maps:
        """The maps of each of J targets [N, J] one by one, [N, J, 200, 200]."""
        with self._make(model=self._network, target_layers=[self._network.get_submodule(layer)]) as method:
            return np.stack(
                [
                    np.concatenate(
                        [
                            method(some, [self._target(int(k)) for k in own], aug_smooth=smooth)
                            for some, own in zip(photos.split(call_rows), _parts(targets[:, j], call_rows), strict=True)
                        ]
                    )
                    for j in range(targets.shape[1])
                ],
                axis=1,
            )


def _parts(values: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def ours(bundle: Bundle, layer: str, views: int) -> Callable[[NDArray[np.float32], NDArray[np.int64]], Maps]:
    """The maps of rows [N, F] and targets [N, J], upsampled, [N, J, 200, 200]."""
    settings = ExplainSettings.of(layer=layer, augment=views, grad_cam_map=True).of_method("grad-cam")
    method = GradCam(TorchScriptModel(bundle, "cpu", 1), References.read(bundle), settings)

    def run(rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Maps:
        nothing = np.zeros((len(rows), len(bundle.sidecar.targets)), dtype=np.float32)  # a map needs no scores
        made = method.explain(Request.of_targets(rows, nothing, targets)).extras["grad_cam_map"]
        maps = torch.from_numpy(scaled(made).reshape(*targets.shape, *made.shape[1:]))
        whole: Maps = nn.functional.interpolate(maps, (SIZE, SIZE), mode="bilinear").numpy()
        return whole

    return run


def measure(repeats: int) -> dict[str, Any]:
    """Rows per processor second, and how far the maps are from the peer's."""
    network = image_models.train_defects()
    shown, _ = image_models.defects(ROWS, 4)
    photos, rows = as_photos(shown), shown.reshape(ROWS, -1).astype(np.float32)
    with torch.no_grad():
        ranked = network(photos).argsort(1, descending=True).numpy()
    with tempfile.TemporaryDirectory() as folder:
        bundle = exported(Path(folder))
        peer, session = Peer(network), Session(bundle, "cpu", threads=1)
        result: dict[str, Any] = {}
        for layer in LAYERS:
            own = ours(bundle, layer, 1)
            of_peer = {
                size: lambda layer=layer, size=size: peer.maps(layer, photos, ranked[:, :1], size, smooth=False)
                for size in CALL_ROWS
            }
            calls = {
                "whyport": lambda own=own: own(rows, ranked[:, :1]),
                "pytorch_grad_cam": of_peer[fastest(of_peer)],
            }
            result[f"grad-cam, {layer}"] = _compared(calls, ROWS, repeats)
        some, most = rows[:SMOOTHED_ROWS], ranked[:SMOOTHED_ROWS, :TARGETS]
        smoothed = ours(bundle, LAYERS[0], VIEWS)
        calls = {
            "whyport": lambda: smoothed(some, most),
            "pytorch_grad_cam": lambda: peer.maps(LAYERS[0], photos[:SMOOTHED_ROWS], most, 4, smooth=True),
        }
        result[f"grad-cam, {TARGETS} classes x {VIEWS} views"] = _compared(calls, SMOOTHED_ROWS, repeats, maps=False)
        several = np.concatenate([rows] * 8)
        calls = {
            "cam of all classes": lambda: session.class_maps(several)["cam"],
            "the forward pass alone": lambda: session.run(several, ["logits"])["logits"],
        }
        result["cam"] = _compared(calls, len(several), 3 * repeats, maps=False)
    return result


def _compared(calls: dict[str, Callable[[], Maps]], rows: int, repeats: int, *, maps: bool = True) -> dict[str, Any]:
    """The rates of two calls in turn, their ratio, and of maps the largest difference once they are scaled alike."""
    seconds, made = in_turn(calls, repeats)
    first, second = seconds
    found: dict[str, Any] = {"rows per cpu-second": {name: round(rows / spent, 1) for name, spent in seconds.items()}}
    found["times"] = round(seconds[second] / seconds[first], 2)
    if maps:
        one, other = (_scaled(made[name]) for name in (first, second))
        found["difference"] = float(f"{np.abs(one - other).max():.2g}")
    return found


def _scaled(maps: Maps) -> Maps:
    low = maps.min(axis=(2, 3), keepdims=True)
    whole: Maps = (maps - low) / (1e-7 + (maps - low).max(axis=(2, 3), keepdims=True))
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "map_speed.json")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    sys.path.insert(0, str(Path(__file__).parent))
    packages = {name: version(name) for name in ("torch", "onnxruntime", "grad-cam")}
    result = {"machine": platform.machine(), "repeats": given.repeats, "versions": packages} | measure(given.repeats)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
