"""Encoded pictures as pixels: any bytes at all are either a picture or a reason."""

import importlib.util
import struct
import warnings
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from support import images
from whyport.runtime.bundle.inputs import ImagePreparation
from whyport.runtime.inputs.images.pictures import ORIENTATION, UnreadablePictureError, decoded, prepared, quiet

PREPARE = ImagePreparation("image", "RGB", True, (8, 8), (), 50_000_000)
PICTURE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


def file_of(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def as_pillow_has_it(content: bytes) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture: Any = ImageOps.exif_transpose(Image.open(BytesIO(content)))
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("PNG", mode) for mode in ("RGB", "L", "P", "RGBA", "1", "LA")),
        *(("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
        *(("TIFF", mode) for mode in ("RGB", "L", "CMYK")),
        ("WEBP", "RGB"),
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("PPM", "RGB"),
    ],
)
def test_pixels_are_those_of_pillow(kind: str, mode: str) -> None:
    content = file_of(Image.fromarray(PICTURE).convert(mode), kind)

    with quiet():
        np.testing.assert_array_equal(decoded(content, PREPARE), as_pillow_has_it(content))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_data_say(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = file_of(Image.fromarray(PICTURE), kind, exif=exif)

    with quiet():
        np.testing.assert_array_equal(decoded(content, PREPARE), as_pillow_has_it(content))


def test_grey_of_16_bits_keeps_the_upper_8() -> None:
    wide = np.array([[0, 255, 256], [40_000, 65_535, 1_000]], dtype=np.uint16)

    got = decoded(file_of(Image.fromarray(wide), "PNG"), PREPARE)

    np.testing.assert_array_equal(got, np.stack([wide >> 8] * 3, axis=-1))


def test_a_jpeg_has_the_same_pixels_without_simplejpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    content = images.encoded(images.pixels(1, 61, 83)[0], "JPEG")
    fast = decoded(content, PREPARE)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    np.testing.assert_array_equal(decoded(content, PREPARE), fast)


def test_the_centre_is_kept_and_one_more_row_is_cut_off_below() -> None:
    prepare = ImagePreparation("image", "RGB", True, (), (4, 6), 50_000_000)

    got = prepared(images.encoded(PICTURE), prepare)

    np.testing.assert_array_equal(got, PICTURE[16:20, 23:29])


def test_the_first_frame_of_an_animation_is_the_picture() -> None:
    frames = [Image.fromarray(np.full((6, 6, 3), value, np.uint8)) for value in (10, 200)]
    content = file_of(frames[0], "PNG", save_all=True, append_images=frames[1:])

    assert decoded(content, PREPARE).max() == 10


def png(width: int, height: int) -> bytes:
    """A PNG that says its size, and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


FORMATS = r"PNG, JPEG, WebP, GIF, BMP, TIFF or PPM"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", f"expected an encoded picture ({FORMATS}), got no bytes"),
        (
            b"abcd",
            f"expected an encoded picture ({FORMATS}), got 4 bytes that are none, which begin with 61, 62, 63, 64",
        ),
        (png(1, 100_000), "expected sides of 1 to 65535 pixels, got 1 x 100000"),
        (png(9_000, 9_000), "expected at most 50000000 pixels, got 9000 x 9000, 81000000"),
        (png(30_000, 30_000), "expected at most 50000000 pixels, got 30000 x 30000, 900000000"),
        (images.encoded(PICTURE)[:500], "expected a whole picture, got a damaged or truncated PNG of 500 bytes"),
    ],
    ids=["empty", "no picture", "absurd", "many pixels", "bomb", "truncated"],
)
def test_what_is_no_picture_has_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadablePictureError) as refusal:
        prepared(content, PREPARE)

    assert str(refusal.value) == reason


def test_a_picture_smaller_than_the_crop_has_a_reason() -> None:
    prepare = ImagePreparation("image", "RGB", True, (), (40, 60), 50_000_000)

    with pytest.raises(UnreadablePictureError, match=r"^expected a picture of at least 60 x 40 pixels, got 53 x 37$"):
        prepared(images.encoded(PICTURE), prepare)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM"])
def test_any_bytes_are_a_picture_or_a_reason(kind: str) -> None:
    random, whole = np.random.default_rng(1), images.encoded(PICTURE, kind)
    for trial in range(150):
        content = bytearray(whole)
        if trial % 2:
            content = content[: random.integers(len(whole))]
        for _ in range(random.integers(1, 30)):
            if content:
                content[random.integers(len(content))] = random.integers(256)
        with quiet():
            made = pixels_or_reason(bytes(content))
        assert "expected" in made if isinstance(made, str) else made.shape == (8, 8, 3)


def pixels_or_reason(content: bytes) -> NDArray[np.uint8] | str:
    try:
        return prepared(content, PREPARE)
    except UnreadablePictureError as reason:
        return str(reason)
