"""Graphs that would compute too much for a row are left out; nothing is computed to know it."""

import pytest
import torch
from torch import nn

from whyport.exporter.reasons import budget
from whyport.exporter.reasons.budget import check_values
from whyport.runtime.errors import ExportError


class Layers(nn.Module):
    """Of a row [N, 4]: a product [N, 8], a sum [N, 8], a maximum and its place, [N] each."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 8))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return (rows @ self.weight + 1).max(1).values


def test_the_values_of_every_result_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "ROW_VALUES", 8 + 8 + 1 + 1)
    check_values("some.onnx", Layers(), [torch.zeros(1, 4)])
    monkeypatch.setattr(budget, "ROW_VALUES", 8 + 8 + 1)
    with pytest.raises(ExportError, match=r"^some\.onnx: expected at most 17 values to compute for a row, got 18$"):
        check_values("some.onnx", Layers(), [torch.zeros(1, 4)])


def test_nothing_is_computed_to_count_values() -> None:
    # 400 GB of results
    wide = nn.Sequential(nn.Unflatten(1, (1, 100_000)), nn.Upsample(scale_factor=1_000_000))
    with pytest.raises(ExportError, match="got 100,000,"):
        check_values("explain.onnx", wide, [torch.zeros(1, 100_000)])
