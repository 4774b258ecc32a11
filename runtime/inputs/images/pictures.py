"""Encoded pictures as pixels of one size, or the reason in words why there are none.

The pixels follow from the bytes alone: decoded, made grey or RGB, turned as the Exif data say, resized by an
antialiased triangle filter (Pillow's BILINEAR), and cropped to the centre. Of an animation, that is its first frame.
"""

import ctypes
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.inputs import ImagePreparation
from whyport.runtime.extras import needs

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Pillow's names for the formats that are read. None of them runs another program, as EPS does."""
IN_WORDS = "PNG, JPEG, WebP, GIF, BMP, TIFF or PPM"

LONGEST_SIDE = 65_535
"""The most pixels of a side, that of JPEG."""

ORIENTATION = 0x0112
"""The number of the Exif tag that says how a picture is to be turned."""

GREY = ("1", "L", "LA", "La")
"""Pillow's modes of pixels that are grey already."""
WIDE = ("I", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of grey pixels of 16 bits."""


Content: TypeAlias = bytes | bytearray | memoryview
"""An encoded picture."""


class UnreadablePictureError(Exception):
    """A value that gives no pixels; the text says what was expected and what there is."""


@needs("images")
def load_pillow() -> Any:
    """Pillow's module Image; MissingPackageError without the extra `images`."""
    from PIL import Image

    Image.preinit()
    Image.init()
    _silence_libtiff()
    return Image


@cache
def _silence_libtiff() -> None:
    """Keep libtiff from writing about damaged files to the standard error; it has no other way to be told.

    Where the library is inside Pillow's own file, as on Windows, it is not found, and goes on.
    """
    from PIL import _imaging

    try:
        library = ctypes.CDLL(_imaging.__file__)
        setters = library.TIFFSetErrorHandler, library.TIFFSetWarningHandler
    except (AttributeError, OSError):
        return
    for setter in setters:
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
        setter(None)


def prepared(content: Content, prepare: ImagePreparation) -> NDArray[np.uint8]:
    """The pixels [height, width, channels] of an encoded picture; raises UnreadablePictureError."""
    return cropped(resized(decoded(content, prepare), prepare), prepare)


def decoded(content: Content, prepare: ImagePreparation) -> NDArray[np.uint8]:
    """The pixels [height, width, channels] of an encoded picture of its own size, turned, grey or RGB.

    Raises UnreadablePictureError: the bytes are no picture, or not a whole one; or it has more pixels than the limit,
    which is checked before any is decoded.
    """
    if not len(content):
        raise UnreadablePictureError(f"expected an encoded picture ({IN_WORDS}), got no bytes")
    picture = _opened(content)
    _check_size(picture.size, prepare.limit)
    try:
        pixels = _decoded_jpeg(picture, content, prepare.mode)
        if pixels is None:
            picture.load()
            pixels = _in_mode(picture, prepare.mode)
        turn = picture.getexif().get(ORIENTATION, 1) if prepare.orient else 1
    except UnreadablePictureError:
        raise
    except Exception as error:  # a damaged file fails in any way
        raise UnreadablePictureError(
            f"expected a whole picture, got a damaged or truncated {picture.format} of {len(content)} bytes"
        ) from error
    return turned(pixels, turn)


def turned(pixels: NDArray[np.uint8], orientation: Any) -> NDArray[np.uint8]:
    """Pixels [height, width, channels] as the orientation of Exif says, 1 to 8; as they are for anything else."""
    across = pixels.transpose(1, 0, 2)
    ways = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: across,
        6: across[:, ::-1],
        7: across[::-1, ::-1],
        8: across[::-1],
    }
    return ways.get(orientation, pixels)


def resized(pixels: NDArray[np.uint8], prepare: ImagePreparation) -> NDArray[np.uint8]:
    """Pixels [height, width, channels] of the size that pictures are resized to, by an antialiased triangle filter."""
    if not prepare.resize or pixels.shape[:2] == prepare.resize:
        return pixels
    image = load_pillow()
    height, width = prepare.resize
    picture = image.fromarray(np.ascontiguousarray(pixels if pixels.shape[2] > 1 else pixels[..., 0]))
    made = np.asarray(picture.resize((width, height), image.Resampling.BILINEAR))
    return made.reshape(height, width, -1)


