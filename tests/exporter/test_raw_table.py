"""A raw table through the whole: trained, predicted, scored where the night brings surprises, and audited."""

import datetime as dt
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from support.command import Whyport
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.session import Session

ROWS = 300


def raw(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "age": rng.integers(18, 80, ROWS) * rng.choice([1.0, np.nan], ROWS, p=[0.9, 0.1]),
            "region": rng.choice(["north", "south", "west", None], ROWS, p=[0.5, 0.3, 0.1, 0.1]),
            "member": rng.choice([True, False], ROWS),
            "grade": rng.integers(1, 5, ROWS),
            "since": [dt.date(2020, 1, 1) + dt.timedelta(days=int(day)) for day in rng.integers(0, 900, ROWS)],
        }
    )
    chances = 1 / (1 + np.exp(-(frame["region"].eq("north") * 2.0 + frame["member"] * 1.0 - 1.5)))
    return frame.assign(answer=np.where(rng.random(ROWS) < chances, "yes", "no"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, whyport: Whyport) -> Bundle:
    folder = tmp_path_factory.mktemp("raw")
    raw().to_csv(folder / "table.csv", index=False)
    whyport(
        "train", folder / "table.csv", "--target", "answer", "--exclude", "id", "--categorical", "grade",
        "--dates", "since", "--rare", "15%", "--architecture", "mlp", "--epochs", 2, "--device", "cpu",
        "--out", folder / "bundle",
    )  # fmt: skip
    return Bundle.read(folder / "bundle")


def test_the_bundle_knows_the_columns(trained: Bundle) -> None:
    age, region, member, grade, since = trained.sidecar.columns
    assert (age.kind, age.missing, since.kind, since.missing) == ("number", "impute", "time", "impute")
    known = [each.categories for each in (region, member, grade) if each.categories is not None]
    assert [(each.type, each.values) for each in known] == [
        ("text", ("north", "south")),  # west is rare
        ("boolean", ("false", "true")),
        ("number", ("1", "2", "3", "4")),
    ]
    assert known[0].other > 0
    assert known[0].missing > 0
    assert [spec.name for spec in trained.sidecar.signature.inputs] == list(trained.sidecar.column_names)


def test_csv_parquet_and_frames_score_alike(trained: Bundle, whyport: Whyport, tmp_path: Path) -> None:
    frame = raw(1)
    frame.to_csv(tmp_path / "day.csv", index=False)
    frame.to_parquet(tmp_path / "day.parquet")
    expected = Session(trained, "cpu").predict(frame)["probabilities"][:, 1]
    for name in ("day.csv", "day.parquet"):
        whyport("predict", trained.path, tmp_path / name, "--out", tmp_path / "out.parquet", "--overwrite")
        found = pq.read_table(tmp_path / "out.parquet")["probability.yes"].to_numpy()
        np.testing.assert_array_equal(found, expected)


def test_a_night_with_surprises_is_scored_explained_and_audited(
    trained: Bundle, whyport: Whyport, tmp_path: Path
) -> None:
    frame = raw(2).drop(columns=["id", "answer"]).head(40)
    frame["age"] = frame["age"].fillna(30)
    frame.loc[:9, "region"] = "overseas"
    frame["since"] = ["2021-02-29", *map(str, frame["since"][1:])]
    frame["grade"] = frame["grade"].astype(str)  # another type than in training
    frame.to_parquet(tmp_path / "night.parquet")
    night = ["run", trained.path, tmp_path / "night.parquet", "--explain", "deepshap", "--device", "cpu"]
    whyport(*night, "--out", tmp_path / "out", "--max-unseen", "50%", exit_code=3)
    report = json.loads((tmp_path / "out" / "_report.json").read_text())
    pooled = int(frame["region"].isin(["overseas", "west"]).sum())
    assert (report["rows_out"], report["rows_unseen"]) == (40, 40)
    assert report["unseen"] == {"region": pooled, "since": 1, "grade": 40}
    assert report["methods"]["deepshap"]["not_converged"] == 0
    names = pq.read_schema(next((tmp_path / "out").glob("part-*.parquet"))).names
    assert [name for name in names if name.startswith("attribution.")] == [
        f"attribution.{name}" for name in trained.sidecar.column_names
    ]
    assert re.search(r"40 rows computed again", whyport("audit", tmp_path / "out", "--device", "cpu").output)


def test_what_is_no_feature_is_refused_with_what_to_write(whyport: Whyport, tmp_path: Path) -> None:
    raw().to_parquet(tmp_path / "table.parquet")
    output = whyport(
        "train", tmp_path / "table.parquet", "--target", "answer", "--out", tmp_path / "bundle", exit_code=1
    ).output
    assert "as identifiers are: id (1 of 6); dates: since (1 of 6); leave them out with --exclude 'id, since'" in output
    output = whyport(
        "train", tmp_path / "table.parquet", "--target", "answer", "--out", tmp_path / "bundle", "--dates", "day",
        exit_code=1,
    ).output  # fmt: skip
    assert "--dates: expected feature columns, got day; the features are id, age, region" in output
