"""Class activation maps from Parquet to Parquet, beside PyTorch, and beside other methods."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray

import whyport
from support import image_bundle as made
from whyport.runtime.errors import BundleError
from whyport.runtime.session import Session


def photos(bundle: Path, rows: Path) -> torch.Tensor:
    pixels = Session(bundle, "cpu").matrix(pq.read_table(rows)).reshape(-1, *made.SIZE, 3)
    prepared = (pixels / 255 - np.float32(made.MEAN)) / np.float32(made.DEVIATION)
    return torch.tensor(prepared, dtype=torch.float64).permute(0, 3, 1, 2)


def run(bundle: Path, rows: Path, out: Path, **options: Any) -> pa.Table:
    whyport.run(bundle, [rows], out, **{"explain": ["cam"], "device": "cpu"} | options)
    (part,) = out.glob("part-*")
    return pq.read_table(part)


def tensor(column: pa.ChunkedArray) -> NDArray[np.float32]:
    values: NDArray[np.float32] = column.combine_chunks().to_numpy_ndarray()
    return values


def test_shares_of_every_class_are_pytorchs_and_add_up(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    got = run(image_bundle, image_rows, tmp_path / "out", explain_target="all")

    network = made.make().double()
    with torch.no_grad():
        maps, logits = (part(photos(image_bundle, image_rows)).numpy() for part in (network.body, network))
    weights, bias = (each.detach().numpy() for each in (network.head.weight, network.head.bias))
    for k, name in enumerate(("class 0", "class 1")):
        column = got[f"attribution.{name}"]
        assert column.type == pa.fixed_shape_tensor(pa.float32(), (6, 5), dim_names=("y", "x"))
        shares = tensor(column)
        np.testing.assert_allclose(shares, np.einsum("c,ncyx->nyx", weights[k], maps) / 30, atol=1e-6)
        np.testing.assert_allclose(got[f"base_value.{name}"], np.full(len(shares), bias[k]), atol=1e-6)
        np.testing.assert_allclose(shares.sum((1, 2)) + bias[k], logits[:, k], atol=1e-5)
        assert max(got[f"completeness_error.{name}"].to_pylist()) < 1e-5
        assert all(got[f"converged.{name}"].to_pylist())
        assert set(got[f"evaluations.{name}"].to_pylist()) == {1}
    assert whyport.audit(tmp_path / "out", sample=24)[-1].startswith("sample")


def test_beside_another_method_the_shares_still_add_up(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    both = run(image_bundle, image_rows, tmp_path / "out", explain=["cam", "occlusion"])
    own = run(image_bundle, image_rows, tmp_path / "own", explain=["cam", "grad-cam"])
    assert tensor(both["cam.attribution"]).shape[1:] == made.SIZE
    assert tensor(own["cam.attribution"]).shape == tensor(own["grad-cam.attribution"]).shape
    sums = tensor(own["cam.attribution"]).sum((1, 2))
    np.testing.assert_allclose(tensor(both["cam.attribution"]).sum((1, 2)), sums, atol=1e-5)
    assert all(both["cam.converged"].to_pylist())


def test_its_positive_part_is_captums_grad_cam_of_the_last_maps(
    image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    got = run(image_bundle, image_rows, tmp_path / "out", explain_target="all")
    network = made.make().double()
    photo = photos(image_bundle, image_rows).requires_grad_()
    expected = LayerGradCam(network, network.body).attribute(photo, 1, relu_attributions=True)[:, 0].detach()
    np.testing.assert_allclose(np.maximum(tensor(got["attribution.class 1"]), 0), expected, atol=1e-6)


def test_a_picture_beside_a_table_is_refused(image_and_table_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot serve 'cam': class activation maps are of a model whose only input"):
        run(image_and_table_bundle, image_rows, tmp_path / "out")
