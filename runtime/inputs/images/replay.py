"""The replay of a bundle's pictures: decoded and prepared here, and prepared by prepare.onnx."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.pictures import (
    PICTURES,
    PREPARE_MODEL,
    TOLERANCE,
    images_of,
    picture_name,
    prepare_graph,
    read_pictures,
)
from whyport.runtime.bundle.row import row_shape
from whyport.runtime.errors import BundleFormatError
from whyport.runtime.inputs.images.pictures import UnreadablePictureError, cropped, decoded, resized
from whyport.runtime.runner import Runner


def open_prepare(bundle: Bundle) -> Runner | None:
    """The runner of prepare.onnx, for a picture a call; None where the bundle has none. Raises as `Runner`."""
    if prepare_graph(bundle.sidecar) is None:
        return None
    return Runner(PREPARE_MODEL, bundle.read_bytes(PREPARE_MODEL), "cpu", 1, {"cpu": 1})


def picture_deviations(bundle: Bundle, runner: Runner) -> Iterator[tuple[str, float, float]]:
    """What was compared, how far it is off, of 255, and how far it may be; for each picture and each way.

    Pixels that are decoded and prepared here are the vectors' own: what a model was given at export, it is given here.

    Args:
        bundle: the bundle.
        runner: that of its prepare.onnx.

    Raises:
        BundleFormatError: pictures.json cannot be read, or has a picture that cannot. BundleError: prepare.onnx fails.
        MissingPackageError: no package is there that decodes pictures.
    """
    place = str(bundle.path / PICTURES)
    try:
        pictures = read_pictures(bundle.read_bytes(PICTURES).decode(errors="replace"), bundle.sidecar.inputs)
    except BundleFormatError as error:
        raise error.at(place) from None
    for image, content, expected in pictures:
        assert isinstance(image.prepare, ImagePreparation)
        try:
            pixels = decoded(content, image.prepare)
            here = cropped(resized(pixels, image.prepare), image.prepare)
        except UnreadablePictureError as error:
            raise BundleFormatError(f"a picture of the input {image.name!r}: {error}, in {place!r}") from None
        yield f"{PICTURES} {image.name}", _off(here, expected), 0.0
        (spec,) = image.tensors
        made = runner.run(_feeds(bundle, image, pixels), [spec])[spec.name][0]
        yield f"{PREPARE_MODEL} {image.name}", _off(made, expected), TOLERANCE


def _off(got: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float:
    return float(np.abs(got.astype(np.int64) - expected).max())


def _feeds(bundle: Bundle, image: Input, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """A picture for one input; for the others, which a graph is always given, a black one."""
    feeds = {}
    for each in images_of(bundle.sidecar.inputs):
        assert isinstance(each.prepare, ImagePreparation)
        black = np.zeros((*(each.prepare.resize or each.prepare.crop), row_shape(each)[2]), dtype=np.uint8)
        feeds[picture_name(each)] = (pixels if each.name == image.name else black)[None]
    return feeds
