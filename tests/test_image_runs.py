"""Runs over pictures: the forms that they are stored in, and a run that is killed in its middle."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support import image_bundle as made
from support import images
from support.killed_runs import check_resumed_bytes
from whyport.batch.output.folder import REJECTED_FOLDER
from whyport.runtime.session import Session

HEIGHT, WIDTH = made.SIZE
PATH_ALONE = "got the path '1.png' alone: a job opens no files that a row names"
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def rejected_of(out: Path) -> list[tuple[int, str]]:
    table = pq.read_table(out / REJECTED_FOLDER)
    return list(zip(table["source_row"].to_pylist(), table["reason"].to_pylist(), strict=True))


def test_a_struct_with_bytes_is_a_picture_and_a_path_alone_is_none(image_bundle: Path, tmp_path: Path) -> None:
    contents = images.pictures(3, (9, 9))
    rows: list[Any] = [{"bytes": each, "path": f"{i}.png"} for i, each in enumerate(contents)]
    rows[1]["bytes"] = None
    path = images.write_pictures(tmp_path / "rows.parquet", rows, STRUCT)

    whyport.run(image_bundle, path, tmp_path / "out", keep="id")

    assert rejected_of(tmp_path / "out") == [
        (
            1,
            f"column 'photo': expected the picture's bytes, {PATH_ALONE}",
        )
    ]
    written = pq.read_table(tmp_path / "out")
    expected = Session(image_bundle, "cpu").predict({"photo": [contents[0], contents[2]]})["probabilities"]
    assert written["id"].to_pylist() == [0, 2]
    np.testing.assert_allclose(written["probability.class 0"], expected[:, 0], atol=1e-7)


@pytest.mark.parametrize("form", ["tensor", "list", "nested"])
def test_pixels_as_numbers_are_taken_with_a_word_on_their_price(
    form: str, image_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = images.pixels(4, HEIGHT, WIDTH)
    forms = {
        "tensor": lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(pixels),
        "list": lambda: pa.array(list(pixels.reshape(4, -1)), pa.list_(pa.uint8())),
        "nested": lambda: pa.array(pixels.tolist(), pa.list_(pa.list_(pa.list_(pa.uint8())))),
    }
    pq.write_table(pa.table({"photo": forms[form]()}), tmp_path / "rows.parquet")

    with caplog.at_level(logging.WARNING):
        whyport.run(image_bundle, tmp_path / "rows.parquet", tmp_path / "out")

    assert "column 'photo' holds pixels as numbers: Parquet has no uint8" in caplog.text
    expected = Session(image_bundle, "cpu").predict({"photo": [images.encoded(each) for each in pixels]})
    got = pq.read_table(tmp_path / "out")["probability.class 0"]
    np.testing.assert_allclose(got, expected["probabilities"][:, 0], atol=1e-7)


def test_frames_of_bytes_in_memory_score_alike(image_bundle: Path) -> None:
    contents = images.pictures(3, (20, 30), kind="JPEG")
    session = Session(image_bundle, "cpu")

    expected = session.predict({"photo": contents})["logits"]

    for frame in (pd.DataFrame({"photo": contents}), pl.DataFrame({"photo": contents}), pa.table({"photo": contents})):
        np.testing.assert_array_equal(session.predict(frame)["logits"], expected)


@pytest.mark.parametrize("options", [{}, {"explain": "deepshap"}])
def test_a_killed_run_resumes_to_the_same_bytes(
    options: dict[str, Any], image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    check_resumed_bytes(image_bundle, image_rows, tmp_path, killed_after=10, batch_rows=8, part_rows=8, **options)


def test_what_a_decoder_has_to_say_becomes_a_reason(
    image_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = images.encoded(images.pixels(1, 30, 40)[0], "TIFF", compression="tiff_lzw")
    damaged = bytearray(whole)
    damaged[60:160] = np.random.default_rng(0).bytes(100)
    contents = [whole, bytes(damaged)]
    path = images.write_pictures(tmp_path / "rows.parquet", contents)
    capfd.readouterr()

    whyport.run(image_bundle, path, tmp_path / "out")

    assert capfd.readouterr().err == ""
    (row, reason), *others = rejected_of(tmp_path / "out")
    assert (row, others) == (1, [])
    assert "damaged or truncated TIFF" in reason
