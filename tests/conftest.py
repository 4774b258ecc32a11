"""Fixtures that every package's tests share."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from support.command import Whyport

if TYPE_CHECKING:
    from store_server import StoreServer

# The threads of one small operator wait for each other longer than they work.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def whyport() -> Whyport:
    return Whyport()


@pytest.fixture(scope="session")
def reference_bundle() -> Path:
    """The bundle that is committed with the project."""
    return Path(__file__).parents[1] / "models" / "breast_cancer"


@pytest.fixture(scope="session")
def tree_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier by margins, of boosted trees, with an explain.onnx."""
    from support import tree_bundles

    return tree_bundles.tree_bundle(tmp_path_factory.mktemp("trees") / "bundle").path


@pytest.fixture(scope="session")
def sequence_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rows of a sequence [6, 3] and two columns."""
    from support import sequence_bundles

    return sequence_bundles.write_rows(tmp_path_factory.mktemp("sequences") / "rows.parquet")


@pytest.fixture(scope="session")
def sequence_bundle(sequence_rows: Path) -> Path:
    """A network over both."""
    from support import sequence_bundles

    return sequence_bundles.export(sequence_rows, sequence_rows.parent / "bundle")


@pytest.fixture(scope="session")
def varying_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network over a sequence of varying length and a table."""
    from support import varying_bundle

    return varying_bundle.export(tmp_path_factory.mktemp("varying"))


@pytest.fixture(scope="session")
def varying_rows(varying_bundle: Path) -> Path:
    """Forty rows of 1 to 5 steps."""
    from support import varying_bundle as made

    return made.write_rows(varying_bundle.parent / "rows.parquet")


@pytest.fixture(scope="session")
def image_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small convolutional network over pictures."""
    from support import image_bundle

    return image_bundle.export(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def image_and_table_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network beside a table of two numbers."""
    from support import image_bundle

    return image_bundle.export_beside_table(tmp_path_factory.mktemp("image-and-table"))


@pytest.fixture(scope="session")
def image_rows(image_bundle: Path) -> Path:
    """Rows of both bundles: a picture as encoded bytes, and two numbers."""
    from support import image_bundle as made

    return made.write_rows(image_bundle.parent / "rows.parquet")


@pytest.fixture(scope="session")
def bag_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear layer over the mean of a text's embeddings."""
    from support import text_bundles

    return text_bundles.export("make_bag", tmp_path_factory.mktemp("bag"))


@pytest.fixture(scope="session")
def text_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """transformers' classifier of texts, small, with random weights."""
    from support import text_bundles

    return text_bundles.export("make_bert", tmp_path_factory.mktemp("bert"), buckets=False)


@pytest.fixture(scope="session")
def text_and_table_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network over a text and six columns."""
    from support import text_bundles

    return text_bundles.export("make_beside", tmp_path_factory.mktemp("beside"), name="note", table=True)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator["StoreServer"]:
    """A server that speaks S3, with an empty bucket."""
    from store_server import store_server

    with store_server(monkeypatch) as running:
        yield running


@pytest.fixture
def hadoop(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of an empty file system of Hadoop's, for which a folder of this machine stands."""
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    from whyport.runtime.store import client
    from whyport.runtime.store.hadoop import HadoopStore

    files = SubTreeFileSystem(str(tmp_path_factory.mktemp("hadoop")), LocalFileSystem())
    monkeypatch.setattr(client, "_hadoop", lambda root: HadoopStore(files))
    return f"hdfs://{secrets.token_hex(4)}:8020"


@pytest.fixture(params=["memory", "s3"])
def root(request: pytest.FixtureRequest) -> str:
    """The address of an empty bucket, in memory and of a server."""
    if request.param == "memory":
        return f"memory://{secrets.token_hex(4)}"
    running: StoreServer = request.getfixturevalue("server")
    return running.root
