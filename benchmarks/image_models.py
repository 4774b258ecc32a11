"""Networks of pictures, and the pictures that they are for: made surface defects, and scikit-image's photographs."""

import io
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional

CACHE = Path(tempfile.gettempdir()) / "whyport-benchmarks"

DEFECT_SIZE = 200
TRAINED_ON, EPOCHS = 480, 4


class GapNet(nn.Module):
    """Four blocks of convolution, normalisation, ReLU and max-pooling, a global mean and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 64, 64)
        self.blocks = nn.Sequential(*(_block(*pair) for pair in pairwise(widths)))
        self.head = nn.Linear(widths[-1], 6)

    def features(self, image: Tensor) -> Tensor:
        """[N, 1, 200, 200] to maps [N, 64, 12, 12]."""
        maps: Tensor = self.blocks(image)
        return maps

    def classify(self, maps: Tensor) -> Tensor:
        """Maps to the scores of six defects, [N, 6]."""
        scores: Tensor = self.head(maps.mean((2, 3)))
        return scores

    def forward(self, image: Tensor) -> Tensor:
        return self.classify(self.features(image))


def _block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))


def defects(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Brushed metal with one of six defects, grey [count, 200, 200], and which one it is, [count].

    A scratch, pits, a patch, crazing, an inclusion, and rolled-in scale.
    """
    rng = np.random.default_rng(seed)
    size = DEFECT_SIZE
    y, x = np.mgrid[:size, :size]
    kinds = rng.integers(0, 6, count)
    images = np.empty((count, size, size), np.uint8)
    for i, kind in enumerate(kinds):
        metal = 0.55 + 0.24 * gaussian_filter(rng.standard_normal((size, size)), (1, 8))
        down, right = y - rng.uniform(40, size - 40), x - rng.uniform(40, size - 40)
        metal += _defect(kind, down, right, rng) + 0.03 * rng.standard_normal((size, size))
        images[i] = np.rint(255 * np.clip(metal, 0, 1))
    return images, kinds


def _defect(
    kind: int, down: NDArray[np.float64], right: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """What one defect adds to the metal, by the distances from its middle."""
    if kind == 0:
        turn = rng.uniform(0, np.pi)
        across, along = right * np.sin(turn) - down * np.cos(turn), right * np.cos(turn) + down * np.sin(turn)
        return np.where((np.abs(across) < 1.5) & (np.abs(along) < 45), 0.3, 0.0)
    if kind == 1:
        pits = rng.normal(0, 18, (12, 2))
        return -0.35 * sum(((down - a) ** 2 + (right - b) ** 2 < 6).astype(np.float64) for a, b in pits)
    if kind == 4:
        return np.where((down / 30) ** 2 + (right / 7) ** 2 < 1, -0.3, 0.0)
    if kind == 5:
        return np.where((np.abs(down) < 25) & (np.abs(right) < 25), 0.12 * np.sign(np.sin(down / 3)), 0.0)
    inside = down**2 + right**2 < (40 if kind == 2 else 45) ** 2
    cloud = gaussian_filter(rng.standard_normal(down.shape), 6 if kind == 2 else 4)
    return np.where(inside & (cloud > 0.05 if kind == 2 else np.abs(cloud) < 0.008), -0.2, 0.0)


def train_defects() -> GapNet:
    """The network trained on made defects; its weights are kept in the machine's folder for temporary files."""
    torch.manual_seed(0)
    network, kept = GapNet(), CACHE / "defects.pt"
    if kept.exists():
        network.load_state_dict(torch.load(kept))
        return network.eval()
    images, kinds = defects(TRAINED_ON, 1)
    pixels, labels = torch.tensor(images[:, None]).float() / 255, torch.tensor(kinds)
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(EPOCHS):
        for some in torch.randperm(len(pixels)).split(32):
            optimiser.zero_grad()
            functional.cross_entropy(network(pixels[some]), labels[some]).backward()
            optimiser.step()
    CACHE.mkdir(exist_ok=True)
    torch.save(network.state_dict(), kept)
    return network.eval()


def write_pictures(path: Path, images: Iterable[NDArray[np.uint8]]) -> Path:
    """A Parquet file with a column `photo` of PNG pictures, from [N, H, W] or [N, H, W, 3]."""
    pq.write_table(pa.table({"photo": [_png(image) for image in images]}), path)
    return path


def _png(image: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()
