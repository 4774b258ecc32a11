"""The sweep: every small network is explained to 1e-6, or refused by name."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from support.oracles import attribute, uneven_weights
from support.pages import ROOT, table
from support.sweep import CASES, FAMILIES, Network
from support.sweep.network import FEATURES
from whyport.exporter.deepshap import build_program
from whyport.runtime.errors import WhyportError

REFERENCES = 5


def rows_and_references() -> tuple[Tensor, Tensor]:
    """Rows [12, F] and references [5, F] with zeros, ties, equal rows, and a row that is a reference."""
    torch.manual_seed(2)
    rows, references = torch.randn(12, FEATURES), torch.randn(REFERENCES, FEATURES) * 1.5
    rows[3], rows[4], rows[5] = 0, -1, rows[6]
    references[1], references[2], references[3] = 0, rows[5], -1.5
    return rows, references


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.refusal])
def test_a_network_is_explained(name: str) -> None:
    network = Network(CASES[name]).eval().requires_grad_(False)
    rows, references = rows_and_references()
    program = build_program(network, torch.randn(5, FEATURES)).double()
    network = copy.deepcopy(network).double()
    rows, references, weights = rows.double(), references.double(), uneven_weights(REFERENCES, torch.float64)
    values = attribute(program, rows, references, weights)
    difference = network(rows) - weights @ network(references)
    assert torch.isfinite(values).all()
    error = (values.sum(2) - difference).abs() / difference.abs().clamp(min=1)
    assert float(error.max()) < 1e-6


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.refusal])
def test_a_network_is_refused_by_name(name: str) -> None:
    with pytest.raises(WhyportError) as caught:
        build_program(Network(CASES[name]).eval().requires_grad_(False), torch.randn(5, FEATURES))
    assert CASES[name].refusal in str(caught.value)


def test_most_networks_are_explained() -> None:
    assert sum(not case.refusal for case in CASES.values()) >= 300


def test_the_page_has_the_truth() -> None:
    expected = [
        [
            family,
            str(sum(not case.refusal for case in cases.values())),
            ", ".join(f"`{name}`" for name, case in cases.items() if case.refusal) or "none",
        ]
        for family, cases in FAMILIES.items()
    ]
    assert table(ROOT / "docs" / "explanations.md", "family") == expected
