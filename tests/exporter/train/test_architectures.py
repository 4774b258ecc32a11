import numpy as np
import pytest
import torch

from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.rescale import Rescale
from whyport.exporter.graphs.torchscript import compile_torchscript, load_torchscript
from whyport.exporter.train.architectures import NETWORKS, create, parse_settings
from whyport.exporter.train.architectures.hybrid import Hybrid
from whyport.exporter.train.architectures.lstm import LSTM
from whyport.exporter.train.architectures.steps import RowPlaces, TakeCells
from whyport.runtime.errors import TrainingError, UsageError


@pytest.mark.parametrize("name", NETWORKS)
def test_every_architecture_keeps_the_contract(name):
    torch.manual_seed(0)
    network = create(name, 9, 3, parse_settings(name, []))
    rows = torch.randn(5, 9)
    graph = build_graph(network, torch.nn.Sequential(), rows)
    compiled = load_torchscript(compile_torchscript(graph, rows))
    other = torch.randn(4, 9)
    for got, expected in zip(compiled(other), graph.module(other), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
    assert graph.module(other)[0].shape == (4, 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_architecture_ends_in_its_output_module(name):
    torch.manual_seed(0)
    network = create(name, 9, 1, parse_settings(name, [])).eval()
    rows = torch.randn(5, 9)
    plain = first_of(network(rows))
    network.output = Rescale(torch.tensor([2.0]), torch.tensor([100.0]))
    assert plain.shape == (5, 1)
    np.testing.assert_allclose(first_of(network(rows)).detach(), 100 + 2 * plain.detach(), rtol=1e-6)


def first_of(given):
    return given[0] if isinstance(given, tuple) else given


def test_hybrid_has_the_documented_defaults():
    assert parse_settings("hybrid", []) == {"channels": 16, "lstm_hidden": 32, "lstm_layers": 2, "heads": 4}
    logits, attention = Hybrid()(torch.randn(2, 4))
    assert logits.shape == (2, 4)
    assert attention.shape == (2, 1, 1)


def test_hybrid_splits_at_the_last_convolution_block():
    network = Hybrid(features=30, targets=2).eval()
    rows = torch.randn(3, 30)
    maps = network.features(rows)
    assert maps.shape == (3, 32, 7)
    for got, expected in zip(network.classify(maps), network(rows), strict=True):
        np.testing.assert_array_equal(got.detach(), expected.detach())


@pytest.mark.parametrize(("features", "warns"), [(4, True), (7, True), (8, False)])
def test_hybrid_says_when_nothing_can_be_attended_to(features, warns):
    assert ("length 1" in Hybrid(features=features).caveat()) == warns


def test_steps_are_read_in_order_of_their_sequences_beside_the_columns_of_tables():
    places = RowPlaces.of(9, [(2, 3), (1,), (2, 1)])
    np.testing.assert_array_equal(places.steps, [[0, 1, 2, 7], [3, 4, 5, 8]])
    np.testing.assert_array_equal(places.columns, [6])
    np.testing.assert_array_equal(places.repeated, [[0, 1, 2, 7, 6], [3, 4, 5, 8, 6]])
    cells = torch.arange(18.0).reshape(2, 9)
    np.testing.assert_array_equal(TakeCells(places.steps, 9)(cells)[1], 9 + places.steps)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_lstm_scores_its_last_state_beside_the_columns(bidirectional):
    torch.manual_seed(0)
    network = LSTM(7, 2, 3, bidirectional=bidirectional, shapes=[(1,), (3, 2)]).eval()
    rows = torch.randn(4, 7)
    _, (last, _) = network.lstm(rows[:, 1:].reshape(4, 3, 2))
    expected = network.head(torch.cat([*last, rows[:, :1]], dim=1))
    np.testing.assert_allclose(network(rows).detach(), expected.detach(), atol=1e-6)


def test_a_hybrid_reads_steps():
    network = Hybrid(17, 2, shapes=[(8, 2), (1,)]).eval()
    logits, weights = network(torch.randn(3, 17))
    assert network.block1[0].in_channels == 3
    assert (logits.shape, weights.shape) == ((3, 2), (3, 2, 2))
    with pytest.raises(TrainingError, match="'hybrid': expected at least 4 steps, got 3"):
        create("hybrid", 30, 2, parse_settings("hybrid", []), [(3, 10)])


def test_too_few_features():
    with pytest.raises(TrainingError, match="'hybrid': expected at least 4 features, got 3"):
        create("hybrid", 3, 2, parse_settings("hybrid", []))


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UsageError, match="unknown architecture 'hybird' .did you mean 'hybrid'.*'mlp'"):
        parse_settings("hybird", [])
    with pytest.raises(UsageError, match="unknown setting of architecture 'mlp' 'heads'; known: 'hidden', 'layers'"):
        parse_settings("mlp", ["heads=2"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("hidden=many", "setting 'hidden': expected int, got 'many'"),
        ("dropout=x", "setting 'dropout': expected float, got 'x'"),
        ("hidden", "setting 'hidden': expected name=value"),
        ("dropout=inf", "setting 'dropout': expected a number up to 2147483647, got inf"),
        ("dropout=nan", "setting 'dropout': expected a number up to 2147483647, got nan"),
        ("hidden=99999999999999999999", "setting 'hidden': expected a number up to 2147483647, got 99999999999"),
    ],
)
def test_settings_are_checked(assignment, message):
    with pytest.raises(UsageError, match=message):
        parse_settings("mlp", [assignment])


@pytest.mark.parametrize(
    ("name", "assignment", "message"),
    [
        ("hybrid", "heads=5", "'heads': expected a divisor of 2 . lstm_hidden = 64, got 5"),
        ("hybrid", "channels=0", "'channels': expected more than 0, got 0"),
        ("mlp", "layers=0", "'layers': expected more than 0, got 0"),
        ("mlp", "dropout=1", "'dropout': expected a share in .0, 1., got 1.0"),
    ],
)
def test_settings_that_no_network_can_have(name, assignment, message):
    with pytest.raises(TrainingError, match=message):
        create(name, 9, 3, parse_settings(name, [assignment]))
