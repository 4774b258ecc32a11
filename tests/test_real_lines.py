"""A classifier that others have trained, from its ONNX file: lines of text upright, or turned; scripts/real-weights."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage import data

import whyport
from support import images
from whyport.runtime.session import Session

pytestmark = [
    pytest.mark.real_weights,
    pytest.mark.skipif("WHYPORT_REAL_WEIGHTS" not in os.environ, reason="scripts/real-weights FOLDER downloads them"),
]
HEIGHT, WIDTH = 48, 192
INPUT = f"x=image:line:size={HEIGHT}x{WIDTH},channels=3,mean=0.5,deviation=0.5"
PRINTED = ((10, 24), (48, 18), (66, 18), (84, 18), (102, 18))
"""The lines of scikit-image's photograph of a page: top and height."""
WORDS = ("received", "without", "notice", "Figure", "measured", "chapter", "amount", "invoice", "report", "total")
EXPLAINED = 12


def model() -> Path:
    (found,) = Path(os.environ["WHYPORT_REAL_WEIGHTS"]).rglob("ch_ppocr_mobile_v2.0_cls_infer.onnx")
    return found


def photographed(step: int = 12) -> list[NDArray[np.uint8]]:
    """Parts of the lines of a photographed page, four times as wide as high."""
    page = data.page()
    return [
        np.repeat(page[top : top + height, left : left + 4 * height, None], 3, axis=2)
        for top, height in PRINTED
        for left in range(6, page.shape[1] - 4 * height, step)
    ]


def drawn(text: str, left: int = 6) -> NDArray[np.uint8]:
    """A line that is drawn, dark on light."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), (235, 235, 235))
    ImageDraw.Draw(picture).text((left, 10), text, fill=(30, 30, 30), font=ImageFont.load_default(24))
    return np.asarray(picture)


def turned(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture upside down."""
    return np.ascontiguousarray(picture[::-1, ::-1])


def write(path: Path, pictures: list[NDArray[np.uint8]]) -> Path:
    """The pictures, and each of them turned, with the right answer."""
    both = [*pictures, *map(turned, pictures)]
    answers = ["0"] * len(pictures) + ["180"] * len(pictures)
    pq.write_table(pa.table({"line": [images.encoded(each) for each in both], "answer": answers}), path)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    sample = write(folder / "sample.parquet", [*photographed(60), *map(drawn, WORDS)])
    options = {"input": INPUT, "classes": ["0", "180"], "background": 4}
    return whyport.export(model(), sample, folder / "bundle", **options).path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("rows") / "rows.parquet", photographed())


def explained(bundle: Path, rows: Path, out: Path, method: str, **options: Any) -> list[dict[str, Any]]:
    whyport.run(bundle, rows, out, explain=method, explain_target="180", **options)
    whyport.audit(out, sample=3)
    found: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return found


def test_predictions_are_those_of_the_file(bundle: Path, rows: Path) -> None:
    table = pq.read_table(rows)
    opened = (Image.open(BytesIO(each)).resize((WIDTH, HEIGHT), Image.BILINEAR) for each in table["line"].to_pylist())
    given = np.stack([np.asarray(each, dtype=np.float32) for each in opened]).transpose(0, 3, 1, 2) / 127.5 - 1
    (expected,) = onnxruntime.InferenceSession(model()).run(None, {"x": given})
    np.testing.assert_allclose(Session(bundle, "cpu").predict(table)["probabilities"], expected, atol=2e-5)


def test_lines_that_nobody_here_printed_are_told_apart(bundle: Path, rows: Path, tmp_path: Path) -> None:
    whyport.run(bundle, rows, tmp_path / "out", keep="answer")
    whyport.audit(tmp_path / "out")
    table = pq.read_table(tmp_path / "out").to_pandas()
    assert (table["prediction"] == table["answer"]).groupby(table["answer"]).mean().min() > 0.95


OPTIONS: dict[str, dict[str, Any]] = {
    "lime": {"samples": 300},
    "shapley": {"permutations": 64},
    "occlusion": {},
    "deepshap": {},
}


@pytest.mark.parametrize("method", OPTIONS)
def test_only_where_the_text_stands_counts(method: str, bundle: Path, tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.parquet", [drawn(word[:6]) for word in WORDS[: EXPLAINED // 2]])
    options = {"per": "segment", "segments": "grid", "segment_count": 24, "baseline": "segment-mean"}
    for row in explained(bundle, rows, tmp_path / "out", method, **options, **OPTIONS[method]):
        labels = np.asarray(Image.open(BytesIO(row["segments"])))
        upside_down = row["source_row"] >= EXPLAINED // 2
        empty = labels[:, : WIDTH // 3] if upside_down else labels[:, -WIDTH // 3 :]
        inside = np.setdiff1d(empty, labels[:, WIDTH // 3 :] if upside_down else labels[:, : -WIDTH // 3])
        shares = np.abs(row["attribution"])
        assert len(inside) >= 4
        np.testing.assert_allclose(shares[inside], 0, atol=1e-5)
        assert shares.sum() > 0.1
        if method in ("shapley", "deepshap"):
            assert row["completeness_error"] < 1e-3


def test_lime_says_what_its_linear_model_is_worth(bundle: Path, rows: Path, tmp_path: Path) -> None:
    some = tmp_path / "some.parquet"
    pq.write_table(pq.read_table(rows)[:: pq.read_table(rows).num_rows // 6], some)
    for row in explained(bundle, some, tmp_path / "out", "lime", per="segment", segments="slic", segment_count=20):
        assert len(row["standard_error"]) == len(row["attribution"])
        assert np.isfinite(row["standard_error"]).all()
        assert 0 < row["adjusted_r2"] < 1


def test_class_activation_maps_add_up(bundle: Path, rows: Path, tmp_path: Path) -> None:
    for row in explained(bundle, rows, tmp_path / "out", "cam"):
        assert row["completeness_error"] < 1e-4
        assert row["converged"]
