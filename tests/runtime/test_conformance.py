from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.bundles import edit_sidecar, linear_bundle, linear_sidecar, refresh_digests
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import CONFORMANCE
from whyport.runtime.conformance import replay
from whyport.runtime.errors import BundleFormatError, ParityError
from whyport.runtime.session import Session

SIDECAR = linear_sidecar(True, ("a", "b", "c"), ("no", "yes"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return linear_bundle(tmp_path / "bundle")


def test_the_test_vectors_of_a_sound_bundle_replay(path: Path) -> None:
    deviations = replay(Session(Bundle.read(path), "cpu"))
    assert set(deviations) == {"logits", "probabilities"}
    assert max(deviations.values()) < 1e-6


def test_outputs_that_differ_are_named(path: Path) -> None:
    table = pq.read_table(path / CONFORMANCE)
    logits = pa.FixedSizeListArray.from_arrays(pa.array([0.0] * 2 * table.num_rows, pa.float32()), 2)
    changed = table.set_column(table.column_names.index("logits"), "logits", logits)
    pq.write_table(changed, path / CONFORMANCE)
    refresh_digests(path, SIDECAR)
    with pytest.raises(ParityError, match="output 'logits' on CPUExecutionProvider: expected .* within 0.0001"):
        replay(Session(Bundle.read(path), "cpu"))


def test_a_missing_tensor_is_named(path: Path) -> None:
    pq.write_table(pq.read_table(path / CONFORMANCE).drop_columns("probabilities"), path / CONFORMANCE)
    refresh_digests(path, SIDECAR)
    with pytest.raises(BundleFormatError, match="missing column 'probabilities'"):
        replay(Session(Bundle.read(path), "cpu"))


def test_metadata_in_the_graph_that_differs_from_the_sidecar_is_an_error(path: Path) -> None:
    edit_sidecar(path, name="another")
    with pytest.raises(BundleFormatError, match=r"metadata in model\.onnx is not that of bundle\.json"):
        replay(Session(Bundle.read(path), "cpu"))
