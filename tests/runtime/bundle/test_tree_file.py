"""trees.npz in a bundle: another file, another table's trees, and trees of another model are refused."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from support.bundles import linear_bundle, refresh_digests
from support.tree_bundles import margin_trees
from whyport import verify
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import TREES_FILE
from whyport.runtime.bundle.tree_file import read_trees
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.errors import BundleError, BundleFormatError, DigestError, ParityError


@pytest.fixture
def path(tree_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tree_bundle, tmp_path / "bundle"))


def forge(path: Path, change: Callable[[Trees], Trees]) -> Bundle:
    """The bundle with other trees, and the digest of these."""
    sidecar = Bundle.read(path).sidecar
    (path / TREES_FILE).write_bytes(change(margin_trees()).write())
    refresh_digests(path, sidecar)
    return Bundle.read(path)


def test_the_trees_are_replayed(path: Path) -> None:
    deviations = verify(path).deviations
    assert 0 < deviations["trees.npz margin"] < 1e-5
    assert read_trees(Bundle.read(path)).write() == margin_trees().write()


def test_trees_of_another_model_are_refused(path: Path) -> None:
    bundle = forge(path, lambda trees: dataclasses.replace(trees, threshold=trees.threshold + np.float32(0.5)))
    with pytest.raises(ParityError, match=r"output 'trees.npz margin' on .*: expected the conformance values"):
        verify(bundle)


def test_trees_of_another_table_are_refused(path: Path) -> None:
    bundle = forge(path, lambda trees: dataclasses.replace(trees, columns=trees.columns + np.int32(1)))
    with pytest.raises(BundleFormatError, match=r"trees over 4 columns, got a cell of column 4, in .*trees\.npz"):
        read_trees(bundle)
    with pytest.raises(BundleFormatError, match="trees over 4 columns"):
        verify(bundle)


def test_a_changed_file_is_refused(path: Path) -> None:
    (path / TREES_FILE).write_bytes((path / TREES_FILE).read_bytes()[:-1])
    with pytest.raises(DigestError, match=r"trees\.npz"):
        read_trees(Bundle.read(path))


@pytest.mark.parametrize("file", ["trees.npz", "explain.onnx", "model.onnx"])
def test_every_graph_has_a_digest(path: Path, file: str) -> None:
    document = json.loads((path / "bundle.json").read_text())
    del document["files"][file]
    (path / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(BundleFormatError, match=f"expected a digest of '{file}'"):
        Bundle.read(path)


def test_a_bundle_without_trees_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="has no trees"):
        read_trees(Bundle.read(linear_bundle(tmp_path / "linear")))
