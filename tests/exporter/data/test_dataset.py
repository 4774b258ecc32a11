import numpy as np
import pytest

from whyport.exporter.data.dataset import TableChoice, load_dataset
from whyport.exporter.data.outcome import TargetChoice
from whyport.exporter.data.split import SplitChoice
from whyport.runtime.errors import ColumnError, TrainingError, UsageError, ValueRangeError

LABEL = TargetChoice(("label",))


def choice(path, **split):
    return TableChoice(path, LABEL, excluded=("id",), split=SplitChoice(**split))


def write(frame, path):
    frame.to_csv(path, index=False)
    return path


def test_splits_by_class_and_describes_the_training_rows(dataset, frame):
    assert dataset.targets == ("high", "low", "mid")
    assert [feature.name for feature in dataset.features] == [f"f{i}" for i in range(9)]
    assert (len(dataset.train.rows), len(dataset.test.rows)) == (192, 48)
    shares = [np.bincount(part.labels) / len(part.labels) for part in (dataset.train, dataset.test)]
    np.testing.assert_allclose(*shares, atol=0.02)
    means = [column.statistics.mean for column in dataset.features]
    np.testing.assert_allclose(means, np.nanmean(dataset.train.rows, axis=0, dtype=np.float64), rtol=1e-6)
    together = np.concatenate([dataset.train.rows, dataset.test.rows])
    expected = frame[[f"f{i}" for i in range(9)]].to_numpy(np.float32)
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(expected, axis=0))


def test_a_test_table_of_its_own(table_path, tmp_path, frame):
    test = write(frame.iloc[:10], tmp_path / "test.csv")
    dataset = load_dataset(choice(table_path, test=test), seed=0)
    assert (len(dataset.train.rows), len(dataset.test.rows)) == (240, 10)
    np.testing.assert_array_equal(dataset.test.labels, dataset.train.labels[:10])
    assert dataset.digest != load_dataset(choice(table_path), seed=0).digest


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.assign(label="new"), TrainingError, "unknown class in target 'label' 'new'"),
        (lambda f: f.drop(columns="f1"), ColumnError, "missing feature columns: f1 "),
        (lambda f: f.drop(columns="label"), ColumnError, "unknown column 'label'"),
        (lambda f: f.assign(f0=1e300), ValueRangeError, "column 'f0', row 0"),
        (lambda f: f.iloc[:0], TrainingError, "empty table"),
    ],
)
def test_a_test_table_that_does_not_fit(table_path, tmp_path, frame, change, error, message):
    test = write(change(frame), tmp_path / "test.csv")
    with pytest.raises(error, match=f"{message}.*, in .*test.csv"):
        load_dataset(choice(table_path, test=test), seed=0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.assign(label="one"), TrainingError, "at least 2 classes, got only 'one'"),
        (lambda f: f.assign(label=f["id"].astype(str) + "x"), TrainingError, "distinct values"),
        (lambda f: f.assign(f0=f["id"].astype(str) + "x"), ColumnError, "texts that are mostly different: f0 "),
        (lambda f: f.assign(f0=np.inf), ValueRangeError, "column 'f0', row 0"),
        (lambda f: f.assign(f0=np.nan), TrainingError, "column 'f0': expected values, got only missing"),
        (lambda f: f.assign(label=["rare", *["often"] * (len(f) - 1)]), TrainingError, "class 'rare'.*2 rows"),
        (lambda f: f.iloc[:4].assign(label=["a", "b"] * 2), TrainingError, "4 rows cannot be split"),
    ],
)
def test_a_table_that_cannot_be_trained_with(tmp_path, frame, change, error, message):
    with pytest.raises(error, match=f"{message}.*, in .*bad.csv"):
        load_dataset(choice(write(change(frame), tmp_path / "bad.csv")), seed=0)


@pytest.mark.parametrize("fraction", [0, 1, -0.5])
def test_the_fraction_is_a_share(table_path, fraction):
    with pytest.raises(UsageError, match="test fraction between 0 and 1"):
        load_dataset(choice(table_path, test_fraction=fraction), seed=0)


def test_rows_for_the_validation(table_path, tmp_path, frame, dataset):
    shared = load_dataset(choice(table_path, validation_fraction=0.25), seed=0)
    assert [len(part.rows) for part in (shared.train, shared.validation, shared.test)] == [132, 60, 48]
    np.testing.assert_array_equal(shared.test.rows, dataset.test.rows)
    assert dataset.validation is None
    table = write(frame.iloc[:30], tmp_path / "validation.csv")
    own = load_dataset(choice(table_path, validation=table), seed=0)
    np.testing.assert_array_equal(own.train.rows, dataset.train.rows)
    np.testing.assert_array_equal(own.validation.rows, frame.iloc[:30, :9].to_numpy(np.float32))
    assert own.digest != dataset.digest


def test_the_column_that_rows_are_split_by_is_no_feature(tmp_path, frame):
    path = write(frame.assign(person=frame["id"] // 4 + 1000), tmp_path / "table.csv")
    found = load_dataset(choice(path, by="person"), seed=0)
    assert [column.name for column in found.features] == [f"f{i}" for i in range(9)]
    persons = dict(zip(frame["f0"].to_numpy(np.float32), frame["id"] // 4, strict=True))
    train, test = ({persons[value] for value in part.rows[:, 0]} for part in (found.train, found.test))
    assert (len(train), len(test)) == (48, 12)
    assert not train & test
    named = TableChoice(path, LABEL, features=("f0", "person"), split=SplitChoice(by="person"))
    assert [column.name for column in load_dataset(named, seed=0).features] == ["f0", "person"]


def test_a_person_in_two_tables(tmp_path, frame):
    path = write(frame.assign(person=frame["id"] // 4), tmp_path / "table.csv")
    test = write(frame.iloc[:9].assign(person=[999] * 8 + [2]), tmp_path / "test.csv")
    with pytest.raises(TrainingError, match="column 'person', row 8: .* got '2', which is in .*table.csv too"):
        load_dataset(choice(path, by="person", test=test), seed=0)


def test_several_targets_are_no_features(tmp_path, frame):
    path = write(frame, tmp_path / "table.csv")
    quantities = TableChoice(path, TargetChoice(("f0", "f1")), excluded=("id", "label"))
    found = load_dataset(quantities, seed=0)
    assert [column.name for column in found.features] == [f"f{i}" for i in range(2, 9)]
    labels = np.concatenate([found.train.labels, found.test.labels])
    np.testing.assert_array_equal(np.sort(labels, axis=0), np.sort(frame[["f0", "f1"]].to_numpy(), axis=0))
    wrong = TableChoice(path, TargetChoice(("f0", "f1")), features=("f1", "f2"))
    with pytest.raises(ColumnError, match="column 'f1' is the target and cannot be a feature"):
        load_dataset(wrong, seed=0)
    with pytest.raises(ColumnError, match="column 'f1' is the target and cannot be a feature"):
        wrong.check_headers()


def test_three_parts_need_three_rows_of_a_class(tmp_path, frame):
    path = write(frame.assign(label=["rare"] * 2 + ["often"] * (len(frame) - 2)), tmp_path / "table.csv")
    with pytest.raises(TrainingError, match="class 'rare': expected at least 3 rows, one to train, one to validate"):
        load_dataset(choice(path, validation_fraction=0.2), seed=0)


def test_suspects_are_found_among_the_features(dataset):
    assert [(suspect.column, suspect.kind) for suspect in dataset.suspects] == [("f8", "constant")]
