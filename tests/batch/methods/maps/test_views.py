"""Grad-CAM averaged over views of pictures, beside captum on the same views, and beside pytorch_grad_cam."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import nn

import whyport
from support import image_bundle as made
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.maps.grad_cam import GradCam
from whyport.batch.methods.maps.views import View, views
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import UsageError
from whyport.runtime.session import Session


def test_the_first_six_are_both_sides_in_three_brightnesses() -> None:
    assert [(each.is_mirrored, each.brightness) for each in views(6, 0)] == [
        *((False, 1.0), (True, 1.0), (False, 0.9), (True, 0.9), (False, 1.1), (True, 1.1))
    ]
    assert views(1, 0) == (View(False, 1.0),)


def test_further_ones_are_drawn_by_the_seed() -> None:
    several = views(11, 7)
    assert several[:6] == views(6, 0)
    assert several == views(11, 7) != views(11, 8)
    assert [each.is_mirrored for each in several[6:]] == [False, True, False, True, False]
    assert all(0.9 <= each.brightness <= 1.1 for each in several)
    assert several[6].brightness == several[7].brightness != several[8].brightness


def test_a_view_is_turned_back() -> None:
    pictures = np.arange(24, dtype=np.float32).reshape(1, 2, 4, 3)
    mirrored = View(True, 1.1)
    np.testing.assert_allclose(mirrored.of(pictures), pictures[:, :, [3, 2, 1, 0]] * np.float32(1.1))
    np.testing.assert_array_equal(mirrored.back(np.array([[[1, 2, 3]]])), [[[3, 2, 1]]])


def pixels_of(bundle: Path, rows: Path) -> NDArray[np.float32]:
    return Session(bundle, "cpu").matrix(pq.read_table(rows)).reshape(-1, *made.SIZE, 3)


def photo(pixels: NDArray[np.float32]) -> torch.Tensor:
    prepared = (pixels / 255 - np.float32(made.MEAN)) / np.float32(made.DEVIATION)
    return torch.tensor(prepared, dtype=torch.float32).permute(0, 3, 1, 2)


def scaled(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    largest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)


def test_every_targets_map_is_the_mean_of_captums_over_the_views(
    image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"explain": "grad-cam", "explain_target": "top:2", "augment": 6, "layer": "*"}
    whyport.run(image_bundle, image_rows, tmp_path / "out", **options)
    got = pq.read_table(tmp_path / "out")

    network, pixels = made.make(), pixels_of(image_bundle, image_rows)
    with torch.no_grad():
        ranked = network(photo(pixels)).argsort(1, descending=True)
    layers = {"layer_map.body.0": network.body[0], "attribution": network.body[3]}
    for name, layer in layers.items():
        for k in range(2):
            total: Any = 0
            for mirrored in (False, True):
                for brightness in (1.0, 0.9, 1.1):
                    seen = (pixels[:, :, ::-1] if mirrored else pixels) * np.float32(brightness)
                    method = LayerGradCam(network, layer)
                    maps = method.attribute(photo(seen).requires_grad_(), ranked[:, k], relu_attributions=True)[:, 0]
                    maps = scaled(maps.detach().numpy())
                    total = total + (maps[:, :, ::-1] if mirrored else maps)
            written = got[f"{name}.{k + 1}"].combine_chunks().to_numpy_ndarray()
            np.testing.assert_allclose(written, total / 6, atol=1e-5)
    assert set(got["evaluations.1"].to_pylist()) == {6}
    assert whyport.audit(tmp_path / "out", sample=24)[-1].startswith("sample")


def test_views_of_a_table_are_refused(mapped_bundle: Path) -> None:
    bundle = Bundle.read(mapped_bundle)
    settings = ExplainSettings.of(augment=2).of_method("grad-cam")
    with pytest.raises(UsageError, match="augment: expected a model whose only input is an image, got one of 'table'"):
        GradCam(TorchScriptModel(bundle, "cpu"), References.read(bundle), settings)


def load_pytorch_grad_cam(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package, with stand-ins of what it imports from torchvision and does not need here; skips without it."""
    pytest.importorskip("ttach")
    pytest.importorskip("cv2")
    names = {"": (), ".transforms": ("Compose", "Normalize", "ToTensor"), ".transforms.functional": ("resize",)}
    for name, members in names.items():
        module = ModuleType(f"torchvision{name}")
        for member in members:
            setattr(module, member, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return pytest.importorskip("pytorch_grad_cam")


class Plain(nn.Module):
    """Pixels [N, 3, height, width] from 0 to 255 to logits: views multiply what the network itself takes."""

    def __init__(self) -> None:
        super().__init__()
        self.network = made.make()
        for name, values in (("mean", made.MEAN), ("deviation", made.DEVIATION)):
            self.register_buffer(name, torch.tensor(values).reshape(3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network((pixels / 255 - self.mean) / self.deviation)
        return logits


def resized(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps [N, y, x] from 0 to 1 over the picture, upsampled, and from 0 to 1 again, as the package does it."""
    whole = torch.nn.functional.interpolate(torch.tensor(maps)[:, None], made.SIZE, mode="bilinear")[:, 0].numpy()
    low = whole.min(axis=(1, 2), keepdims=True)
    values: NDArray[np.float32] = (whole - low) / (1e-7 + (whole - low).max(axis=(1, 2), keepdims=True))
    return values


@pytest.mark.heavy
@pytest.mark.parametrize("count", [1, 6])
def test_it_is_pytorch_grad_cams(
    count: int, image_bundle: Path, image_rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = load_pytorch_grad_cam(monkeypatch)
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    bundle, pixels = Bundle.read(image_bundle), pixels_of(image_bundle, image_rows)
    targets, model = np.arange(len(pixels)) % 2, Plain().eval()
    wanted = [ClassifierOutputTarget(int(k)) for k in targets]
    with package.GradCAM(model=model, target_layers=[model.network.body[3]]) as method:
        given = torch.tensor(pixels).permute(0, 3, 1, 2)
        expected = method(input_tensor=given, targets=wanted, aug_smooth=count > 1)

    settings = replace(ExplainSettings.of(layer="body.3").of_method("grad-cam"), per="6x5")
    explainer = GradCam(TorchScriptModel(bundle, "cpu"), References.read(bundle), settings)
    total: Any = 0
    for view in views(count, 0):
        rows = np.ascontiguousarray(view.of(pixels).reshape(len(pixels), -1))
        total = total + view.back(resized(explain(explainer, rows, targets).values.reshape(-1, 6, 5)))
    np.testing.assert_allclose(total / count, expected, atol=1e-5)
