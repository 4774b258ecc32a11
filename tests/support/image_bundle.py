"""Small convolutional networks over pictures, alone and beside a table, and their bundles."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import whyport
from support import images

SIZE, OWN_SIZE, ROWS = (12, 10), (25, 30), 24
MEAN, DEVIATION = (0.4, 0.5, 0.3), (0.2, 0.25, 0.5)
PHOTO = (
    f"photo=image:photo:size={'x'.join(map(str, SIZE))},channels=3,mean={'|'.join(map(str, MEAN))},"
    f"deviation={'|'.join(map(str, DEVIATION))}"
)


class Cnn(nn.Module):
    """Convolution, pooling, a global mean and a linear layer: [N, 3, height, width] to [N, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(4, 2)

    def forward(self, photo: Tensor) -> Tensor:
        scores: Tensor = self.head(self.body(photo).mean((2, 3)))
        return scores


class CnnBesideTable(nn.Module):
    """The same beside a table of two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = Cnn()
        self.table = nn.Linear(2, 2)

    def forward(self, photo: Tensor, static: Tensor) -> Tensor:
        scores: Tensor = self.cnn(photo) + self.table(static)
        return scores


def make() -> nn.Module:
    torch.manual_seed(0)
    return Cnn().eval()


def make_beside_table() -> nn.Module:
    torch.manual_seed(0)
    return CnnBesideTable().eval()


def write_rows(path: Path, count: int = ROWS, seed: int = 1) -> Path:
    """Rows of a picture and two numbers."""
    numbers = np.random.default_rng(seed).normal(size=(2, count)) * 3 + 5
    return images.write_pictures(path, images.pictures(count, OWN_SIZE, seed=seed), age=numbers[0], dose=numbers[1])


def export(folder: Path) -> Path:
    """The network of pictures as a bundle, in a folder that is there."""
    sample = write_rows(folder / "sample.parquet", 30, seed=0)
    return whyport.export("support.image_bundle:make", sample, folder / "bundle", input=PHOTO).path


def export_beside_table(folder: Path) -> Path:
    """The network of pictures and a table as a bundle."""
    sample, inputs = write_rows(folder / "sample.parquet", 30, seed=0), (PHOTO, "static=table:age,dose")
    made = "support.image_bundle:make_beside_table"
    return whyport.export(made, sample, folder / "bundle", input=inputs, standardise=True, impute=True).path
