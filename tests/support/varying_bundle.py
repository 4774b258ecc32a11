"""A network over a sequence of varying length beside a table, its rows, and its bundle."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

import whyport

STEPS, WIDTH, ROWS = 5, 2, 40
BUCKETS = (2, 5)
INPUTS = (f"visits=sequence:visits:names=hr|bp,buckets={'|'.join(map(str, BUCKETS))}", "static=table:age,dose")


class Masked(nn.Module):
    """The mean over the steps of a function of each, beside a table."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Linear(WIDTH, 3)
        self.out = nn.Linear(3 + 2, 2)

    def forward(self, visits: Tensor, visits_mask: Tensor, static: Tensor) -> Tensor:
        """[N, T, 2], [N, T] and [N, 2] to [N, 2]."""
        mask = visits_mask.unsqueeze(-1)
        mean = (torch.tanh(self.steps(visits)) * mask).sum(1) / mask.sum(1)
        scores: Tensor = self.out(torch.cat([mean, torch.tanh(static)], 1))
        return scores


def make() -> nn.Module:
    torch.manual_seed(0)
    return Masked().eval()


def rows_of(lengths: list[int], seed: int) -> pa.Table:
    """Rows with these numbers of steps."""
    random = np.random.default_rng(seed)
    visits = [(random.normal(size=(length, WIDTH)) * [1, 3] + [0, 5]).round(3).tolist() for length in lengths]
    table = {name: random.normal(size=len(lengths)) for name in ("age", "dose")}
    return pa.table({"id": np.arange(len(lengths)), "visits": pa.array(visits), **table})


def lengths(count: int) -> list[int]:
    """Numbers of steps from 1 to the most, each as often as the others."""
    return [1 + i * 3 % STEPS for i in range(count)]


def write_rows(path: Path) -> Path:
    """Rows of every number of steps."""
    pq.write_table(rows_of(lengths(ROWS), 1), path)
    return path


def export(folder: Path) -> Path:
    """The network as a bundle, in a folder that is there."""
    sample = folder / "sample.parquet"
    pq.write_table(rows_of(lengths(60), 0), sample)
    few = {"background": "6", "standardise": True, "impute": True}
    return whyport.export("support.varying_bundle:make", sample, folder / "bundle", input=INPUTS, **few).path
