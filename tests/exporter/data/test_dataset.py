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
