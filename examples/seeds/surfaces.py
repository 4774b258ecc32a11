"""Simulated pictures of brushed metal with a scratch, pits or a patch, and two small networks that tell these apart.

    python surfaces.py FOLDER

Writes train.parquet and pictures.parquet, each with a column of PNG files; gap.pt, the weights of a network that ends
in a mean over its maps, and dense.pt, those of one that ends in dense layers. Nobody took these pictures.
"""

import argparse
import io
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

SIZE, DEFECTS = 48, ("patch", "pits", "scratch")


def blocks() -> nn.Sequential:
    """Three convolutions, each with a normalisation, ReLU and max-pooling: [N, 1, 48, 48] to [N, 24, 6, 6]."""
    made: list[nn.Module] = []
    for inputs, outputs in ((1, 8), (8, 16), (16, 24)):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        made += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*made)


class Pooled(nn.Module):
    """Convolutions, the mean of each map, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = blocks()
        self.head = nn.Linear(24, len(DEFECTS))

    def forward(self, photo: Tensor) -> Tensor:
        """Pictures [N, 1, 48, 48] to logits [N, 3]."""
        scores: Tensor = self.head(self.blocks(photo).mean((2, 3)))
        return scores


class Dense(nn.Module):
    """The same convolutions, and dense layers behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = blocks()
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(24 * 36, 32), nn.ReLU(), nn.Linear(32, len(DEFECTS)))

    def forward(self, photo: Tensor) -> Tensor:
        """Pictures [N, 1, 48, 48] to logits [N, 3]."""
        scores: Tensor = self.head(self.blocks(photo))
        return scores


def make_gap() -> nn.Module:
    """The first network, with weights that nobody has trained."""
    return Pooled()


def make_dense() -> nn.Module:
    """The second one."""
    return Dense()


def surfaces(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures [count, 48, 48], and which defect each has, [count]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    kinds = random.integers(0, len(DEFECTS), count)
    pictures = np.empty((count, SIZE, SIZE), dtype=np.uint8)
    for i, kind in enumerate(kinds):
        metal = 0.55 + 0.2 * gaussian_filter(random.standard_normal((SIZE, SIZE)), (1, 6))
        down, right = y - random.uniform(12, SIZE - 12), x - random.uniform(12, SIZE - 12)
        if DEFECTS[kind] == "scratch":
            turn = random.uniform(0, np.pi)
            across, along = right * np.sin(turn) - down * np.cos(turn), right * np.cos(turn) + down * np.sin(turn)
            metal[(np.abs(across) < 1) & (np.abs(along) < 14)] += 0.35
        elif DEFECTS[kind] == "pits":
            for a, b in random.normal(0, 6, (8, 2)):
                metal[(down - a) ** 2 + (right - b) ** 2 < 2.5] -= 0.4
        else:
            metal[(down / 11) ** 2 + (right / 8) ** 2 < 1] -= 0.2
        metal += 0.02 * random.standard_normal((SIZE, SIZE))
        pictures[i] = np.rint(255 * np.clip(metal, 0, 1))
    return pictures, kinds


def train(network: nn.Module, pictures: NDArray[np.uint8], kinds: NDArray[np.int64]) -> nn.Module:
    """The network after a few passes over the pictures."""
    pixels, truth = torch.from_numpy(pictures[:, None]).float() / 255, torch.from_numpy(kinds)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(12):
        for rows in torch.randperm(len(pixels)).split(32):
            loss = nn.functional.cross_entropy(network(pixels[rows]), truth[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.eval()


def table(pictures: NDArray[np.uint8], kinds: NDArray[np.int64]) -> pd.DataFrame:
    """The pictures as PNG files, and the names of their defects."""
    files = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "png")
        files.append(file.getvalue())
    return pd.DataFrame({"photo": files, "defect": [DEFECTS[kind] for kind in kinds]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    known = surfaces(600, seed=1)
    table(*known)[:200].to_parquet(folder / "train.parquet", index=False)
    table(*surfaces(60, seed=2)).to_parquet(folder / "pictures.parquet", index=False)
    for name, made in (("gap", make_gap()), ("dense", make_dense())):
        torch.save(train(made, *known).state_dict(), folder / f"{name}.pt")


if __name__ == "__main__":
    main()
