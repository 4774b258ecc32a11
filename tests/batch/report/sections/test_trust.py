"""What the report says of drift, in words."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.picture import Picture, Table
from whyport.batch.report.sections.glance import glance_lines
from whyport.batch.report.sections.trust import trust_section
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle

Look = Callable[..., View]
RARE = np.arange(1000) % 14 == 0


def drift_line(view: View) -> str:
    (line,) = (line for line in glance_lines(view) if line.label == "Drift")
    return line.text


@pytest.fixture
def look(bundle: Path, write: Callable[..., Path], tmp_path: Path) -> Look:
    """A report's data, of a run with a bundle whose features have these statistics."""

    def look(columns: dict[str, np.ndarray], **statistics: dict[str, object]) -> View:
        changed = Path(shutil.copytree(bundle, tmp_path / "bundle"))
        sidecar = json.loads((changed / "bundle.json").read_text())
        for column in sidecar["inputs"][0]["columns"]:
            column["numbers"].update(statistics.get(column["name"], {}))
        (changed / "bundle.json").write_text(json.dumps(sidecar))
        source = write(pa.table(columns))
        settings = JobSettings(inputs=(str(source),), out=tmp_path / "out", device="cpu")
        Job(Bundle.read(changed), settings).run()
        return gather(ReportSettings(out=tmp_path / "out", device="cpu"))

    return look


def test_what_cannot_be_told_is_not_said_to_be_still(look: Look) -> None:
    codes = {"minimum": 0.0, "maximum": 1.0, "mean": 0.07}
    columns = {"a": np.linspace(-2, 2, 1000), "b": RARE.astype(float), "c": np.ones(1000)}
    coarse = {**codes, "bin_edges": [0.0], "bin_fractions": [0.0, 1.0]}
    fine = {**codes, "bin_edges": [0.0, 1.0], "bin_fractions": [0.0, 0.93, 0.07]}
    view = look(columns, b=coarse, c=fine)
    assert drift_line(view).startswith("1 of 3 features have moved")
    assert drift_line(view).endswith("; 1 cannot be told.")
    picture, table = _drift(view)
    assert picture.alt.startswith("1 of 3 features have moved, 0 more are to be watched, 1 cannot be told. ")
    assert picture.alt.endswith("Largest: c 11, a 0.")
    assert "1 cannot be told until the model is exported anew, as most values are in one of its bins: b." in (
        picture.caption
    )
    assert [row[:2] for row in table.rows] == [("c", "10.970"), ("b", "cannot be told"), ("a", "0.000")]
    picture.draw()


def test_missing_values_and_the_training_range_are_told_beside_the_index(look: Look) -> None:
    columns = {
        "a": np.where(np.arange(1000) % 2, 3.0, -1.0),
        "b": np.where(np.arange(1000) % 4 == 0, np.nan, np.arange(1000) % 2 - 0.5),
        "c": np.full(1000, np.nan),
    }
    view = look(columns)
    assert drift_line(view) == "0 of 3 features have moved since training; 1 cannot be told."
    picture, table = _drift(view)
    assert "1 cannot be told, without any value: c." in picture.caption
    assert "has moved in 2: c 0.00% to 100.00%, b 0.00% to 25.00%." in picture.caption
    assert "Values are outside of the training range in 1: a 50.00%." in picture.caption
    assert table.head[-1] == "outside of the training range"
    assert {row[0]: row[-1] for row in table.rows} == {"a": "50.00%", "b": "0.00%", "c": "0.00%"}
    picture.draw()


def test_nothing_is_added_where_all_is_told(look: Look) -> None:
    view = look({name: np.linspace(-2, 2, 1000) for name in "abc"})
    assert drift_line(view) == "0 of 3 features have moved since training."
    picture, _ = _drift(view)
    assert "told" not in picture.alt + picture.caption
    assert "has moved" not in picture.caption
    assert "outside" not in picture.caption


def _drift(view: View) -> tuple[Picture, Table]:
    blocks = trust_section(view, 20).blocks
    i = next(i for i, block in enumerate(blocks) if isinstance(block, Picture) and block.key == "drift-inputs")
    picture, table = blocks[i], blocks[i + 1]
    assert isinstance(picture, Picture)
    assert isinstance(table, Table)
    return picture, table
