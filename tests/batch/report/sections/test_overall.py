"""What the report says of all rows: which rows a mean is over, in which order, in which unit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from whyport.batch.report.figures.canvas import drawing
from whyport.batch.report.gather.view import ReportSettings, gather
from whyport.batch.report.picture import Picture
from whyport.batch.report.sections.overall import global_section
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References

Score = Callable[..., Path]


def test_means_by_class_name_their_rows_and_are_ranked_by_the_pooled_mean(score: Score, tmp_path: Path) -> None:
    # What counts most among the few rows of one class counts least among the many of the other.
    rows = np.random.default_rng(0).normal([3.6, -1, 2.8], 0.1, size=(1000, 3))
    rows[:50] += [-3, 3, -22]
    frame = pd.DataFrame(rows, columns=list("abc"))
    frame.to_parquet(tmp_path / "in.parquet")
    out = score(tmp_path / "in.parquet", methods=("occlusion",))
    view = gather(ReportSettings(out=out, device="cpu"))
    parts = pd.concat([pd.read_parquet(part) for part in sorted(out.glob("part-*"))])
    magnitudes = parts[[f"attribution.{name}" for name in "abc"]].abs()
    by_class = magnitudes.groupby(parts["explained_class"]).mean()
    counts = parts["explained_class"].value_counts()
    pooled = magnitudes.mean().to_numpy()
    order = np.argsort(-pooled)
    assert list(order) != list(np.argsort(-by_class.mean().to_numpy()))  # or the test shows nothing
    picture = next(b for b in global_section(view, 20).blocks if isinstance(b, Picture))
    assert f"no over {counts['no']:,}, yes over {counts['yes']:,}" in picture.caption
    assert "Ranked by the mean over all 1,000 explanations." in picture.caption
    with drawing():
        axes = picture.draw().axes[0]
        for container, name in zip(axes.containers, ("no", "yes"), strict=True):
            np.testing.assert_allclose([bar.get_width() for bar in container], by_class.loc[name].iloc[order])
        legend = axes.get_legend()
        assert legend is not None
        shown = [text.get_text() for text in legend.get_texts()]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["abc"[i] for i in order]
    assert shown == [f"{name} ({counts[name]:,} rows)" for name in ("no", "yes")]
    assert picture.alt.startswith("Strongest first: " + ", ".join(f"{'abc'[i]} {pooled[i]:.3g}" for i in order))


@pytest.mark.parametrize(
    ("method", "unit"), [("smoothgrad", "logits per unit of the feature"), ("occlusion", "logits")]
)
def test_a_sensitivity_is_not_said_to_speak_for_a_class(
    score: Score, write: Callable[..., Path], table: pa.Table, method: str, unit: str
) -> None:
    out = score(write(table), methods=(method,), explain_target="yes")
    pictures = [
        block
        for block in global_section(gather(ReportSettings(out=out, device="cpu")), 20).blocks
        if isinstance(block, Picture)
    ]
    bar, beeswarm = pictures[:2]
    assert "The mean over all 1,000 explained rows, exact." in bar.caption
    assert ("features in other units do not compare" in bar.caption) == (method == "smoothgrad")
    assert ("Right of 0 a value speaks for the class" in beeswarm.caption) == (method == "occlusion")
    with drawing():
        assert bar.draw().axes[0].get_xlabel() == f"mean |attribution| ({unit})"


def test_accuracy_that_includes_training_rows_says_so(
    score: Score, write: Callable[..., Path], labelled: pa.Table, bundle: Path
) -> None:
    from whyport.batch.report.sections.glance import glance_lines
    from whyport.batch.report.sections.model import model_section

    known = References.read(Bundle.read(bundle)).rows[:3]
    for included in (False, True):
        table = labelled
        if included:
            frame = labelled.to_pandas()
            frame.loc[[3, 500, 999], ["a", "b", "c"]] = known
            table = pa.Table.from_pandas(frame, preserve_index=False)
        out = score(write(table, f"{included}.parquet"), keep=("truth",), name=f"out-{included}")
        view = gather(ReportSettings(out=out, label="truth", device="cpu"))
        (line,) = (line for line in glance_lines(view) if line.label == "Accuracy")
        assert ("Training rows are included" in line.text) == line.is_watched == included
        picture = next(b for b in model_section(view).blocks if isinstance(b, Picture) and b.key == "confusion")
        assert ("3 of the bundle's 4 reference rows have their equals among the inputs" in picture.caption) == included


def test_labels_that_name_no_class_have_no_accuracy(score: Score, write: Callable[..., Path], table: pa.Table) -> None:
    from whyport.batch.report.sections.glance import glance_lines
    from whyport.batch.report.sections.model import model_section

    out = score(write(table.append_column("truth", pa.array(np.arange(len(table)) % 2))), keep=("truth",))
    view = gather(ReportSettings(out=out, label="truth", device="cpu"))
    blocks = model_section(view).blocks
    assert not any("accuracy" in str(block).lower() for block in (*blocks, *glance_lines(view)))
    assert any("No row's column 'truth' names a class" in str(block) for block in blocks)
