"""What cuts pictures into segments: connected, alike in every process, of any picture."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut
from skimage.measure import label

from whyport.batch.methods.segments.segmenter import SEGMENTERS, Segmenter, segmenter_of
from whyport.runtime.errors import MissingPackageError

SIZES = ((1, 1), (1, 9), (3, 5), (28, 28), (64, 31))
KINDS = {
    "noise": lambda size: np.random.default_rng(0).integers(0, 256, size),
    "grey": lambda size: np.full(size, 127),
    "black": lambda size: np.zeros(size),
    "halves": lambda size: np.zeros(size) + np.where(np.arange(size[1]) < size[1] / 2, 0, 255)[:, None],
    "specks": lambda size: (np.random.default_rng(1).random(size) < 0.02) * 255,
}


def made(name: str, count: int) -> Segmenter:
    segmenter = segmenter_of(f"{name}:{count}")
    assert segmenter is not None
    return segmenter


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_picture_has_labels_from_0_and_no_more_than_said(name: str, kind: str, channels: int) -> None:
    for size in SIZES:
        picture = KINDS[kind]((*size, channels)).astype(np.float32)
        for count in (1, 2, 20, 200):
            segmenter = made(name, count)
            labels = segmenter.labels(picture)
            found = int(labels.max()) + 1
            assert labels.shape == size
            assert set(np.unique(labels)) == set(range(found))
            assert found <= segmenter.most(*size)
            example = segmenter.example(*size)
            assert example.shape == size
            assert set(np.unique(example)) == set(range(segmenter.most(*size)))


@pytest.mark.parametrize("name", SEGMENTERS)
def test_segments_are_connected_and_about_as_many_as_asked(name: str) -> None:
    labels = made(name, 30).labels(astronaut()[::4, ::4].astype(np.float32))
    count = int(labels.max()) + 1
    assert 20 <= count <= 40
    assert label(labels + 1, connectivity=1).max() == count


def test_a_grid_is_of_fields_that_differ_by_a_pixel() -> None:
    labels = made("grid", 6).labels(np.zeros((10, 15, 3), dtype=np.float32))

    assert labels[0].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert labels[:, 0].tolist() == [0] * 5 + [3] * 5


def test_slic_follows_an_edge() -> None:
    picture: NDArray[np.float32] = np.zeros((40, 40, 3), dtype=np.float32)
    picture[:, 17:] = (200, 30, 30)

    labels = made("slic", 8).labels(picture)

    assert not set(np.unique(labels[:, :17])) & set(np.unique(labels[:, 17:]))


def test_slic_gives_the_same_in_another_process() -> None:
    code = (
        "import numpy as np, hashlib\n"
        "from whyport.batch.methods.segments.segmenter import segmenter_of\n"
        "picture = np.random.default_rng(3).integers(0, 256, (50, 40, 3)).astype(np.float32)\n"
        "print(hashlib.sha256(segmenter_of('slic:30').labels(picture).tobytes()).hexdigest())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout != ""


def test_slic_without_scikit_image_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(MissingPackageError, match=r"whyport\[segments\]"):
        made("slic", 5).labels(np.zeros((4, 4, 3), dtype=np.float32))
    assert made("grid", 4).labels(np.zeros((4, 4, 3), dtype=np.float32)).max() == 3


def test_other_texts_are_no_choice_of_segments() -> None:
    assert {segmenter_of(text) for text in ("segment", "slic", "slic:0", "slic:", "other:5", "slic:50 ")} == {None}
