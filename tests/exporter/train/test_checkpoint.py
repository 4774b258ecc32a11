import os
import pickle

import numpy as np
import pytest
import torch

from whyport.exporter.train.checkpoint import FILE, Checkpoint, EpochResult, Run
from whyport.runtime.errors import TrainingError

CHECKPOINT = Checkpoint(
    run=Run(
        settings={"epochs": 3, "architecture": "mlp"},
        features=("a",),
        targets=("x", "y"),
        data_digest="0" * 64,
        rows_digest="1" * 64,
    ),
    results=(EpochResult(1, {"train_loss": 0.5, "train_accuracy": 0.8}),),
    model={"network.weight": torch.ones(2)},
    optimizer={"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
    scheduler={"last_epoch": 1},
)


def test_comes_back_the_same(tmp_path):
    CHECKPOINT.save(tmp_path / "new")
    got = Checkpoint.load(tmp_path / "new" / FILE)
    assert (got.run, got.results, got.scheduler) == (CHECKPOINT.run, CHECKPOINT.results, CHECKPOINT.scheduler)
    np.testing.assert_array_equal(got.model["network.weight"], [1, 1])
    assert os.listdir(tmp_path / "new") == [FILE]


def test_loads_without_running_code(tmp_path):
    CHECKPOINT.save(tmp_path)
    content = torch.load(tmp_path / FILE, weights_only=True)
    assert content["epoch"] == 1


def test_the_same_checkpoint_gives_the_same_bytes():
    assert CHECKPOINT.to_bytes() == CHECKPOINT.to_bytes()


def test_a_failed_save_leaves_the_old_one(tmp_path, monkeypatch):
    CHECKPOINT.save(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        CHECKPOINT.save(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_no_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match="expected a checkpoint to resume from, got no file"):
        Checkpoint.load(tmp_path / FILE)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("the file ran code",))


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps(Evil()), CHECKPOINT.to_bytes()[:500], "other"])
def test_not_a_checkpoint(tmp_path, content):
    if content == "other":
        torch.save({"weight": torch.ones(1)}, tmp_path / FILE)
    else:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(TrainingError, match="expected a checkpoint, got a file that is not one"):
        Checkpoint.load(tmp_path / FILE)
