"""Networks over pictures that others have trained, on real photographs; scripts/real-weights downloads them."""

import os
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import whyport
from support import breeds, images, photographs
from whyport.exporter.kinds.keras_backend import import_keras
from whyport.runtime.session import Session

pytestmark = [
    pytest.mark.real_weights,
    pytest.mark.skipif("WHYPORT_REAL_WEIGHTS" not in os.environ, reason="scripts/real-weights FOLDER downloads them"),
]
SAMPLE, EXPLAINED = 30, 6
SIDE = breeds.SIZE
INPUT = f"image=image:photo:size={SIDE}x{SIDE},channels=3,mean=0.5,deviation=0.5"
LAYER = "blocks.13.depthwise.1"


def weights() -> Path:
    (found,) = Path(os.environ["WHYPORT_REAL_WEIGHTS"]).rglob("dog_breed_mobilenetv2.h5")
    return found


def make_breeds() -> nn.Module:
    return breeds.load(weights())


def network_input(contents: list[bytes]) -> Tensor:
    """The pictures as Keras prepares them for this network, x / 127.5 - 1: float64 [N, 3, height, width]."""
    opened = (
        Image.open(BytesIO(each)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR) for each in contents
    )
    values = torch.tensor(np.stack([np.asarray(each) for each in opened]), dtype=torch.float64)
    return (values / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("breeds")
    sample = images.write_pictures(folder / "sample.parquet", photographs.crops(SAMPLE))
    return whyport.export(f"{__name__}:make_breeds", sample, folder / "bundle", input=INPUT, background=4).path


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return photographs.crops(EXPLAINED, seed=1)


@pytest.fixture(scope="module")
def rows(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images.write_pictures(tmp_path_factory.mktemp("photographs") / "rows.parquet", contents)


def explained(bundle: Path, rows: Path, out: Path, method: str, **options: Any) -> pa.Table:
    whyport.run(bundle, rows, out, explain=method, **options)
    whyport.audit(out, sample=2)
    return pq.read_table(out)


def tensor(column: pa.ChunkedArray) -> NDArray[np.float32]:
    values: NDArray[np.float32] = column.combine_chunks().to_numpy_ndarray()
    return values


def test_predictions_are_pytorchs(bundle: Path, rows: Path, contents: list[bytes], tmp_path: Path) -> None:
    whyport.run(bundle, rows, tmp_path / "out")
    whyport.audit(tmp_path / "out")
    with torch.no_grad():
        scores = make_breeds().double()(network_input(contents))
    np.testing.assert_allclose(Session(bundle, "cpu").predict(pq.read_table(rows))["logits"], scores, atol=1e-4)
    table = pq.read_table(tmp_path / "out")
    assert table["prediction"].to_pylist() == [f"class {k}" for k in scores.argmax(1).tolist()]


def test_class_activation_maps_add_up(bundle: Path, rows: Path, contents: list[bytes], tmp_path: Path) -> None:
    table = explained(bundle, rows, tmp_path / "out", "cam", explain_target="class 3,class 7")
    network = breeds.load(weights()).double()
    with torch.no_grad():
        maps, scores = network.maps(network_input(contents)), network(network_input(contents))
    for k in (3, 7):
        expected = torch.einsum("c,ncyx->nyx", network.head.weight[k].detach(), maps) / maps[0, 0].numel()
        shares, bias = tensor(table[f"attribution.class {k}"]), network.head.bias[k].item()
        np.testing.assert_allclose(shares, expected, atol=1e-5)
        np.testing.assert_allclose(shares.sum((1, 2)) + bias, scores[:, k], atol=1e-4)
        np.testing.assert_allclose(table[f"base_value.class {k}"], np.full(EXPLAINED, bias), atol=1e-5)


@pytest.mark.parametrize("layer", ["last.0", LAYER])
def test_maps_of_a_layer_are_captums(
    layer: str, bundle: Path, rows: Path, contents: list[bytes], tmp_path: Path
) -> None:
    options = {"layer": layer, "grad_cam_map": True, "explain_target": "class 3"}
    table = explained(bundle, rows, tmp_path / "out", "grad-cam", **options)
    network = make_breeds().double()
    method = LayerGradCam(network, network.get_submodule(layer))
    expected = method.attribute(network_input(contents), 3, relu_attributions=True)[:, 0].detach().numpy()
    np.testing.assert_allclose(tensor(table["grad_cam_map"]), expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("segments", ["grid", "slic"])
def test_segments_of_lime_say_what_they_are_worth(segments: str, bundle: Path, rows: Path, tmp_path: Path) -> None:
    options = {"per": "segment", "segments": segments, "segment_count": 20, "samples": 150}
    table = explained(bundle, rows, tmp_path / "out", "lime", baseline="segment-mean", **options)
    for row in table.to_pylist():
        labels = np.asarray(Image.open(BytesIO(row["segments"])))
        assert set(np.unique(labels)) == set(range(len(row["attribution"])))
        assert np.isfinite(row["attribution"]).all()
        assert min(row["standard_error"]) > 0
        assert 0 < row["adjusted_r2"] < 1


@pytest.mark.parametrize(("method", "baseline"), [("deepshap", "background"), ("integrated-gradients", "blur")])
def test_shares_add_up(method: str, baseline: str, bundle: Path, contents: list[bytes], tmp_path: Path) -> None:
    rows = images.write_pictures(tmp_path / "rows.parquet", contents[:2])
    table = explained(bundle, rows, tmp_path / "out", method, baseline=baseline)
    assert tensor(table["attribution"]).shape[1:] == (28, 28)
    sums = tensor(table["attribution"]).sum((1, 2), dtype=np.float64)
    differences = table["score"].to_numpy() - table["base_value"].to_numpy()
    off = np.abs(sums - differences)
    np.testing.assert_allclose(off, table["completeness_error"], atol=1e-4)
    assert table["converged"].to_pylist() == [True, True]


def test_the_file_of_keras_gives_what_keras_predicts(contents: list[bytes], rows: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras uses what NumPy and PyTorch have deprecated
        network = import_keras().saving.load_model(weights(), compile=False)
        network.save(tmp_path / "breeds.keras")
        pictures = network_input(contents).permute(0, 2, 3, 1).float().numpy()
        expected = network.predict(pictures, verbose=0)
    sample = images.write_pictures(tmp_path / "sample.parquet", photographs.crops(SAMPLE))
    bundle = whyport.export(tmp_path / "breeds.keras", sample, tmp_path / "bundle", input=INPUT, background=4)
    got = Session(bundle, "cpu").predict(pq.read_table(rows))["probabilities"]
    np.testing.assert_allclose(got, expected, atol=1e-4)
    available = {name for name, each in bundle.sidecar.capabilities.items() if each.available}
    assert {"cam", "grad-cam", "deepshap", "gradients"} <= available
