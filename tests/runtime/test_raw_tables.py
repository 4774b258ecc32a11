"""Raw tables scored in memory: whatever they are, the scores are those of the closed form."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from support.command import Whyport
from support.mixed import NAMES, RAW, mixed_bundle, yes_of
from whyport.runtime.errors import ColumnError, MissingValueError
from whyport.runtime.session import Session

CODES = np.array([[20, 0, 18262, 0, 1], [30, 1, 18628, 1, 0], [40, 0, 18993, 0, 1], [50, 1, 19358, 1, 1]])
SURPRISES: dict[str, list[Any]] = RAW | {
    "age": [None, 30.0, 40.0, 50.0],
    "region": ["west", None, "north", ""],
    "since": ["2020-01-01", "2021-02-29", "2022-01-01T00:00:00", ""],
    "grade": [1, 3, None, 2],
    "member": [None, True, False, True],
}
SURPRISING_CODES = np.array(
    [[np.nan, 2, 18262, 0, 3], [30, 3, np.nan, 2, 1], [40, 0, 18993, 3, 0], [50, 3, np.nan, 1, 1]]
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_bundle(tmp_path_factory.mktemp("mixed") / "bundle")


@pytest.fixture(scope="module")
def session(bundle: Path) -> Session:
    return Session(bundle, "cpu")


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_every_kind_of_table_is_scored(session: Session, make: Callable[[Any], Any]) -> None:
    scores = session.predict(make(RAW))["logits"]
    np.testing.assert_allclose(scores[:, 1], yes_of(CODES), rtol=1e-6)


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_missing_and_unseen_values_are_scored_and_told(
    session: Session, make: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        scores = session.predict(make(SURPRISES))["logits"]
    np.testing.assert_allclose(scores[:, 1], yes_of(SURPRISING_CODES), rtol=1e-6)
    assert caplog.messages == [
        "values that training has not seen, in 2 of 4 rows: column 'region' 1, column 'since' 1, column 'grade' 1"
    ]
    assert session.encode(make(SURPRISES)).unseen.counts == {"region": 1, "since": 1, "grade": 1}


def test_one_row_as_a_dictionary(session: Session) -> None:
    row = {name: values[0] for name, values in RAW.items()}
    np.testing.assert_allclose(session.predict([row])["logits"][0, 1], yes_of(CODES[:1])[0], rtol=1e-6)
    with pytest.raises(ColumnError, match="dates, times or text: since"):
        session.predict([row | {"since": 18262}])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("rows", "codes"), [(RAW, CODES), (SURPRISES, SURPRISING_CODES)])
def test_files_are_scored(
    whyport: Whyport, bundle: Path, tmp_path: Path, suffix: str, rows: dict[str, Any], codes: Any
) -> None:
    path, out = tmp_path / f"day.{suffix}", tmp_path / "out.parquet"
    table = pa.table(rows)
    pa.csv.write_csv(table, path) if suffix == "csv" else pq.write_table(table, path)
    whyport("predict", bundle, path, "--out", out, "--keep", "region")
    found = pq.read_table(out)
    expected = 1 / (1 + np.exp(-yes_of(codes)))
    np.testing.assert_allclose(found["probability.yes"].to_numpy(), expected, rtol=1e-5)
    assert found["imputed_count"].to_pylist() == np.isnan(codes).sum(axis=1).tolist()
    assert [text or None for text in found["region"].to_pylist()] == [text or None for text in rows["region"]]


def test_a_csv_files_types_are_the_models(
    whyport: Whyport, bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = tmp_path / "day.csv", tmp_path / "out.parquet"
    path.write_text("age,region,since,grade,member\n1,north,2020-01-01,1,TRUE\n2,south,2020-01-01,B,maybe\n")
    whyport("predict", bundle, path, "--out", out)
    assert "in 1 of 2 rows: column 'grade' 1, column 'member' 1" in caplog.text
    expected = 1 / (1 + np.exp(-yes_of(np.array([[1, 0, 18262, 0, 1], [2, 1, 18262, 2, 2]]))))
    np.testing.assert_allclose(pq.read_table(out)["probability.yes"].to_numpy(), expected, rtol=1e-5)


def test_text_that_looks_like_numbers_stays_text(session: Session, bundle: Path, tmp_path: Path) -> None:
    from whyport.runtime.predict import predict_file

    path = tmp_path / "day.csv"
    path.write_text("age,region,since,grade,member\n1,01,2020-01-01,1,0\n")
    assert predict_file(session, path, ("region",))["region"].to_pylist() == ["01"]


def test_a_missing_column_is_refused(session: Session) -> None:
    with pytest.raises(ColumnError, match=r"missing feature columns: region \(1 of 5\)"):
        session.predict({name: RAW[name] for name in NAMES if name != "region"})


def test_missing_values_are_refused_where_the_model_has_no_way_with_them(tmp_path: Path) -> None:
    from support.bundles import linear_bundle

    with pytest.raises(MissingValueError, match="column 'b', row 1: got NaN, and this bundle does not impute"):
        Session(linear_bundle(tmp_path / "linear", imputes=False), "cpu").predict(
            {"a": [1.0, 2.0], "b": [1.0, None], "c": [1.0, 2.0]}
        )
