"""A bundle of a recurrent network over many steps."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import whyport

STEPS, HIDDEN = 96, 3
NAMES = [f"t{step}" for step in range(STEPS)]


class Walk(nn.Module):
    """A GRU in both directions over the columns of a row, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(1, HIDDEN, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 2)

    def forward(self, rows: Tensor) -> Tensor:
        """[N, 96] to [N, 2]."""
        scores: Tensor = self.head(self.layer(rows.unsqueeze(2))[0].sum(1))
        return scores


def make() -> nn.Module:
    torch.manual_seed(0)
    return Walk().eval()


def walks(count: int, seed: int) -> pd.DataFrame:
    """Rows of 96 numbers."""
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(count, STEPS)).astype(np.float32), columns=NAMES)


def recurrent_bundle(folder: Path) -> Path:
    """The bundle, made in a folder that is there."""
    walks(60, 0).to_csv(folder / "rows.csv", index=False)
    few = {"background": "12", "explain_references": 3}
    return whyport.export("support.recurrent_bundles:make", folder / "rows.csv", folder / "bundle", **few).path
