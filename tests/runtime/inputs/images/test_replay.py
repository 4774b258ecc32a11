"""prepare.onnx gives the pixels that Pillow gives, and a bundle's own pictures are caught where they are damaged."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

import whyport
from support import images
from whyport.exporter.data.images import describe_image
from whyport.exporter.data.input_choice import parse_inputs
from whyport.exporter.graphs.prepare import prepare_model
from whyport.runtime.bundle.folder import write_sidecar


def prepared_by_onnx(settings: str, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Decoded pictures through the graph of an input with these settings."""
    sample = pd.Series(images.pictures(2, (40, 40)), name="photo")
    (choice,) = parse_inputs([f"photo=image:photo:{settings}"])
    image = describe_image(sample, choice, "photo")
    model = prepare_model((image,)).model
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made: NDArray[np.uint8] = session.run(None, {"photo.picture": pixels})[0]
    return made


@pytest.mark.parametrize("size", [(25, 30), (160, 200), (7, 90), (9, 8), (3, 3), (12, 10)])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_pillows_triangle_filter(size: tuple[int, int], channels: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(2, *size, channels), dtype=np.uint8)

    got = prepared_by_onnx(f"size=12x10,channels={channels}", noise)

    squeezed = noise if channels == 3 else noise[..., 0]
    expected = [np.asarray(Image.fromarray(each).resize((10, 12), Image.Resampling.BILINEAR)) for each in squeezed]
    assert got.shape == (2, 12, 10, channels)
    assert np.abs(got.astype(int) - np.stack(expected).reshape(got.shape)).max() <= 1


def test_the_centre_is_cut_out_after_resizing_and_alone() -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(1, 21, 30, 3), dtype=np.uint8)

    both = prepared_by_onnx("size=8x6,channels=3,resize=15x11,crop=8x6", noise)
    alone = prepared_by_onnx("size=8x7,channels=3,crop=8x7", noise)

    resized = np.asarray(Image.fromarray(noise[0]).resize((11, 15), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(both[0].astype(int) - resized[3:11, 2:8]).max() <= 1
    np.testing.assert_array_equal(alone[0], noise[0, 6:14, 11:18])


def test_a_picture_that_is_smaller_than_what_is_cut_out_fails() -> None:
    with pytest.raises(Exception, match="Reshape"):
        prepared_by_onnx("size=8x6,channels=3,crop=8x6", np.zeros((1, 5, 20, 3), dtype=np.uint8))


def test_a_bundle_of_pictures_replays_its_own(image_bundle: Path) -> None:
    deviations = whyport.verify(image_bundle).deviations

    assert deviations["pictures.json photo"] == 0
    assert deviations["prepare.onnx photo"] <= 1


def test_pictures_are_encoded_files_that_others_read(image_bundle: Path) -> None:
    document = json.loads((image_bundle / "pictures.json").read_text())

    contents = [base64.b64decode(each["encoded"]) for each in document["pictures"]]
    assert [content[:3] for content in contents] == [b"\x89PN", b"\xff\xd8\xff", b"\x89PN"]
    assert [len(base64.b64decode(each["prepared"])) for each in document["pictures"]] == [12 * 10 * 3] * 3


def other_pixels(folder: Path) -> None:
    document = json.loads((folder / "pictures.json").read_text())
    pixels = bytearray(base64.b64decode(document["pictures"][0]["prepared"]))
    pixels[5] ^= 3
    document["pictures"][0]["prepared"] = base64.b64encode(pixels).decode()
    (folder / "pictures.json").write_text(json.dumps(document))


def truncated(folder: Path) -> None:
    document = json.loads((folder / "pictures.json").read_text())
    content = base64.b64decode(document["pictures"][1]["encoded"])
    document["pictures"][1]["encoded"] = base64.b64encode(content[:-80]).decode()
    (folder / "pictures.json").write_text(json.dumps(document))


def no_pictures(folder: Path) -> None:
    document = json.loads((folder / "pictures.json").read_text())
    (folder / "pictures.json").write_text(json.dumps({**document, "pictures": []}))


def no_base64(folder: Path) -> None:
    document = json.loads((folder / "pictures.json").read_text())
    document["pictures"][0]["encoded"] = "*"
    (folder / "pictures.json").write_text(json.dumps(document))


def another_filter(folder: Path) -> None:
    model = onnx.load(folder / "prepare.onnx")
    (resize,) = [node for node in model.graph.node if node.op_type == "Resize"]
    resize.attribute.append(onnx.helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
    onnx.save(model, folder / "prepare.onnx")


def anothers_graph(folder: Path) -> None:
    model = onnx.load(folder / "prepare.onnx")
    del model.metadata_props[:]
    onnx.save(model, folder / "prepare.onnx")


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (other_pixels, whyport.ParityError, r"'pictures\.json photo' .* within 0, got a deviation of"),
        (truncated, whyport.BundleFormatError, r"a picture of the input 'photo': expected a whole picture"),
        (no_pictures, whyport.BundleFormatError, r"pictures: expected pictures of the input 'photo', got none"),
        (no_base64, whyport.BundleFormatError, r"pictures\[0\]\.encoded: expected base64"),
        (another_filter, whyport.ParityError, r"'prepare\.onnx photo' .* within 1, got a deviation of"),
        (anothers_graph, whyport.BundleFormatError, r"expected metadata 'whyport', got none"),
    ],
)
def test_damage_is_caught(
    damage: Callable[[Path], None], error: Any, message: str, image_bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(image_bundle, folder)
    damage(folder)
    write_sidecar(folder, whyport.Bundle.read(image_bundle).sidecar)

    with pytest.raises(error, match=message):
        whyport.verify(folder)
