"""A reference sample that no mean can be taken of is refused when it is read."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from support.bundles import linear_bundle, linear_sidecar, refresh_digests
from support.columns import category_column, number_column
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import BACKGROUND, Baseline
from whyport.runtime.errors import BundleFormatError

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])


def lists(values: NDArray[Any], size: int = 3) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), size)


def changed(row: int, value: float, values: NDArray[Any]) -> NDArray[Any]:
    copy = values.copy()
    copy[row] = value
    return copy


SOUND: dict[str, Any] = {"features": lists(ROWS), "weight": pa.array(WEIGHTS)}
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "NaN weight": ({"weight": changed(2, np.nan, WEIGHTS)}, "expected finite weights of at least 0, got .* rows '2'"),
    "infinite weight": ({"weight": changed(0, np.inf, WEIGHTS)}, "expected finite weights"),
    "negative weight": ({"weight": changed(1, -0.1, WEIGHTS)}, "expected finite weights .* rows '1'"),
    "no weight at all": ({"weight": WEIGHTS * 0}, "expected weights with a positive sum, got 0.0"),
    "weights beyond float64": ({"weight": np.full(4, 1e308)}, "expected weights with a positive sum, got inf"),
    "null weight": ({"weight": pa.array([0.5, None, 0.25, 0.25])}, "column 'weight': expected float64 in every row"),
    "text weight": ({"weight": pa.array(list("abcd"))}, "column 'weight': expected float64"),
    "listed weight": ({"weight": lists(np.ones(4), 1)}, "column 'weight': expected float64"),
    "missing weight": ({"weight": None}, "missing column 'weight'; the file has 'features'"),
    "NaN feature": ({"features": lists(changed(1, np.nan, ROWS))}, "expected finite features, got .* rows '1'"),
    "infinite feature": ({"features": lists(changed(3, -np.inf, ROWS))}, "expected finite features"),
    "missing features": ({"features": None}, "missing column 'features'"),
    "a feature less": ({"features": lists(ROWS[:, :2], 2)}, r"expected float32 \[3\] in every row"),
    "a feature more": ({"features": lists(np.ones((4, 4), np.float32), 4)}, r"expected float32 \[3\] in every row"),
    "features in float64": ({"features": lists(ROWS.astype(float))}, r"expected float32 \[3\]"),
    "features as integers": ({"features": lists(ROWS.astype(int))}, r"expected float32 \[3\]"),
    "features of different lengths": (
        {"features": pa.array([[1.0] * 2, [1.0] * 4, [1.0] * 3, [1.0] * 3], pa.list_(pa.float32()))},
        r"expected float32 \[3\]",
    ),
    "a null row": ({"features": pa.array([[1.0] * 3, None, [1.0] * 3, [1.0] * 3], pa.list_(pa.float32(), 3))}, "nulls"),
    "a null value": ({"features": pa.array([[1.0, None, 1.0]] * 4, pa.list_(pa.float32(), 3))}, "nulls"),
    "no rows": ({"features": lists(ROWS[:0]), "weight": WEIGHTS[:0]}, "expected rows, got a file without any"),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linear_bundle(tmp_path_factory.mktemp("references") / "bundle")


def with_background(path: Path, table: pa.Table) -> Bundle:
    pq.write_table(table, path / BACKGROUND)
    refresh_digests(path, linear_sidecar(True, ("a", "b", "c"), ("no", "yes")))
    return Bundle.read(path)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_background_is_refused(path: Path, kind: str) -> None:
    columns, message = HOSTILE[kind]
    table = pa.table({name: values for name, values in (SOUND | columns).items() if values is not None})
    with pytest.raises(BundleFormatError, match=rf"{message}.*, in .*background\.parquet"):
        References.read(with_background(path, table))


def test_weights_are_normalised_and_lists_of_one_length_are_fixed_ones(path: Path) -> None:
    features = pa.array(ROWS.tolist(), pa.list_(pa.float32()))
    references = References.read(with_background(path, pa.table({"features": features, "weight": WEIGHTS * 10})))
    np.testing.assert_array_equal(references.rows, ROWS)
    np.testing.assert_allclose(references.weights, WEIGHTS, rtol=1e-15)


@pytest.mark.parametrize("keep", [0, 4, 40, -20, -1])
def test_a_file_cut_short_is_refused(path: Path, keep: int) -> None:
    bundle = with_background(path, pa.table(SOUND))
    (path / BACKGROUND).write_bytes((path / BACKGROUND).read_bytes()[:keep])
    refresh_digests(path, bundle.sidecar)
    with pytest.raises(BundleFormatError, match="expected a Parquet file, got content that is not one"):
        References.read(Bundle.read(path))


def test_a_summary_has_as_many_rows_as_the_sidecar_says(path: Path) -> None:
    bundle = with_background(path, pa.table(SOUND))
    for rows in (3, 4):
        summary = Baseline("summary", "rows", BACKGROUND, rows, True, "by hand", {})
        sidecar = dataclasses.replace(bundle.sidecar, baselines=(summary,))
        said = dataclasses.replace(bundle, sidecar=sidecar)
        if rows == 4:
            assert len(References.summary(said).rows) == 4
            continue
        with pytest.raises(BundleFormatError, match=r"expected the 3 rows of baseline 'summary', got 4"):
            References.summary(said)


def test_the_mean_of_a_category_is_the_code_that_weighs_most() -> None:
    columns = (number_column("age"), category_column("region", ("north", "south", "west")))
    rows = np.array([[10, 2], [20, 0], [30, 0], [40, 4]], dtype=np.float32)
    mean = References(rows, np.array([0.5, 0.2, 0.2, 0.1])).mean(columns)
    np.testing.assert_allclose(mean.rows, [[19, 2]])
    assert mean.weights.tolist() == [1.0]
    tied = References(rows, np.array([0.4, 0.4, 0.0, 0.2])).mean(columns)
    assert tied.rows[0, 1] == 0


def test_the_mean_leaves_missing_values_out() -> None:
    rows = np.array([[1, np.nan], [3, np.nan], [np.nan, np.nan]], dtype=np.float32)
    mean = References(rows, np.array([0.3, 0.1, 0.6])).mean((number_column("a"), number_column("b")))
    np.testing.assert_allclose(mean.rows, [[1.5, np.nan]])
