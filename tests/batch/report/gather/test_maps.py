import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from whyport.batch.report.gather.maps import attention_of, grad_cam_of
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.vectors import read_vectors
from whyport.runtime.session import Session


@pytest.fixture(scope="module")
def session(reference_bundle: Path) -> Session:
    return Session(Bundle.read(reference_bundle), "cpu")


@pytest.fixture(scope="module")
def rows(session: Session) -> np.ndarray:
    signature = session.bundle.sidecar.signature
    vectors = read_vectors(session.bundle.read_bytes("conformance.parquet"), signature.inputs)["features"]
    return vectors[np.isfinite(vectors).all(axis=1)][:3]


def test_grad_cam_is_what_differences_of_the_maps_give(session: Session, rows: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = torch.jit.load(io.BytesIO(session.bundle.read_bytes("model.pt"))).double()
    targets = np.array([0, 1, 1])
    got = grad_cam_of(session, rows, targets)
    assert got is not None
    with torch.no_grad():
        maps = model.features(torch.tensor(rows, dtype=torch.float64))
        expected = np.zeros((len(rows), maps.shape[2]))
        for i, target in enumerate(targets):
            weights = []
            for channel in range(maps.shape[1]):
                # The mean gradient over positions is the derivative along a shift of the whole channel, by its length.
                step = torch.zeros_like(maps[i : i + 1])
                step[:, channel] = 1e-5
                up, down = (model.classify(maps[i : i + 1] + sign * step)[0][0, target] for sign in (1, -1))
                weights.append(float(up - down) / 2e-5 / maps.shape[2])
            cam = np.maximum(np.array(weights) @ maps[i].numpy(), 0)
            expected[i] = cam / cam.max()
    along = torch.nn.functional.interpolate(torch.tensor(expected)[:, None], rows.shape[1], mode="linear")[:, 0]
    np.testing.assert_allclose(got, along.numpy(), atol=1e-3)
    assert got.min() >= 0
    assert got.max() <= 1


def test_attention_is_the_models(session: Session, rows: np.ndarray) -> None:
    weights = attention_of(session, rows)
    assert weights is not None
    np.testing.assert_allclose(weights.sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_array_equal(weights, session.run(rows)["attention"])


def test_a_model_without_either_has_none(bundle: Path) -> None:
    session = Session(Bundle.read(bundle), "cpu")
    matrix = np.zeros((1, 3), dtype=np.float32)
    assert attention_of(session, matrix) is None
    assert grad_cam_of(session, matrix, np.array([0])) is None
