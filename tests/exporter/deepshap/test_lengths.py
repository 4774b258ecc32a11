"""Programs of sequences of varying length: traced at one length, right at every other."""

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from support.masked_networks import KINDS, STEPS, WIDTH, TakeSteps, rows_of
from support.oracles import attribute, uneven_weights
from whyport.batch.methods.deepshap.fused import FusedProgram
from whyport.exporter.deepshap import build_program, trace_program
from whyport.exporter.deepshap.program import Program
from whyport.exporter.graphs.torchscript import load_torchscript, quiet
from whyport.runtime.bundle.deepshap import PARTS_RECORD, read_parts
from whyport.runtime.errors import ExportError, UnsupportedOperatorError

TRACED = 4
WEIGHTS = uneven_weights(3, torch.float64)


def made(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(5)
    return kind().eval().requires_grad_(False)


def program_of(network: nn.Module, steps: int = STEPS, length: int = TRACED) -> Program:
    rows = rows_of(5, length, 1, steps)
    return build_program(TakeSteps(network, steps).eval(), rows, lengths=[steps * WIDTH])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_length_is_explained_as_without_padding(kind: type[nn.Module]) -> None:
    network = made(kind)
    content = trace_program(program_of(network), rows_of(5, TRACED, 1))
    loaded = load_torchscript(content).double()
    for length in (STEPS, 1, 3):
        rows, references = rows_of(4, length, 2).double(), rows_of(3, length, 3).double()
        of_rows, of_references = loaded.activations(rows), loaded.activations(references)
        got = loaded.attribute(of_rows, of_references, WEIGHTS)
        torch.testing.assert_close(of_rows[0].float(), TakeSteps(network)(rows.float()), rtol=0, atol=1e-6)
        torch.testing.assert_close(got.sum(2), of_rows[0] - WEIGHTS @ of_references[0], rtol=0, atol=1e-9)
        assert not got[:, :, length * WIDTH :].any()
    assert_fused_alike(content)
    exact = program_of(network, length, length).double()
    short = [rows_of(count, length, seed, length).double() for count, seed in ((4, 2), (3, 3))]
    expected = attribute(exact, *short, WEIGHTS)
    torch.testing.assert_close(got[:, :, : length * WIDTH], expected[:, :, :-1], rtol=0, atol=1e-6)


def assert_fused_alike(content: bytes) -> None:
    """The kernels beside given steps, whatever their length."""
    records = {PARTS_RECORD: ""}
    with quiet():
        loaded = torch.jit.load(io.BytesIO(content), _extra_files=records)
    fused = FusedProgram(loaded, read_parts(records[PARTS_RECORD]))
    rows, references = rows_of(4, 2, 2), rows_of(3, 2, 3)
    weights = WEIGHTS.float()
    expected = attribute(loaded, rows, references, weights)
    with torch.no_grad():
        got = fused.attribute(loaded.activations(rows), loaded.activations(references), weights)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_rows_of_different_lengths_build_no_program() -> None:
    rows = torch.cat([rows_of(2, 2, 1), rows_of(3, 4, 1)])
    with pytest.raises(ExportError, match=r"the same lengths in all, got \[\(2.0,\), \(4.0,\)\]"):
        build_program(TakeSteps(made(KINDS[0])), rows, lengths=[STEPS * WIDTH])


def test_rows_of_several_lengths_have_no_answer() -> None:
    program = program_of(made(KINDS[0]))
    of_some, of_others = (program.activations(rows_of(3, length, 1)) for length in (2, 3))
    assert program.activations(torch.cat([rows_of(1, 2, 1), rows_of(1, 3, 1)]))[0].isnan().all()
    assert program.attribute(of_some, of_others, WEIGHTS.float()).isnan().all()
    assert program.attribute(of_some, of_some, WEIGHTS.float()).isfinite().all()


class Body(nn.Module):
    def __init__(self, body: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.body(x, mask)


def written(x: Tensor, mask: Tensor) -> Tensor:
    """What people compute of steps and their mask."""
    valid, count = mask.unsqueeze(-1), mask.sum(1, keepdim=True)
    last = count - 1
    positive = x[..., 0] > 0
    parts = [
        torch.logsumexp(x.masked_fill(~valid, -torch.inf), 1),
        x.masked_fill(~valid, -1e9).log_softmax(1)[:, 0],
        torch.softmax(x.sum(-1) * mask - 1e4 * ~mask, 1),
        x.masked_fill(~valid, torch.inf).amin(1),
        x.masked_fill(~valid, -torch.inf).topk(1, 1).values,
        torch.where(valid, x, 1.0).prod(1),
        ((x - (x * valid).sum(1, keepdim=True) / count.unsqueeze(-1)) ** 2 * valid).sum(1) / count,
        nn.functional.normalize((x * valid).sum(1), dim=1) * count.float().rsqrt(),
        (x.abs().sum(1) + 1) ** (1 / count),
        count / (x.sum(1).abs() + 1),
        (positive & mask).float(),
        (positive | ~mask).float(),
        torch.where(count > 2, x[:, 0], 2 * x.sum(1)),
        torch.take_along_dim(x, last.unsqueeze(-1).expand(-1, 1, WIDTH), 1),
        x.gather(1, ((torch.arange(STEPS) + count) % STEPS).unsqueeze(-1).expand_as(x))[:, 2],
        torch.einsum("nt,ntw->nw", mask.float() / count, torch.nan_to_num(x)),
        torch.relu(x + torch.sin(mask.cumsum(1).float()).unsqueeze(-1)).sum(1),
    ]
    return torch.cat([part.flatten(1) for part in parts], 1)


def test_what_people_write_adds_up_at_each_length() -> None:
    network = Body(written)
    program = program_of(network).double()
    for length in (1, 2, STEPS):
        rows, references = rows_of(4, length, 2).double(), rows_of(3, length, 3).double()
        of_rows, of_references = program.activations(rows), program.activations(references)
        got = program.attribute(of_rows, of_references, WEIGHTS)
        expected = TakeSteps(network)(rows.float())
        torch.testing.assert_close(of_rows[0].float(), expected, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(got.sum(2), of_rows[0] - WEIGHTS @ of_references[0], rtol=1e-9, atol=1e-9)
        assert not got[:, :, length * WIDTH :].any()


REFUSED: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str]] = {
    "steps selected by a mask": (lambda x, mask: x[mask].sum(0, keepdim=True), "a size depends on the row's number"),
    "a sum at given places": (
        lambda x, mask: torch.zeros_like(x).scatter_add(1, (mask.cumsum(1) % 2)[:, :, None].expand_as(x), x).sum(1),
        "scatter_add.default where the positions depend on the row",
    ),
    "a given kernel": (
        lambda x, mask: nn.functional.conv1d(x.transpose(1, 2), mask.to(x.dtype)[:, None].expand(-1, WIDTH, -1))[:, 0],
        "convolution.default where this argument depends on the row",
    ),
    "the length alone": (lambda x, mask: mask.sum(1, keepdim=True) * 1.0, "the logits do not depend on the row"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_explained_is_refused_by_name(name: str) -> None:
    body, reason = REFUSED[name]
    with pytest.raises(UnsupportedOperatorError, match=reason):
        program_of(Body(body))
