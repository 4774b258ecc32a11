"""Grad-CAM of pictures, from Parquet to Parquet."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from captum.attr import LayerGradCam

import whyport
from support import image_bundle as made
from whyport.runtime.errors import UsageError
from whyport.runtime.session import Session


def run(bundle: Path, rows: Path, out: Path, **options: Any) -> pa.Table:
    whyport.run(bundle, [rows], out, explain=["grad-cam"], device="cpu", grad_cam_map=True, **options)
    (part,) = out.glob("part-*")
    return pq.read_table(part)


def test_maps_of_a_named_convolution_are_captums(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    got = run(image_bundle, image_rows, tmp_path / "out", layer="body.0", explain_target="all")

    pixels = Session(image_bundle, "cpu").matrix(pq.read_table(image_rows)).reshape(-1, *made.SIZE, 3)
    prepared = (pixels / 255 - np.float32(made.MEAN)) / np.float32(made.DEVIATION)
    photo = torch.tensor(prepared, dtype=torch.float32).permute(0, 3, 1, 2).requires_grad_()
    network = made.make()
    method = LayerGradCam(network, network.body[0])
    for k, name in enumerate(Session(image_bundle, "cpu").task.targets):
        column = got[f"grad_cam_map.{name}"]
        assert column.type == pa.fixed_shape_tensor(pa.float32(), made.SIZE, dim_names=("y", "x"))
        expected = method.attribute(photo, k, relu_attributions=True)[:, 0].detach().numpy()
        maps = column.combine_chunks().to_numpy_ndarray()
        np.testing.assert_allclose(maps, expected, atol=1e-5 * expected.max())


def test_without_a_name_it_is_the_last_one(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    got = run(image_bundle, image_rows, tmp_path / "out")
    assert got["grad_cam_map"].type == pa.fixed_shape_tensor(pa.float32(), (6, 5), dim_names=("y", "x"))


def test_shares_are_the_maps_as_they_are(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    got = run(image_bundle, image_rows, tmp_path / "out")
    shares, maps = (got[name].combine_chunks().to_numpy_ndarray() for name in ("attribution", "grad_cam_map"))
    assert got["attribution"].type == pa.fixed_shape_tensor(pa.float32(), (6, 5), dim_names=("y", "x"))
    largest = maps.max(axis=(1, 2), keepdims=True)
    np.testing.assert_array_equal(shares, np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0))
    assert whyport.audit(tmp_path / "out", sample=24)[-1].startswith("sample")


def test_beside_another_method_they_are_upsampled_to_its_patches(
    image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    whyport.run(image_bundle, [image_rows], tmp_path / "out", explain=["grad-cam", "occlusion"], per="3x5")
    whyport.run(image_bundle, [image_rows], tmp_path / "own", explain=["grad-cam"])
    both, own = (pq.read_table(next((tmp_path / name).glob("part-*"))) for name in ("out", "own"))
    maps = torch.tensor(own["attribution"].combine_chunks().to_numpy_ndarray())[:, None]
    pixels = torch.nn.functional.interpolate(maps, made.SIZE, mode="bilinear")
    expected = torch.nn.functional.avg_pool2d(pixels, (4, 2))[:, 0]
    np.testing.assert_allclose(both["grad-cam.attribution"].combine_chunks().to_numpy_ndarray(), expected, atol=1e-6)


def test_several_layers_have_a_column_each(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    got = run(image_bundle, image_rows, tmp_path / "out", layer="*")
    first = run(image_bundle, image_rows, tmp_path / "first", layer="body.0")
    last = run(image_bundle, image_rows, tmp_path / "last")
    assert got["layer_map.body.0"].type == pa.fixed_shape_tensor(pa.float32(), made.SIZE, dim_names=("y", "x"))
    for name, column in (("layer_map.body.0", first["attribution"]), ("attribution", last["attribution"])):
        np.testing.assert_array_equal(
            got[name].combine_chunks().to_numpy_ndarray(), column.combine_chunks().to_numpy_ndarray()
        )
    assert "layer_map.body.3" not in got.column_names
    assert whyport.audit(tmp_path / "out", sample=24)[-1].startswith("sample")


def test_an_unknown_name_is_refused_with_those_there_are(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'body\.0', 'body\.3'"):
        run(image_bundle, image_rows, tmp_path / "out", layer="body")
