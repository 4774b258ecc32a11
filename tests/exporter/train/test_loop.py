import dataclasses
import logging

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, r2_score
from sklearn.utils.class_weight import compute_class_weight

from support.categories import TOWNS, category_column
from whyport.exporter.data.dataset import Labelled
from whyport.exporter.data.outcome import Quantities
from whyport.exporter.graphs.categories import embedding_width, encoding_of
from whyport.exporter.train.architectures import parse_settings
from whyport.exporter.train.checkpoint import FILE, Checkpoint, best_epoch
from whyport.exporter.train.loop import choose_device, train
from whyport.exporter.train.objective import CrossEntropy, find_objective
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


@pytest.fixture(scope="module")
def validated(dataset):
    """A dataset with rows for the validation, of which a third have a class drawn by lot: its loss soon rises."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(len(dataset.test.labels)) < 0.3, rng.integers(3, size=48), dataset.test.labels)
    return dataclasses.replace(dataset, validation=Labelled(dataset.test.rows, labels))


STOPPING = dataclasses.replace(SETTINGS, epochs=30, learning_rate=0.03, patience=3)


@pytest.fixture(scope="module")
def stopped(validated):
    """The trained model, its last checkpoint, and the checkpoints of all epochs."""
    seen = []
    return *run(validated, STOPPING, after_epoch=seen.append), seen


def validation_loss(dataset, state):
    """Mean cross-entropy of a model's state by numpy and scikit-learn."""
    model, _ = run(dataset, dataclasses.replace(SETTINGS, epochs=1))
    model.load_state_dict(state)
    logits = model.eval()(torch.from_numpy(dataset.validation.rows)).detach().double().numpy()
    powers = np.exp(logits)
    return log_loss(dataset.validation.labels, powers / powers.sum(axis=1, keepdims=True))


def test_the_epoch_with_the_smallest_validation_loss_is_kept(validated, stopped):
    model, last, seen = stopped
    losses = [validation_loss(validated, checkpoint.model) for checkpoint in seen]
    np.testing.assert_allclose([result.figures["validation_loss"] for result in last.results], losses, rtol=1e-5)
    best = int(np.argmin(losses))
    assert 0 < best < len(seen) - 1  # neither the first nor the last, or this would show nothing
    for name, tensor in seen[best].model.items():
        np.testing.assert_array_equal(model.state_dict()[name], tensor)
        np.testing.assert_array_equal(last.kept[name], tensor)
    assert any((last.model[name] != tensor).any() for name, tensor in seen[best].model.items())


def test_it_stops_after_so_many_epochs_without_a_better_one(validated, stopped):
    _, last, seen = stopped
    best = best_epoch(last.results)
    assert len(seen) == best + STOPPING.patience < STOPPING.epochs
    _, patient = run(validated, dataclasses.replace(STOPPING, patience=0))
    assert len(patient.results) == STOPPING.epochs


def test_without_a_validation_the_last_epoch_is_kept(finished):
    model, last = finished
    assert last.best is None
    assert best_epoch(last.results) == 6
    for name, tensor in last.model.items():
        np.testing.assert_array_equal(model.state_dict()[name], tensor)


def test_resuming_a_validated_run_gives_the_uninterrupted_bytes(validated, stopped, tmp_path):
    _, last, seen = stopped
    for at in (2, len(seen) - 1):
        seen[at].save(tmp_path)
        model, again = run(validated, STOPPING, start=Checkpoint.load(tmp_path / FILE))
        assert again.to_bytes() == last.to_bytes()
        assert_same_weights(model, stopped[0])
    run(validated, STOPPING, start=last, after_epoch=lambda checkpoint: pytest.fail("trained"))


def test_patience_needs_a_validation(dataset):
    with pytest.raises(UsageError, match="--patience needs rows that say when to stop: --validation or"):
        run(dataset, STOPPING)


def test_resuming_with_other_rows_is_refused(dataset, validated, finished):
    with pytest.raises(TrainingError, match="another run: the rows were split in another way$"):
        run(validated, start=finished[1])


