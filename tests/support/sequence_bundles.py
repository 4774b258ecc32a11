"""A network over a sequence beside a table, its rows, and its bundle."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

import whyport

STEPS, WIDTH, ROWS = 6, 3, 60
RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal((ROWS, STEPS, WIDTH)).astype(np.float32)
STATIC = RNG.standard_normal((ROWS, 2)).astype(np.float32)
INPUTS = ("vitals=sequence:vitals:names=hr|bp|t", "static=table:age,dose")
CELLS = tuple(f"vitals[{step}].{name}" for step in range(STEPS) for name in ("hr", "bp", "t"))
"""The names of the sequence's cells, in order."""


class Both(nn.Module):
    """A GRU over a sequence, beside a table."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.GRU(WIDTH, 4, batch_first=True)
        self.out = nn.Linear(4 + 2, 2)

    def forward(self, vitals: Tensor, static: Tensor) -> Tensor:
        """[N, 6, 3] and [N, 2] to [N, 2]."""
        scores: Tensor = self.out(torch.cat([self.steps(vitals)[0].mean(1), torch.tanh(static)], 1))
        return scores


def make() -> nn.Module:
    torch.manual_seed(0)
    return Both().eval()


def write_rows(path: Path) -> Path:
    """The rows as a table with a column of nested lists."""
    columns = {"vitals": pa.array(VALUES.tolist()), "age": STATIC[:, 0], "dose": STATIC[:, 1], "id": np.arange(ROWS)}
    pq.write_table(pa.table(columns), path)
    return path


def export(rows: Path, out: Path) -> Path:
    """The network as a bundle."""
    whyport.export("support.sequence_bundles:make", rows, out, input=INPUTS, background=STEPS, standardise=True)
    return out
