"""A bundle whose background is a public table keeps no value of a training row, in any of its files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import whyport as library
from support import varying_bundle
from support.command import Whyport
from support.values_kept import values_found

ROWS = 80
MLP: dict[str, Any] = {"architecture": "mlp", "set": {"hidden": 4, "layers": 1}, "epochs": 2, "explain_references": 3}


def people(seed: int, rows: int = ROWS) -> pd.DataFrame:
    """A table with numbers of which some are missing, a date and categories; two seeds share no number."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame({"age": random.normal(50, 9, rows), "dose": random.gamma(2, 3, rows)})
    table.loc[::7, "dose"] = np.nan
    table["ward"] = random.choice(["north", "south", "west"], rows)
    table["sick"] = np.where(table.age + random.normal(0, 5, rows) > 50, "yes", "no")
    table["cost"] = 100 * table.age + random.normal(0, 30, rows)
    return table


def private_values(*columns: pd.Series) -> list[float]:
    """Every value, and the medians, which may lie between two."""
    values = [value for column in columns for value in column.dropna().tolist()]
    return [*values, *(float(column.median()) for column in columns)]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The training table and a public one."""
    folder = tmp_path_factory.mktemp("tables")
    people(1).to_parquet(folder / "private.parquet")
    people(2).ffill().bfill().to_parquet(folder / "public.parquet")  # references lack nothing
    return folder / "private.parquet", folder / "public.parquet"


@pytest.fixture(scope="module")
def bundles(tables: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The bundle that keeps training rows, and the one that keeps public ones."""
    folder, (private, public) = tmp_path_factory.mktemp("bundles"), tables
    library.train(private, "sick", folder / "open", exclude="cost", **MLP)
    library.train(private, "sick", folder / "closed", exclude="cost", background=public, **MLP)
    return folder / "open", folder / "closed"


def test_train_keeps_values_of_the_public_table_alone(tables: tuple[Path, Path], bundles: tuple[Path, Path]) -> None:
    private, public = map(pd.read_parquet, tables)
    wanted = private_values(private.age, private.dose)
    kept = {"background.parquet", "bundle.json", "conformance.json", "conformance.parquet", "summary.parquet"}
    assert kept | {"explain.onnx"} <= values_found(bundles[0], wanted).keys()
    assert values_found(bundles[1], wanted) == {}
    # The same look finds the public table's rows.
    assert kept | {"explain.onnx"} <= values_found(bundles[1], private_values(public.age, public.dose)).keys()


def test_inspect_says_whose_rows_a_bundle_keeps(whyport: Whyport, bundles: tuple[Path, Path]) -> None:
    told = []
    for bundle in bundles:
        lines = whyport("inspect", bundle).output.splitlines()
        told.append(next(line[12:] for line in lines if line.startswith("rows  ")))
    tests = "rows in conformance.json, 64 rows in conformance.parquet"
    assert told[0] == (
        f"64 rows in background.parquet, 3 rows in summary.parquet, {tests}: of the training data; every second test "
        "vector lies between two rows"
    )
    assert told[1] == (
        f"80 rows in background.parquet, 3 rows in summary.parquet, {tests}: of the table that was named for the "
        "background"
    )


def test_the_shares_of_bins_are_the_training_rows(tables: tuple[Path, Path], bundles: tuple[Path, Path]) -> None:
    """Between the public table's deciles, so that drift is still measured against the training data."""
    known, own = (library.Bundle.read(path).sidecar.columns[0].statistics for path in bundles)
    shown = pd.read_parquet(tables[1]).age.to_numpy().astype(np.float32)
    np.testing.assert_allclose(own.bin_edges, np.quantile(shown, np.arange(1, 10) / 10), rtol=1e-6)
    # 64 rows were trained with: every share is a whole number of them.
    counts = np.array(own.bin_fractions) * 64
    assert counts.sum() == pytest.approx(64)
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    assert (own.mean, own.standard_deviation) == (known.mean, known.standard_deviation)
    assert (own.minimum, own.median) == (shown.min(), pytest.approx(np.median(shown)))


def test_a_regression_keeps_no_measured_values_of_its_test_rows(tables: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = library.train(tables[0], "cost", tmp_path / "closed", exclude="sick", background=tables[1], **MLP).path
    private = pd.read_parquet(tables[0])
    assert values_found(bundle, private_values(private.age, private.dose, private.cost)) == {}
    assert not [*bundle.glob("training/measured*"), *bundle.glob("training/residuals*")]


def test_sequences_of_varying_length_keep_values_of_the_public_table_alone(tmp_path: Path) -> None:
    for name, seed in (("private", 1), ("public", 2)):
        rows = varying_bundle.rows_of(varying_bundle.lengths(30), seed)
        pq.write_table(rows, tmp_path / f"{name}.parquet")
    private = pq.read_table(tmp_path / "private.parquet")
    public = pq.read_table(tmp_path / "public.parquet")
    cells = {value for row in private["visits"].to_pylist() for step in row for value in step}
    shared = {value for row in public["visits"].to_pylist() for step in row for value in step}
    wanted = [*(cells - shared), *private["age"].to_pylist(), *private["dose"].to_pylist()]
    library.export(
        "support.varying_bundle:make", tmp_path / "private.parquet", tmp_path / "closed", impute=True,
        input=[each.replace(",buckets=2|5", "") for each in varying_bundle.INPUTS],
        background=tmp_path / "public.parquet", explain_references=0,
    )  # fmt: skip
    assert values_found(tmp_path / "closed", [value for value in wanted if value != round(value, 2)]) == {}
