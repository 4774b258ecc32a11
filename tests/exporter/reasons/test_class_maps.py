"""cam.onnx of a bundle, beside PyTorch and a closed form; damaged ones are found."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

import whyport
from support import image_bundle as made
from support.bundles import refresh_digests
from whyport.runtime.bundle.class_maps import CAM, bias_of, cam_graph, map_shape
from whyport.runtime.bundle.consistency import check_usable
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import CAM_MODEL, Graph, Sidecar
from whyport.runtime.errors import BundleError, BundleFormatError, ParityError
from whyport.runtime.session import Session


@pytest.fixture(scope="module")
def session(image_bundle: Path) -> Session:
    return Session(image_bundle, "cpu")


@pytest.fixture(scope="module")
def rows(session: Session, image_rows: Path) -> NDArray[np.float32]:
    return session.matrix(pq.read_table(image_rows))


def photo(rows: NDArray[np.float32]) -> torch.Tensor:
    prepared = (rows.reshape(-1, *made.SIZE, 3) / 255 - np.float32(made.MEAN)) / np.float32(made.DEVIATION)
    return torch.tensor(prepared, dtype=torch.float32).permute(0, 3, 1, 2)


def test_means_and_biases_are_pytorchs_logits(session: Session, rows: NDArray[np.float32]) -> None:
    graph = cam_graph(session.bundle.sidecar)
    assert graph is not None
    bias = bias_of(graph, session.task.targets)
    with torch.no_grad():
        expected = made.make()(photo(rows)).numpy()
    got = session.class_maps(rows)
    np.testing.assert_allclose(got["cam"].mean((2, 3)) + bias, expected, atol=1e-5)
    np.testing.assert_allclose(got["logits"], expected, atol=1e-5)
    np.testing.assert_allclose(bias, made.make().head.bias.detach(), atol=1e-6)


def test_maps_are_the_weighted_channels(session: Session, rows: NDArray[np.float32]) -> None:
    network = made.make()
    with torch.no_grad():
        maps = network.body(photo(rows)).double().numpy()
    expected = np.einsum("kc,ncyx->nkyx", network.head.weight.detach().double().numpy(), maps)
    got = session.class_maps(rows)["cam"]
    assert got.shape[2:] == map_shape(session.bundle.sidecar) == (6, 5)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_it_is_replayed(image_bundle: Path) -> None:
    deviations = whyport.verify(image_bundle, device="cpu").deviations
    assert {"cam.onnx logits", "cam.onnx cam"} <= set(deviations)


@pytest.fixture
def copy(image_bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(image_bundle, tmp_path / "copy")


def test_other_weights_are_found(copy: Path) -> None:
    model, sidecar = onnx.load(copy / CAM_MODEL), Bundle.read(copy).sidecar
    (kernel,) = (tensor for tensor in model.graph.initializer if tensor.dims[:] == [2, 4, 1, 1])
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * np.float32(1.1), kernel.name))
    onnx.save(model, copy / CAM_MODEL)
    refresh_digests(copy, sidecar)
    with pytest.raises(ParityError, match=r"output 'cam\.onnx cam'"):
        whyport.verify(copy, device="cpu")


def without_graph(graph: Graph) -> None:
    return None


CHANGES: dict[str, tuple[Callable[[Graph], Graph | None], str]] = {
    "no graph": (without_graph, "expected one of kind 'cam'"),
    "no bias": (lambda graph: dataclasses.replace(graph, figures={}), r"expected a figure 'bias\.class 0'"),
    "no maps": (lambda graph: dataclasses.replace(graph, outputs=graph.outputs[:1]), "expected the outputs logits"),
    "no pixels": (lambda graph: dataclasses.replace(graph, inputs=()), "expected the tensors of the model's inputs"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_sidecar_that_contradicts_its_graph_is_refused(change: str, image_bundle: Path) -> None:
    sidecar = Bundle.read(image_bundle).sidecar
    alter, message = CHANGES[change]
    altered = (alter(graph) if graph.kind == CAM else graph for graph in sidecar.graphs)
    changed: Sidecar = dataclasses.replace(sidecar, graphs=tuple(graph for graph in altered if graph is not None))
    with pytest.raises(BundleFormatError, match=message):
        check_usable(changed)


def test_a_picture_beside_a_table_has_none(image_and_table_bundle: Path) -> None:
    with pytest.raises(BundleError, match=r"has no cam\.onnx: .* only input is a picture"):
        Session(image_and_table_bundle, "cpu").class_maps(np.zeros((1, 362), dtype=np.float32))
