"""The functions `predict` and `verify`."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.bundles import linear_bundle, logits_of, softmax
from whyport.runtime.errors import ColumnError, DigestError, NotFiniteError, UsageError

ROWS = np.random.default_rng(5).normal(size=(20, 3))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linear_bundle(tmp_path_factory.mktemp("predict") / "bundle")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a, b": np.arange(20), **dict(zip("abc", ROWS.T, strict=True))}), path)
    return path


def test_predict_gives_a_table_and_writes_it(bundle: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    table = whyport.predict(whyport.Bundle.read(bundle), data, out, keep="a, b", device="cpu")
    assert table.column_names == ["a, b", "prediction", "probability.no", "probability.yes", "imputed_count"]
    np.testing.assert_allclose(table["probability.yes"], softmax(logits_of(ROWS))[:, 1], atol=1e-6)
    assert pq.read_table(out).equals(table)
    with pytest.raises(UsageError, match="exists; --overwrite replaces it"):
        whyport.predict(bundle, data, out)
    assert whyport.predict(bundle, data, out, overwrite=True).column_names == table.column_names[1:]
    assert pq.read_table(out).column_names == table.column_names[1:]


def test_predict_names_the_file_that_does_not_fit(bundle: Path, data: Path) -> None:
    with pytest.raises(
        ColumnError, match=r"missing kept columns: d \(1 of 1\); the data has: \"a, b\", a, .*rows.parquet"
    ):
        whyport.predict(bundle, str(data), keep=["d"])


def test_verify_gives_the_deviations(bundle: Path, tmp_path: Path) -> None:
    checked = whyport.verify(bundle, "cpu")
    assert checked.files == len([path for path in bundle.iterdir() if path.name != "bundle.json"])
    assert checked.provider == "CPUExecutionProvider"
    assert checked.deviations.keys() == {"logits", "probabilities"}
    assert max(checked.deviations.values()) < 1e-5
    changed = linear_bundle(tmp_path / "changed")
    (changed / "model.onnx").write_bytes(b"")
    with pytest.raises(DigestError, match="has changed"):
        whyport.verify(changed)


def test_a_row_without_finite_outputs_has_no_prediction(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bounded = linear_bundle(tmp_path / "bounded", bounded=True)
    data, rows = tmp_path / "rows.csv", np.array([[1, 1, 0], [4, 2, 0], [0, 0, -9], [0, 1, 0]])
    data.write_text("a,b,c\n" + "\n".join(",".join(map(str, row)) for row in rows))
    table = whyport.predict(bounded, data, device="cpu")
    assert table["prediction"].to_pylist() == ["yes", None, None, "yes"]
    assert table["probability.no"].null_count == table["probability.yes"].null_count == 2
    kept = softmax(logits_of(rows[[0, 3]]))[:, 1]
    np.testing.assert_allclose(table["probability.yes"].drop_null(), kept, atol=1e-6)
    assert "no prediction: output 'logits': expected finite numbers, got NaN, in 2 of 4 rows: 1, 2, in " in caplog.text
    with pytest.raises(NotFiniteError, match=r"in 2 of 4 rows: 1, 2, in .*rows\.csv$"):
        whyport.predict(bounded, data, on_bad_row="fail")
    with pytest.raises(UsageError, match=r"on_bad_row: unknown policy for bad rows 'reject'; known: 'null', 'fail'"):
        whyport.predict(bounded, data, on_bad_row="reject")
