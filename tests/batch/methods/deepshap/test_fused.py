"""The fused kernels against the portable program, whose place they take."""

import dataclasses
import io
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from whyport.batch.methods.deepshap.fused import KERNELS, FusedProgram
from whyport.batch.methods.deepshap.kernels import decay, slope_of_tanh
from whyport.exporter.deepshap import compile_deepshap
from whyport.runtime.bundle.deepshap import PARTS_RECORD, KernelName, Part, read_parts
from whyport.runtime.errors import BundleError

FEATURES = 12


class Recurrent(nn.Module):
    """A stacked bidirectional LSTM; the logits read the sequence, the last hidden or the last cell states, or all."""

    def __init__(self, reads: Sequence[str]) -> None:
        super().__init__()
        self.reads = reads
        self.layer = nn.LSTM(3, 5, 2, batch_first=True, bidirectional=True)
        self.head = nn.LazyLinear(3)

    def forward(self, rows: Tensor) -> Tensor:
        sequence, (hidden, cell) = self.layer(rows.reshape(-1, 4, 3))
        made = {"sequence": sequence.flatten(1), "hidden": hidden.swapaxes(0, 1).flatten(1), "cell": cell[0]}
        return self.head(torch.cat([made[name] for name in self.reads], 1))


class Attention(nn.Module):
    """Self-attention over the past."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.embed = nn.Linear(3, 6)
        self.head = nn.Linear(24, 2)
        self.register_buffer("future", torch.full((4, 4), -torch.inf).triu(1))

    def forward(self, rows: Tensor) -> Tensor:
        tokens = self.embed(rows.reshape(-1, 4, 3))
        context, _ = self.attention(tokens, tokens, tokens, attn_mask=self.future, need_weights=True)
        return self.head(context.flatten(1))


def pooled(layer: nn.Module) -> nn.Module:
    """Max-pooling in pairs, with layers before and after it."""
    return nn.Sequential(nn.Unflatten(1, (1, FEATURES)), layer, nn.MaxPool1d(2), nn.Flatten(), nn.LazyLinear(2))


def pooled_maps(layer: nn.Module) -> nn.Module:
    """Max-pooling of maps of 3 x 4 positions, with layers before and after it."""
    maps = nn.Conv2d(1, 3, 3, padding=1)
    return nn.Sequential(nn.Unflatten(1, (1, 3, 4)), maps, nn.ReLU(), layer, nn.Flatten(), nn.LazyLinear(2))


class Largest(nn.Module):
    """The largest and the smallest of many values, of which several are the same, and the largest so far."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Linear(FEATURES, 40)
        self.head = nn.Linear(FEATURES + 4, 2)

    def forward(self, rows: Tensor) -> Tensor:
        spread = self.spread(rows)
        ends = [torch.cat([spread, rows, rows], 1).amax(1, keepdim=True), spread.reshape(-1, 2, 20).amin(2)]
        return self.head(torch.cat([*ends, spread[:, :33].amin(1, keepdim=True), rows.cummax(1).values], 1))


