import dataclasses
import logging

import numpy as np
import pytest
import torch

from support.categories import TOWNS, category_column
from whyport.exporter.graphs.categories import embedding_width, encoding_of
from whyport.exporter.train.architectures import parse_settings
from whyport.exporter.train.checkpoint import FILE, Checkpoint
from whyport.exporter.train.loop import choose_device, train
from whyport.exporter.train.settings import TrainSettings
from whyport.runtime.bundle.columns import Categories
from whyport.runtime.errors import TrainingError, UsageError

# Dropout, so that resuming has a random state to find again; the learning rate falls every second epoch.
SETTINGS = TrainSettings("mlp", parse_settings("mlp", ["hidden=8", "dropout=0.3"]), epochs=6, seed=3)


def run(dataset, settings=SETTINGS, **options):
    return train(dataset, settings, device="cpu", **options)


def assert_same_weights(got, expected):
    got, expected = got.state_dict(), expected.state_dict()
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name])


@pytest.fixture(scope="module")
def finished(dataset):
    return run(dataset)


def test_learns(dataset):
    _, last = run(dataset, TrainSettings("mlp", parse_settings("mlp", []), epochs=20))
    assert last.results[-1].figures["test_accuracy"] > 0.75
    assert last.results[-1].figures["train_loss"] < last.results[0].figures["train_loss"]


def test_results_are_those_of_the_network(dataset, finished):
    model, last = finished
    logits = model.eval()(torch.from_numpy(dataset.test.rows)).detach().double().numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    of_label = probabilities[np.arange(len(logits)), dataset.test.labels]
    np.testing.assert_allclose(last.results[-1].figures["test_loss"], -np.log(of_label).mean(), rtol=1e-5)
    expected = (logits.argmax(axis=1) == dataset.test.labels).mean()
    np.testing.assert_allclose(last.results[-1].figures["test_accuracy"], expected)


def test_the_learning_rate_falls_after_each_third(finished):
    _, last = finished
    np.testing.assert_allclose(last.optimizer["param_groups"][0]["lr"], 0.005 * 0.1**3)


def test_the_same_seed_gives_the_same_weights(dataset, finished):
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again, _ = run(dataset)
    assert_same_weights(again, finished[0])
    np.testing.assert_array_equal(torch.get_rng_state(), before)
    other, _ = run(dataset, dataclasses.replace(SETTINGS, seed=4))
    assert (other.network.stack[0].weight != finished[0].network.stack[0].weight).any()


def test_resuming_after_a_kill_gives_the_uninterrupted_run(dataset, finished, tmp_path):
    class KilledError(Exception):
        pass

    def kill_after_three(checkpoint):
        checkpoint.save(tmp_path)
        if len(checkpoint.results) == 3:
            raise KilledError

    with pytest.raises(KilledError):
        run(dataset, after_epoch=kill_after_three)
    seen = []
    start = Checkpoint.load(tmp_path / FILE)
    model, last = run(dataset, start=start, after_epoch=lambda c: seen.append(len(c.results)))
    assert seen == [4, 5, 6]
    assert last.results == finished[1].results
    assert_same_weights(model, finished[0])
    for key, state in finished[1].optimizer["state"].items():
        for name, value in state.items():
            np.testing.assert_array_equal(last.optimizer["state"][key][name], value)


def test_resuming_a_finished_run_trains_no_more(dataset, finished):
    model, last = run(dataset, start=finished[1], after_epoch=lambda checkpoint: pytest.fail("trained"))
    assert last is finished[1]
    assert_same_weights(model, finished[0])


def test_resuming_another_run_is_refused(dataset, finished):
    other = dataclasses.replace(SETTINGS, epochs=9, network={**SETTINGS.network, "hidden": 4})
    with pytest.raises(TrainingError, match="another run: hidden was 8, now 4; epochs was 6, now 9$"):
        run(dataset, other, start=finished[1])
    with pytest.raises(TrainingError, match=r"another run: data had sha256 .*, now 000000000000\.\.\."):
        run(dataclasses.replace(dataset, digest="0" * 64), start=finished[1])
    with pytest.raises(TrainingError, match="another run: targets were 'high', 'low', 'mid', now 'a', 'b', 'c'$"):
        run(
            dataclasses.replace(dataset, outcome=dataclasses.replace(dataset.outcome, names=("a", "b", "c"))),
            start=finished[1],
        )


