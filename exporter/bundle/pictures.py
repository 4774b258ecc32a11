"""The pictures of pictures.json: made ones, so that a bundle shows nobody's own."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.pictures import images_of, vectors_text
from whyport.runtime.inputs.images.pictures import ORIENTATION, load_pillow, prepared

QUARTER_TURN = 6
"""The orientation of a picture that was taken with the camera on its side."""
QUALITY = 90


def picture_vectors(inputs: Sequence[Input]) -> bytes:
    """The content of pictures.json: three pictures of every input, and what they become."""
    made = []
    for each in images_of(inputs):
        assert isinstance(each.prepare, ImagePreparation)
        made += [(each, content, prepared(content, each.prepare)) for content in made_pictures(each.prepare)]
    return (vectors_text(made) + "\n").encode()


def made_pictures(prepare: ImagePreparation) -> list[bytes]:
    """A PNG in colours, a JPEG on its side, and a grey PNG: larger than the model's pixels, but the last."""
    height, width = prepare.resize or prepare.crop
    image = load_pillow()
    turned = image.Exif()
    turned[ORIENTATION] = QUARTER_TURN
    smaller = (height * 3 // 4 + 1, width * 2 // 3 + 1) if prepare.resize else (height + 3, width)
    colours, on_its_side = _colours(height * 3 // 2 + 1, width * 5 // 4 + 3), _colours(width * 2 + 1, height + 4)
    grey = _colours(*smaller)[..., 0]
    return [
        _file(colours, "PNG"),
        _file(on_its_side, "JPEG", quality=QUALITY, exif=turned.tobytes()),
        _file(grey, "PNG"),
    ]


def _colours(height: int, width: int) -> NDArray[np.uint8]:
    """Waves of the three colours [height, width, 3], with a dark square."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(9 * x + 4 * y), np.sin(5 * y - 7 * x + 1), np.cos(12 * y)]
    made = np.stack(waves, axis=-1) * 100 + 128
    made[height // 4 : height // 2, width // 3 : width // 2] = 20
    return made.astype(np.uint8)


def _file(pixels: NDArray[np.uint8], kind: str, **options: object) -> bytes:
    file = BytesIO()
    load_pillow().fromarray(pixels).save(file, kind, **options)
    return file.getvalue()
