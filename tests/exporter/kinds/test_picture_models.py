"""Networks over pictures as their authors have them: Keras files, ONNX files and transformers' own classes."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

import whyport
from support import images
from support.image_bundle import make
from whyport.exporter.kinds.keras_backend import import_keras
from whyport.runtime.errors import ExportError, UsageError
from whyport.runtime.session import Session

SIZE = 16


def tensor(contents: list[bytes], channels: int) -> NDArray[np.float32]:
    """Pictures as [N, height, width, channels] from 0 to 1."""
    mode = "L" if channels == 1 else "RGB"
    whole = [Image.open(BytesIO(each)).convert(mode) for each in contents]
    read = [each.resize((SIZE, SIZE), Image.Resampling.BILINEAR) for each in whole]
    return np.stack([np.asarray(each, dtype=np.float32) for each in read]).reshape(-1, SIZE, SIZE, channels) / 255


def keras_network(keras: Any, dense: bool) -> Any:
    """A small classifier of grey pictures with a dense head, or one behind a mean over y and x."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    given = keras.Input((SIZE, SIZE, 1), name="surface")
    maps = layers.MaxPooling2D()(layers.Conv2D(4, 3, padding="same", activation="relu")(given))
    maps = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(maps)))
    pooled = layers.Flatten()(maps) if dense else layers.GlobalAveragePooling2D()(maps)
    hidden = layers.Dense(8, activation="relu")(pooled) if dense else pooled
    return keras.Model(given, layers.Dense(3, activation="softmax")(hidden))


