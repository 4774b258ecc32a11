"""A real table of text, booleans, dates, codes and holes, from training to the report, and in another language."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from support.command import Whyport
from support.mortgages import CODES, DAYS, TARGET, TRAINED, applications
from support.programs import node
from whyport import Bundle, Session


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return applications()


@pytest.fixture(scope="module")
def bundle(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mortgages")
    table[:TRAINED].to_parquet(folder / "train.parquet", index=False)
    options = ["--target", TARGET, "--categorical", ",".join(CODES), "--dates", DAYS, "--class-weights", "balanced"]
    network = ["--architecture", "mlp", "--set", "hidden=16", "--epochs", "8"]
    Whyport()("train", folder / "train.parquet", *options, *network, "--out", folder / "bundle")
    return folder / "bundle"


@pytest.fixture(scope="module")
def night(table: pd.DataFrame) -> pd.DataFrame:
    """Later applications, some with what training has not seen."""
    later = table[TRAINED:].reset_index(drop=True)
    later.loc[[3, 4], "self"] = "perhaps"
    later.loc[5, "ccs"] = 9
    later.loc[6, "dmi"] = None
    return later


@pytest.fixture(scope="module")
def scored(bundle: Path, night: pd.DataFrame) -> Path:
    source = bundle.parent / "night.parquet"
    night.to_parquet(source, index=False)
    out = bundle.parent / "scored"
    methods = ["--explain", "deepshap", "--explain", "occlusion", "--explain", "integrated-gradients"]
    Whyport()("run", bundle, source, "--out", out, "--keep", TARGET, "--on-bad-row", "impute", *methods)
    return out


def test_the_bundle_knows_its_categories(bundle: Path, table: pd.DataFrame) -> None:
    columns = {column.name: column for column in Bundle.read(bundle).sidecar.columns}
    kinds = {name: column.kind for name, column in columns.items()}
    assert {name for name, kind in kinds.items() if kind == "category"} == {
        *CODES, "pbcr", "dmi", "self", "single", "comdominiom", "black"
    }  # fmt: skip
    assert (kinds[DAYS], columns[DAYS].unit) == ("time", "days since 1970-01-01")
    single, codes = columns["single"].categories, columns["ccs"].categories
    assert single is not None
    assert codes is not None
    assert (single.type, single.values, codes.type) == ("text", ("no", "yes"), "number")
    assert single.missing > 0
    assert sum(single.counts) + single.missing == round(TRAINED * 0.8)


def test_every_row_is_scored_and_what_is_new_is_counted(scored: Path, night: pd.DataFrame) -> None:
    out = pq.read_table(scored)
    assert out.num_rows == len(night)
    report = json.loads((scored / "_report.json").read_text())
    assert report["unseen"] == {"self": 2, "ccs": 1}
    assert out["deepshap.converged"].to_pylist() == [True] * len(night)
    names = [name for name in out.column_names if name.startswith("deepshap.attribution.")]
    assert [name.removeprefix("deepshap.attribution.") for name in names] == [c for c in night if c != TARGET]


def test_the_run_is_audited_shown_and_reported(scored: Path, whyport: Whyport, tmp_path: Path) -> None:
    assert "attributions of" in whyport("audit", scored).output
    shown = whyport("show", scored, "--row", "3").output
    assert "perhaps" in shown
    whyport("report", scored, "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for word in ("comdominiom", "unseen", "calibration", "Average precision"):
        assert word.lower() in page.lower(), word


@pytest.mark.parametrize(("most", "code"), [("1%", 0), ("0.1%", 3)])
def test_an_alarm_tells_of_many_new_values(
    bundle: Path, scored: Path, whyport: Whyport, tmp_path: Path, most: str, code: int
) -> None:
    run = ["run", bundle, bundle.parent / "night.parquet", "--out", tmp_path / "out", "--max-unseen", most]
    assert whyport(*run, exit_code=code).exit_code == code


def test_a_changed_type_a_new_category_and_a_missing_column_end_as_documented(
    bundle: Path, night: pd.DataFrame, whyport: Whyport, tmp_path: Path
) -> None:
    def ending(changed: pd.DataFrame, code: int) -> str:
        source, out = tmp_path / "changed.parquet", tmp_path / "out"
        changed.to_parquet(source, index=False)
        return whyport("run", bundle, source, "--out", out, "--overwrite", exit_code=code).output

    assert "single" in ending(night.assign(single=1), 0)
    report = json.loads((tmp_path / "out" / "_report.json").read_text())
    assert report["unseen"]["single"] == len(night)
    assert "dir" in ending(night.assign(dir=night["dir"].astype(str)), 1)
    assert "missing feature columns: single" in ending(night.drop(columns="single"), 1)
    ending(night.assign(black="a new one"), 0)
    report = json.loads((tmp_path / "out" / "_report.json").read_text())
    assert report["unseen"]["black"] == len(night)


def test_node_gives_the_same(bundle: Path, night: pd.DataFrame, tmp_path: Path) -> None:
    rows = night[:60]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    done = node("score", bundle, tmp_path / "rows.csv", "--out", tmp_path / "scored.csv")
    assert done.returncode == 0, done.stderr
    got = pd.read_csv(tmp_path / "scored.csv")
    session = Session(bundle, "cpu")
    expected = session.predict(rows)["probabilities"]
    np.testing.assert_allclose(got[["probability.no", "probability.yes"]], expected, atol=1e-5)
    explained = session.explain(rows)
    names = [f"attribution.{name}" for name in Bundle.read(bundle).sidecar.column_names]
    np.testing.assert_allclose(got[names], explained.values, atol=1e-5)