def test_a_loss_that_explodes(dataset):
    exploding = dataclasses.replace(dataset.train, rows=np.full_like(dataset.train.rows, np.inf))
    with pytest.raises(TrainingError, match="epoch 1: the training loss is nan; try a smaller --learning-rate"):
        run(dataclasses.replace(dataset, train=exploding))


def test_the_caveat_is_a_warning(dataset, caplog):
    narrow = dataclasses.replace(
        dataset,
        features=dataset.features[:5],
        train=dataclasses.replace(dataset.train, rows=dataset.train.rows[:, :5]),
        test=dataclasses.replace(dataset.test, rows=dataset.test.rows[:, :5]),
    )
    settings = TrainSettings("hybrid", parse_settings("hybrid", ["lstm_hidden=4", "heads=2"]), epochs=1)
    with caplog.at_level(logging.WARNING):
        run(narrow, settings)
    assert "pool to a sequence of length 1" in caplog.text


def test_log_lines_where_there_is_no_terminal(dataset, caplog):
    with caplog.at_level(logging.INFO, logger="whyport.exporter"):
        run(dataset, dataclasses.replace(SETTINGS, epochs=1))
    assert "epoch 1/1: train loss" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "at least 1 epoch"),
        ({"batch_rows": 0}, "1 batch row"),
        ({"learning_rate": 0.0}, "learning rate above 0"),
        ({"learning_rate": float("nan")}, "learning rate above 0"),
        ({"learning_rate": 2.0}, "at most 1, got 2.0"),
        ({"seed": -1}, "seed of at least 0"),
    ],
)
def test_settings_are_checked(change, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(SETTINGS, **change)


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(TrainingError, match="device 'cuda': PyTorch finds no CUDA card"):
        choose_device("cuda")
    with pytest.raises(UsageError, match="unknown device 'gpu'.*known: 'auto', 'cpu', 'cuda'"):
        choose_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [choose_device(name).type for name in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]


@pytest.fixture(scope="module")
def with_categories(dataset):
    """The same rows with two more columns: one for every cell, one for an embedding."""
    rng = np.random.default_rng(0)
    known = [
        category_column("colour", Categories("text", ("red", "green"), (90, 80), 0, 22)),
        category_column("town", Categories("text", TOWNS, (8,) * 20, 0, 0)),
    ]

    def widened(part):
        codes = np.stack([rng.choice([0, 1, 3], len(part.rows)), rng.integers(20, size=len(part.rows))], axis=1)
        return dataclasses.replace(part, rows=np.concatenate([part.rows, codes], axis=1, dtype=np.float32))

    return dataclasses.replace(
        dataset,
        train=widened(dataset.train),
        test=widened(dataset.test),
        features=(*dataset.features, *known),
    )


def test_an_embedding_is_trained_with_the_network_and_resumed(with_categories):
    settings = dataclasses.replace(SETTINGS, epochs=2)
    kept = []
    model, _ = run(with_categories, settings, after_epoch=kept.append)
    name = "encode.parts.2.known"
    first, last = (checkpoint.model[name] for checkpoint in kept)
    assert first.shape == (20, embedding_width(20))
    assert (first != last).any(dim=1).all()
    torch.testing.assert_close(encoding_of(model).parts[2].known.detach(), last)
    assert "encode.parts.1.known" in kept[0].model  # the cells themselves, which are not trained
    again, _ = run(with_categories, settings, start=kept[0])
    assert_same_weights(again, model)


def test_the_caveat_of_cells_that_are_no_sequence(with_categories, caplog):
    run(with_categories, TrainSettings("hybrid", parse_settings("hybrid", ["lstm_layers=1"]), epochs=1))
    assert "neither its attention weights nor Grad-CAM belong to columns" in caplog.text