@pytest.mark.parametrize("dense", [False, True])
def test_a_keras_file_of_pictures_is_explained_as_a_module_is(dense: bool, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = keras_network(import_keras(), dense)
        network.save(tmp_path / "surface.keras")
        contents = images.pictures(12, (20, 24), 1)
        expected = network.predict(tensor(contents, 1), verbose=0)
    sample = images.write_pictures(tmp_path / "sample.parquet", contents)

    bundle = whyport.export(
        tmp_path / "surface.keras",
        sample,
        tmp_path / "bundle",
        input=f"surface=image:photo:size={SIZE}x{SIZE},channels=1",
    )

    available = {name for name, each in bundle.sidecar.capabilities.items() if each.available}
    assert {"deepshap", "gradients", "grad-cam", "explain-onnx", "gradient-onnx"} <= available
    got = Session(bundle, "cpu").predict({"photo": contents})["probabilities"]
    np.testing.assert_allclose(got, expected, atol=1e-6)
    report = whyport.run(bundle, sample, tmp_path / "out", explain=["deepshap", "grad-cam"], layout="list")
    assert report.methods["deepshap"].not_converged == 0
    assert bundle.sidecar.capabilities["cam"].available != dense
    if not dense:
        whyport.run(bundle, sample, tmp_path / "maps", explain="cam", explain_target="all")
        table = pq.read_table(tmp_path / "maps")
        maps = [table[f"attribution.class {k}"].combine_chunks().to_numpy_ndarray().sum((1, 2)) for k in range(3)]
        logits = np.stack([sums + table[f"base_value.class {k}"].to_numpy() for k, sums in enumerate(maps)], axis=1)
        np.testing.assert_allclose(softmax(logits, axis=1), expected, atol=1e-5)


def onnx_file(path: Path, fixed: bool = False) -> Path:
    options: dict[str, Any] = {"input_names": ["x"], "output_names": ["logits"], "verbose": False}
    if not fixed:
        options["dynamic_shapes"] = ({0: torch.export.Dim("rows")},)
    example = (torch.rand(2, 3, SIZE, SIZE),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter uses what PyTorch has deprecated
        torch.onnx.export(make(), example, path, external_data=False, **options)
    return path


def test_an_onnx_file_of_pictures_is_explained_as_a_module_is(tmp_path: Path) -> None:
    contents = images.pictures(12, (20, 24))
    sample = images.write_pictures(tmp_path / "sample.parquet", contents)

    bundle = whyport.export(
        onnx_file(tmp_path / "photo.onnx"),
        sample,
        tmp_path / "bundle",
        input=f"x=image:photo:size={SIZE}x{SIZE},channels=3,mean=0.5,deviation=0.25",
    )

    values = torch.from_numpy((tensor(contents, 3) - 0.5) / 0.25).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = make()(values)
    np.testing.assert_allclose(Session(bundle, "cpu").predict({"photo": contents})["logits"], expected, atol=1e-5)
    assert bundle.sidecar.capabilities["deepshap"].available
    whyport.verify(bundle)


def test_what_an_onnx_file_does_not_take_is_named(tmp_path: Path) -> None:
    sample = images.write_pictures(tmp_path / "sample.parquet", images.pictures(4, (20, 24)))
    file, settings = onnx_file(tmp_path / "photo.onnx", fixed=True), f"image:photo:size={SIZE}x{SIZE}"

    with pytest.raises(UsageError, match="--input: no input 'photo'; did you mean|--input: .*'photo'.*'x'"):
        whyport.export(file, sample, tmp_path / "bundle", input=f"photo={settings}")
    with pytest.raises(ExportError, match="expected a dynamic batch axis, got one of fixed length 2"):
        whyport.export(file, sample, tmp_path / "bundle", input=f"x={settings}")


def make_mobilenet() -> torch.nn.Module:
    """transformers' own class with random weights."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.MobileNetV2Config(image_size=32, depth_multiplier=0.25, num_labels=2)
    network: torch.nn.Module = transformers.MobileNetV2ForImageClassification(config)
    return network.eval()


@pytest.mark.heavy
def test_transformers_own_class_of_pictures_is_exported_as_it_is(tmp_path: Path) -> None:
    contents = images.pictures(12, (40, 44))
    sample = images.write_pictures(tmp_path / "sample.parquet", contents)

    bundle = whyport.export(
        f"{__name__}:make_mobilenet",
        sample,
        tmp_path / "bundle",
        input="pixel_values=image:photo:size=32x32,channels=3,mean=0.5,deviation=0.5",
        explain_references=2,
    )

    whole = [Image.open(BytesIO(each)).resize((32, 32), Image.Resampling.BILINEAR) for each in contents]
    values = torch.tensor(np.stack([np.asarray(each) for each in whole]), dtype=torch.float32) / 255
    with torch.no_grad():
        expected = make_mobilenet()((values.permute(0, 3, 1, 2) - 0.5) / 0.5).logits
    got = Session(bundle, "cpu").predict({"photo": contents})["logits"]
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert bundle.sidecar.capabilities["grad-cam"].available


@pytest.mark.heavy
def test_a_keras_file_of_large_pictures_is_served_but_for_a_graph_that_no_device_could_run(tmp_path: Path) -> None:
    """explain.onnx would take gigabytes for one picture of 200 x 200; a run needs no such graph."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = import_keras()
        keras.utils.set_random_seed(0)
        maps = given = keras.Input((200, 200, 1), name="surface")
        for width in (16, 32, 64, 64):
            maps = keras.layers.Conv2D(width, 3, padding="same")(maps)
            maps = keras.layers.ReLU()(keras.layers.BatchNormalization()(maps))
            maps = keras.layers.MaxPooling2D()(maps)
        pooled = keras.layers.GlobalAveragePooling2D()(maps)
        keras.Model(given, keras.layers.Dense(6, activation="softmax")(pooled)).save(tmp_path / "surface.keras")
    sample = images.write_pictures(tmp_path / "sample.parquet", images.pictures(12, (210, 230), 1))
    settings = "surface=image:photo:size=200x200,channels=1"

    bundle = whyport.export(tmp_path / "surface.keras", sample, tmp_path / "bundle", input=settings)

    missing = {name: each.reason for name, each in bundle.sidecar.capabilities.items() if not each.available}
    assert "expected at most 536,870,912 values to compute for a row, got 2,1" in missing.pop("explain-onnx")
    assert missing.keys() == {"treeshap", "attention"}
    few = images.write_pictures(tmp_path / "few.parquet", images.pictures(3, (210, 230), 1, seed=2))
    for method in ("cam", "deepshap", "grad-cam"):
        report = whyport.run(bundle, few, tmp_path / method, explain=method)
        assert report.rows_out == 3
        whyport.audit(tmp_path / method)
