"""What the page says of a training: the model beside a guess, calibration, warnings; and what it does without."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from support.bundles import refresh_digests
from whyport.batch.report.figures.canvas import drawing
from whyport.batch.report.gather.evaluation import Evaluation
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.picture import Block, Heading, Note, Picture, Table
from whyport.batch.report.sections.glance import glance_lines
from whyport.batch.report.sections.training import training_blocks
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import BundleFormatError

CLASSES: dict[str, Any] = {
    "task": "classification",
    "targets": ["no", "yes"],
    "units": [None, None],
    "rows": {"train": 80, "validation": 0, "test": 20},
    "metrics": {"accuracy": 0.9, "auc": 0.95, "log_loss": 0.3},
    "baseline": {"rule": "always no", "accuracy": 0.6, "auc": 0.5},
    "per_class": [
        {"name": "no", "rows": 12, "precision": 1, "recall": 0.75, "f1": 0.8571, "auc": 0.95, "average_precision": 0.9},
        {"name": "yes", "rows": 8, "precision": 0.5, "recall": 1, "f1": 0.6667, "auc": None, "average_precision": None},
    ],
    "calibration": [{"target": "yes", "predicted": [0.1, 0.8], "observed": [0.0, 0.75], "rows": [10, 10]}],
    "residuals": None,
    "warnings": [{"column": "c", "kind": "leak", "text": "column 'c' alone predicts the target"}],
}
QUANTITIES: dict[str, Any] = CLASSES | {
    "task": "regression",
    "targets": ["width", "height"],
    "units": ["mm", None],
    "metrics": {"r2": 0.8, "mae.width": 1.5, "mae.height": 2.5},
    "baseline": {"rule": "always the means", "r2": -0.1, "mae.width": 3.0, "mae.height": 4.0},
    "per_class": None,
    "calibration": None,
    "residuals": [{"target": "width", "measured": [1, 2, 4], "predicted": [1.5, 2, 3]}],
    "warnings": [],
}
CURVES = (
    "epoch,train_loss,train_r2,validation_loss,validation_r2,test_loss,test_r2\n1,1,0,1,0,1,0\n2,.5,.5,.6,.4,.7,.3\n"
)

Look = Callable[..., View]


@pytest.fixture
def look(bundle: Path, write: Callable[..., Path], table: pa.Table, tmp_path: Path) -> Look:
    """A report's data, of a run with a bundle that has these files in training/."""

    def look(**files: str) -> View:
        changed = Path(shutil.copytree(bundle, tmp_path / "bundle"))
        (changed / "training").mkdir()
        for name, text in files.items():
            (changed / "training" / name.replace("_", ".")).write_text(text)
        refresh_digests(changed, Bundle.read(bundle).sidecar)
        settings = JobSettings(inputs=(str(write(table.slice(0, 20))),), out=tmp_path / "out", device="cpu")
        Job(Bundle.read(changed), settings).run()
        return gather(ReportSettings(out=tmp_path / "out", device="cpu"))

    return look


def of_kind(blocks: list[Block], kind: type[Any], title: str) -> Any:
    return next(block for block in blocks if isinstance(block, kind) and block.title.startswith(title))


def test_a_classifier_is_shown_beside_a_guess(look: Look) -> None:
    view = look(metrics_json=json.dumps(CLASSES | {"later": "is passed over"}))
    (line,) = (line for line in glance_lines(view) if line.label == "Training warned")
    assert line.is_watched
    assert line.text.count(",") == 0
    blocks = training_blocks(view)
    table = of_kind(blocks, Table, "On the test rows")
    assert table.head == ("", "the model", "always no")
    assert table.rows == (("accuracy", "0.9", "0.6"), ("AUC", "0.95", "0.5"), ("log loss (nats)", "0.3", ""))
    assert table.note.endswith("Rows: 80 train, 20 test.")
    warned = of_kind(blocks, Table, "Columns to look at again")
    assert warned.rows == (("c", "leak", "column 'c' alone predicts the target"),)
    recalls = of_kind(blocks, Table, "Each class")
    assert [(row[0], row[1], row[4], row[-1]) for row in recalls.rows] == [
        ("no", "0.7500", "0.9500", "12"),
        ("yes", "1.0000", "", "8"),
    ]
    picture = of_kind(blocks, Picture, "Calibration")
    assert picture.alt == "yes: from 0.00 where 0.10 was predicted to 0.75 where 0.80 was."
    with drawing():
        drawn = picture.draw().axes[0].lines[1]
    np.testing.assert_array_equal(drawn.get_xydata(), [[0.1, 0], [0.8, 0.75]])


def test_a_regression_is_in_units_and_has_no_classes(look: Look) -> None:
    blocks = training_blocks(look(metrics_json=json.dumps(QUANTITIES), results_csv=CURVES))
    table = of_kind(blocks, Table, "On the test rows")
    assert table.rows == (
        ("R²", "0.8", "-0.1"),
        ("mean absolute error of width (mm)", "1.5", "3"),
        ("mean absolute error of height", "2.5", "4"),
    )
    curves = of_kind(blocks, Picture, "Loss and R² by epoch")
    assert "2 epochs, on the train, the validation and the test rows" in curves.caption
    assert [len(axes.lines) for axes in curves.draw().axes] == [3, 3]
    residuals = of_kind(blocks, Picture, "Residuals of width").draw()
    np.testing.assert_array_equal(residuals.axes[0].lines[1].get_xydata(), [[1.5, -0.5], [2, 0], [3, 1]])
    scatter = of_kind(blocks, Picture, "Measured against predicted width").draw().axes[0]
    assert (scatter.get_xlabel(), scatter.get_ylabel()) == ("predicted width (mm)", "measured width (mm)")
    assert not any(
        "class" in str(getattr(block, name, "")) for block in blocks for name in ("title", "caption", "note")
    )


def test_without_a_record_there_is_nothing_and_a_damaged_one_says_so(look: Look) -> None:
    blocks = training_blocks(look(metrics_json="{}"))
    assert [type(block) for block in blocks] == [Heading, Note]
    assert "The evaluation in training/metrics.json is not shown: $: missing key 'task'." in str(blocks[1])
    with pytest.raises(BundleFormatError):
        Evaluation.read("[]")


def test_a_bundle_without_a_training_has_no_heading(look: Look) -> None:
    assert training_blocks(look()) == []