def test_balanced_weights_are_those_of_scikit_learn(dataset):
    few = np.flatnonzero((dataset.train.labels > 0) | (np.arange(len(dataset.train.labels)) % 4 == 0))
    train = Labelled(dataset.train.rows[few], dataset.train.labels[few])
    skewed = dataclasses.replace(dataset, train=train)
    model, last = run(skewed, dataclasses.replace(SETTINGS, class_weights="balanced"))
    weights = compute_class_weight("balanced", classes=np.arange(3), y=train.labels)
    assert CrossEntropy(skewed, SETTINGS).weights is None
    balanced = CrossEntropy(skewed, dataclasses.replace(SETTINGS, class_weights="balanced"))
    np.testing.assert_allclose(balanced.weights, weights, rtol=1e-6)
    assert weights.max() > 1.5 * weights.min()
    for part, name in ((train, "train_loss"), (dataset.test, "test_loss")):
        logits = model.eval()(torch.from_numpy(part.rows)).detach().double().numpy()
        powers = np.exp(logits)
        chances = powers / powers.sum(axis=1, keepdims=True)
        expected = log_loss(part.labels, chances, sample_weight=weights[part.labels])
        np.testing.assert_allclose(last.results[-1].figures[name], expected, rtol=1e-5)


QUANTITIES = Quantities(("weight", "year"), {"weight": "g"})


@pytest.fixture(scope="module")
def measured(dataset):
    """Two targets, linear in the features, in units far from the network's own."""

    def labelled(rows):
        first, second = (
            (rows[:, i] - dataset.features[i].statistics.mean) / dataset.features[i].spread for i in (0, 1)
        )
        return Labelled(rows, np.stack([5000 + 300.0 * first, 2000 - 0.5 * second], axis=1).astype(float))

    parts = {name: labelled(getattr(dataset, name).rows) for name in ("train", "test")}
    return dataclasses.replace(dataset, outcome=QUANTITIES, **parts)


@pytest.fixture(scope="module")
def regressed(measured):
    return run(measured, TrainSettings("mlp", parse_settings("mlp", ["hidden=16"]), epochs=40, learning_rate=0.01))


def test_a_regression_learns_a_linear_function_in_its_unit(measured, regressed):
    model, last = regressed
    values = model.eval()(torch.from_numpy(measured.test.rows)).detach().double().numpy()
    assert r2_score(measured.test.labels, values, multioutput="raw_values").min() > 0.95
    np.testing.assert_allclose(values.mean(axis=0), measured.test.labels.mean(axis=0), rtol=0.02)
    np.testing.assert_allclose(last.results[-1].figures["test_r2"], r2_score(measured.test.labels, values), atol=1e-3)


def test_the_network_learns_standardised_targets(measured, regressed):
    model, last = regressed
    labels, mean, spread = measured.train.labels, measured.train.labels.mean(axis=0), measured.train.labels.std(axis=0)
    np.testing.assert_allclose(model.network.output.scale, spread, rtol=1e-6)
    np.testing.assert_allclose(model.network.output.offset, mean, rtol=1e-6)
    assert not any("output" in name for name in last.model)
    inner = model.network.stack(model.preprocess(torch.from_numpy(measured.train.rows))).detach().double().numpy()
    expected = ((inner - (labels - mean) / spread) ** 2).mean()
    np.testing.assert_allclose(last.results[-1].figures["train_loss"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        ("mse", lambda off: off**2),
        ("mae", np.abs),
        ("huber", lambda off: np.where(np.abs(off) < 1, off**2 / 2, np.abs(off) - 0.5)),
        ("auto", lambda off: off**2),
    ],
)
def test_losses_by_their_formulas(measured, loss, formula):
    objective = find_objective(measured, dataclasses.replace(SETTINGS, loss=loss))
    given = torch.tensor([[0.5, 3.0], [-2.0, 0.1]])
    labels = np.array([[5000.0, 2000.0], [5300.0, 1999.0]])
    expected = (labels - measured.train.labels.mean(axis=0)) / measured.train.labels.std(axis=0)
    got = objective.loss(given, objective.encode(labels))
    np.testing.assert_allclose(got, formula(given.numpy() - expected).mean(), rtol=1e-5)


def test_options_of_another_task_are_refused(dataset, measured):
    with pytest.raises(UsageError, match="unknown loss of a classification 'mse'; known: 'cross-entropy'"):
        run(dataset, dataclasses.replace(SETTINGS, loss="mse"))
    with pytest.raises(UsageError, match="unknown loss of a regression 'mes' .did you mean 'mse'"):
        run(measured, dataclasses.replace(SETTINGS, loss="mes"))
    with pytest.raises(UsageError, match="--class-weights: a regression has no classes to weigh"):
        run(measured, dataclasses.replace(SETTINGS, class_weights="balanced"))