def cropped(pixels: NDArray[np.uint8], prepare: ImagePreparation) -> NDArray[np.uint8]:
    """The centre of pixels [height, width, channels]; one more row is cut off below, one more column at the right.

    Raises UnreadablePictureError for a picture that is smaller.
    """
    if not prepare.crop:
        return pixels
    height, width = prepare.crop
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    if top < 0 or left < 0:
        raise UnreadablePictureError(
            f"expected a picture of at least {width} x {height} pixels, got {pixels.shape[1]} x {pixels.shape[0]}"
        )
    return pixels[top : top + height, left : left + width]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of Pillow about what is odd in a picture: it becomes pixels, or a reason."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _opened(content: Content) -> "ImageFile":
    """The picture with its header read. Pillow's own `open` would warn of many pixels, or raise."""
    image = load_pillow()
    prefix, file = bytes(content[:16]), BytesIO(content)
    for name in FORMATS:
        if name not in image.OPEN:  # Pillow can be built without WebP
            continue
        factory, accept = image.OPEN[name]
        if accept is not None and accept(prefix) is not True and not accept(prefix):
            continue
        file.seek(0)
        try:
            opened: ImageFile = factory(file, "")
        except Exception:
            continue
        return opened
    shown = ", ".join(f"{byte:02x}" for byte in prefix[:4])
    raise UnreadablePictureError(
        f"expected an encoded picture ({IN_WORDS}), got {len(content)} bytes that are none, which begin with {shown}"
    )


def _check_size(size: tuple[int, int], limit: int) -> None:
    """Refuse sides that no camera makes, and more pixels than the limit."""
    width, height = size
    if not (1 <= width <= LONGEST_SIDE and 1 <= height <= LONGEST_SIDE):
        raise UnreadablePictureError(f"expected sides of 1 to {LONGEST_SIDE} pixels, got {width} x {height}")
    if width * height > limit:
        raise UnreadablePictureError(f"expected at most {limit} pixels, got {width} x {height}, {width * height}")


def _decoded_jpeg(picture: "ImageFile", content: Content, mode: str) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG by simplejpeg, which are Pillow's; None where it is not there, or has no such pixels."""
    if picture.format != "JPEG" or picture.mode not in ("L", "RGB") or importlib.util.find_spec("simplejpeg") is None:
        return None
    import simplejpeg  # type: ignore[import-untyped]

    try:
        *size, colours, _ = simplejpeg.decode_jpeg_header(content)
        if (size[1], size[0]) != picture.size or colours != {"L": "Gray", "RGB": "YCbCr"}[picture.mode]:
            return None
        pixels = simplejpeg.decode_jpeg(content, "GRAY" if picture.mode == "L" else "RGB")
    except ValueError:  # Pillow decides what is damaged
        return None
    if picture.mode == mode:
        return np.asarray(pixels)
    return _in_mode(load_pillow().fromarray(pixels[..., 0] if picture.mode == "L" else pixels), mode)


def _in_mode(picture: "Image.Image", mode: str) -> NDArray[np.uint8]:
    """Pixels [height, width, channels], L or RGB, of a picture of any mode.

    - Grey of 16 bits keeps the upper 8.
    - Transparency is left out: the colours are those behind it.
    - Palettes, CMYK, YCbCr and others become RGB as Pillow's `convert` makes it.
    - RGB becomes grey, and grey RGB, as Pillow's `convert` makes it: ITU-R 601-2 luma, and three times the same.
    """
    if picture.mode in WIDE:
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
            raise UnreadablePictureError("expected a grey picture of at most 16 bits a pixel, got more")
        grey = (values >> 8).astype(np.uint8)
        return np.stack([grey] * (3 if mode == "RGB" else 1), axis=-1)
    if picture.mode == "F":
        raise UnreadablePictureError("expected pixels of whole numbers, got numbers with a point (mode F)")
    if picture.mode != mode:
        picture = picture.convert("L" if picture.mode in GREY else "RGB")
        picture = picture if picture.mode == mode else picture.convert(mode)
    return np.asarray(picture).reshape(picture.size[1], picture.size[0], -1)
