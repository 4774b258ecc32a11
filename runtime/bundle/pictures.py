"""prepare.onnx: decoded pictures of any size as the model takes them; and pictures.json, which tests a decoder too."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.codec import decode, encode
from whyport.runtime.bundle.constraints import Name, Size, Text
from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.sidecar import Graph, Sidecar
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError

PREPARE_MODEL = "prepare.onnx"
PICTURES = "pictures.json"

TOLERANCE = 1.0
"""The most that a prepared pixel may be off, of 255: two resizers round differently."""


@dataclass(frozen=True)
class PictureVector:
    """An encoded picture, and the pixels that a model takes for it."""

    input: Name
    """The name of the model's input."""
    encoded: Text
    """The file's bytes in base64: PNG or JPEG."""
    prepared: Text
    """The bytes of uint8 [height, width, channels] in base64, row-major."""


@dataclass(frozen=True)
class PictureVectors:
    """The contents of pictures.json."""

    tolerance: Size
    """The most that a prepared pixel may be off, of 255."""
    pictures: tuple[PictureVector, ...]


def images_of(inputs: Sequence[Input]) -> tuple[Input, ...]:
    """The inputs that are pictures."""
    return tuple(each for each in inputs if isinstance(each.prepare, ImagePreparation))


def prepare_graph(sidecar: Sidecar) -> Graph | None:
    """The graph from decoded pictures to the tensors of model.onnx; None where the bundle has none."""
    return next((graph for graph in sidecar.graphs if graph.file == PREPARE_MODEL), None)


def picture_name(image: Input) -> str:
    """The tensor of prepare.onnx that takes the decoded pictures of an input."""
    return f"{image.name}.picture"


def prepare_tensors(inputs: Sequence[Input]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What prepare.onnx takes and gives: pictures of one size in each call, and the tensors that model.onnx takes."""
    given, made = [], []
    for i, each in enumerate(images_of(inputs)):
        (spec,) = each.tensors
        given.append(TensorSpec(picture_name(each), "uint8", ("N", f"height_{i}", f"width_{i}", spec.shape[3])))
        made.append(spec)
    return tuple(given), tuple(made)


def check_prepare(sidecar: Sidecar) -> None:
    """Raise BundleFormatError for a prepare.onnx that takes or gives other tensors than those of the inputs."""
    graph = prepare_graph(sidecar)
    if graph is None:
        return
    if (graph.inputs, graph.outputs) != prepare_tensors(sidecar.inputs):
        raise BundleFormatError(f"$.graphs: expected tensors for the pictures of {PREPARE_MODEL}, got others")
    if PICTURES not in sidecar.files:
        raise BundleFormatError(f"expected a digest of {PICTURES!r} beside {PREPARE_MODEL}, got none")


def vectors_text(vectors: Sequence[tuple[Input, bytes, NDArray[np.uint8]]]) -> str:
    """The text of pictures.json: of each picture its input, its file, and its pixels [height, width, channels]."""

    def written(content: bytes) -> str:
        return base64.b64encode(content).decode("ascii")

    pictures = tuple(
        PictureVector(each.name, written(content), written(pixels.tobytes())) for each, content, pixels in vectors
    )
    return encode(PictureVectors(TOLERANCE, pictures))


def read_pictures(text: str, inputs: Sequence[Input]) -> list[tuple[Input, bytes, NDArray[np.uint8]]]:
    """What `vectors_text` was given; raises BundleFormatError for any other text, or where an input has no picture."""
    by_name = {each.name: each for each in images_of(inputs)}
    made = []
    for i, each in enumerate(decode(PictureVectors, text).pictures):
        if each.input not in by_name:
            raise BundleFormatError(f"$.pictures[{i}].input: expected one of pictures, got {each.input!r}")
        image = by_name[each.input]
        shape = image.tensors[0].row_shape()
        pixels = np.frombuffer(_bytes(each.prepared, f"$.pictures[{i}].prepared"), dtype=np.uint8)
        if pixels.size != np.prod(shape):
            wanted = f"expected {int(np.prod(shape))} bytes, uint8 {list(shape)}"
            raise BundleFormatError(f"$.pictures[{i}].prepared: {wanted}, got {pixels.size}")
        made.append((image, _bytes(each.encoded, f"$.pictures[{i}].encoded"), pixels.reshape(shape)))
    for name in by_name:
        if all(image.name != name for image, _, _ in made):
            raise BundleFormatError(f"$.pictures: expected pictures of the input {name!r}, got none")
    return made


def _bytes(text: str, path: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BundleFormatError(f"{path}: expected base64, got text that is not ({error})") from None