class Everything(nn.Module):
    """Convolution, pooling, a recurrent layer and attention: kernels in a row, and multipliers that pass by one."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, 4, 3, padding=1)
        self.layer = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(6, 2)

    def forward(self, rows: Tensor) -> Tensor:
        maps = nn.functional.max_pool1d(self.convolution(rows.unsqueeze(1)).relu(), 2)
        sequence, _ = self.layer(maps.transpose(1, 2))
        context, _ = self.attention(sequence, sequence, sequence)
        return self.head((context + sequence).amax(1))


NETWORKS = {
    "lstm, the sequence": lambda: Recurrent(["sequence"]),
    "lstm, hidden states": lambda: Recurrent(["hidden"]),
    "lstm, cell states": lambda: Recurrent(["cell"]),
    "lstm, everything": lambda: Recurrent(["sequence", "hidden", "cell"]),
    "masked attention": Attention,
    "max-pooling": lambda: pooled(nn.Conv1d(1, 2, 3, padding=1)),
    "max-pooling of the rows": lambda: pooled(nn.Identity()),
    "blocks of two by two": lambda: pooled_maps(nn.MaxPool2d(2)),
    "blocks of two by two of the rows": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3, 4)), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 2)
    ),
    "overlapping windows": lambda: pooled_maps(nn.MaxPool2d(2, 1)),
    "padded windows": lambda: pooled_maps(nn.MaxPool2d(3, 2, 1)),
    "windows of uneven sides": lambda: pooled_maps(nn.MaxPool2d((1, 3), (2, 1), (0, 1), ceil_mode=True)),
    "dilated windows": lambda: pooled_maps(nn.MaxPool2d(2, 1, dilation=2)),
    "adaptive windows": lambda: pooled_maps(nn.AdaptiveMaxPool2d((2, 3))),
    "overlapping pairs": lambda: pooled(nn.MaxPool1d(2, 1)),
    "many values": Largest,
    "everything": Everything,
}


@cache
def compiled(name: str) -> tuple[torch.jit.ScriptModule, list[Part | None]]:
    torch.manual_seed(0)
    network = NETWORKS[name]()
    with torch.no_grad():
        network(torch.zeros(2, FEATURES))
    records = {PARTS_RECORD: ""}
    content = compile_deepshap(network.eval(), torch.randn(5, FEATURES))
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        module = torch.jit.load(io.BytesIO(content), _extra_files=records)
    return module.eval(), read_parts(records[PARTS_RECORD])


def samples(scale: float) -> tuple[Tensor, Tensor]:
    """Rows and references with ties inside a row, between them, and a row that is a reference."""
    generator = torch.Generator().manual_seed(1)
    rows, references = (scale * torch.randn(n, FEATURES, generator=generator) for n in (6, 7))
    rows[1] = references[2]
    rows[2, ::2] = rows[2, 1::2]
    rows[3, :6], references[3, 6:] = references[3, :6], references[3, :6]
    rows[4], references[4, 1::2] = 0.0, references[4, ::2]
    return rows, references


@torch.no_grad()
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_fused_program_equals_the_portable_one(name: str, scale: float) -> None:
    module, parts = compiled(name)
    assert any(part is not None for part in parts)
    rows, references = samples(scale)
    weights = torch.arange(1.0, 8.0) / 28
    of_rows, of_references = module.activations(rows), module.activations(references)
    expected = module.attribute(of_rows, of_references, weights)
    got = FusedProgram(module, parts).attribute(of_rows, of_references, weights)
    assert torch.isfinite(got).all()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    total = (of_rows[0] - weights @ of_references[0]).double()
    largest = max(1.0, float(expected.abs().max()))
    np.testing.assert_allclose(got.double().sum(2), total, atol=1e-4 * largest)


def test_every_kernel_is_used_and_known() -> None:
    """A kernel that the exporter names and nobody has would leave its part slow, without a word."""
    _, parts = compiled("everything")
    assert {part.kernel for part in parts if part} == set(KERNELS) == set(KernelName)


@torch.no_grad()
def test_a_kernel_of_a_later_version_is_left_to_the_portable_part() -> None:
    module, parts = compiled("everything")
    rows, references = samples(1.0)
    weights = torch.full((7,), 1 / 7)
    of_rows, of_references = module.activations(rows), module.activations(references)
    unknown = [part and dataclasses.replace(part, kernel="of a later version") for part in parts]
    got = FusedProgram(module, unknown).attribute(of_rows, of_references, weights)
    np.testing.assert_array_equal(got, module.attribute(of_rows, of_references, weights))


@torch.no_grad()
@pytest.mark.parametrize("place", [9, -2])
def test_windows_outside_of_a_plane_are_refused(place: int) -> None:
    rule = SimpleNamespace(windows=torch.tensor([[0, 3], [place, 8]]))
    m, values = torch.ones(1, 1, 1, 2, 2), torch.ones(1, 2, 3, 3)
    with pytest.raises(BundleError, match="expected windows inside of a plane"):
        KERNELS[KernelName.MAXIMUM_OF_WINDOWS](rule, sign=1)([m], [values], [values])


ARGUMENTS = np.concatenate([np.linspace(-10, 10, 4001), np.logspace(-30, 30, 601), -np.logspace(-30, 30, 601)])


def test_tanh_over_its_argument() -> None:
    z = ARGUMENTS.astype(np.float32)
    wide = z.astype(np.float64)
    expected = np.divide(np.tanh(wide), wide, out=np.ones_like(wide), where=wide != 0)
    np.testing.assert_allclose([slope_of_tanh(value) for value in z], expected, rtol=4e-7)


def test_the_mean_of_exponentials() -> None:
    z = np.concatenate([[0], np.logspace(-30, 3, 2001)]).astype(np.float32)
    wide = z.astype(np.float64)
    expected = np.divide(-np.expm1(-wide), wide, out=np.ones_like(wide), where=wide != 0)
    np.testing.assert_allclose([decay(value) for value in z], expected, rtol=4e-7)
    assert decay(np.float32(np.inf)) == 0
