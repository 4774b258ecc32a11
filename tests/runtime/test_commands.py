import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.bundles import IMPUTATION, linear_bundle, logits_of, softmax
from support.command import Whyport


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linear_bundle(tmp_path_factory.mktemp("commands") / "bundle")


@pytest.fixture
def frame() -> pd.DataFrame:
    rows = np.random.default_rng(2).normal(size=(5, 3))
    return pd.DataFrame({"id": [f"r{i}" for i in range(5)], "c": rows[:, 2], "a": rows[:, 0], "b": rows[:, 1]})


def test_inspect_names_what_the_bundle_holds(whyport: Whyport, bundle: Path) -> None:
    output = whyport("inspect", bundle).output
    for expected in ("classes     no, yes", "input       features float32 [N, 3]", "unavailable: no convolution"):
        assert expected in output
    assert whyport("inspect", bundle, "--json").output == (bundle / "bundle.json").read_text()


def test_verify_replays_the_test_vectors(whyport: Whyport, bundle: Path) -> None:
    output = whyport("verify", bundle).output
    assert "6 files match their digests" in output
    assert "on CPUExecutionProvider" in output


def test_verify_fails_on_a_changed_file(whyport: Whyport, tmp_path: Path) -> None:
    path = linear_bundle(tmp_path / "bundle")
    (path / "model.onnx").write_bytes(b"")
    assert "has changed" in whyport("verify", path, exit_code=1).output


@pytest.mark.parametrize("source", ["csv", "parquet"])
@pytest.mark.parametrize("target", ["csv", "parquet", "stdout"])
def test_predict_reads_and_writes_small_tables(
    whyport: Whyport, bundle: Path, frame: pd.DataFrame, tmp_path: Path, source: str, target: str
) -> None:
    frame.loc[3, "b"] = np.nan
    data, out = tmp_path / f"data.{source}", tmp_path / f"out.{target}"
    frame.to_csv(data, index=False) if source == "csv" else frame.to_parquet(data)
    if target == "stdout":
        out = tmp_path / "out.csv"
        out.write_text(whyport("predict", bundle, data, "--keep", "id").stdout)
    else:
        whyport("predict", bundle, data, "--keep", "id", "--out", out)
    got = pd.read_parquet(out) if target == "parquet" else pd.read_csv(out)
    rows = frame[["a", "b", "c"]].fillna({"b": IMPUTATION[1]}).to_numpy()
    expected = softmax(logits_of(rows))
    assert list(got) == ["id", "prediction", "probability.no", "probability.yes", "imputed_count"]
    assert list(got["id"]) == list(frame["id"])
    np.testing.assert_allclose(got[["probability.no", "probability.yes"]], expected, atol=1e-6)
    assert list(got["prediction"]) == [("no", "yes")[i] for i in expected.argmax(axis=1)]
    assert list(got["imputed_count"]) == [0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["data.csv", "--keep", "nowhere"], 1, "missing kept columns: nowhere (1 of 1); "),
        (
            ["data.csv", "--keep", "prediction"],
            1,
            "kept columns that collide with another column of the output: prediction ",
        ),
        (["data.csv", "--out", "out.txt"], 2, "expected a file named *.csv or *.parquet, got 'out.txt'"),
        (["data.txt"], 2, "expected a file named *.csv or *.parquet"),
        (["data.csv", "--out", "data.csv"], 2, "'data.csv' exists; --overwrite replaces it"),
        (["nowhere.csv"], 1, "No such file or directory"),
        (["broken.parquet"], 1, "cannot read 'broken.parquet'"),
        (["strings.csv"], 1, "columns that are not one number a row: b (1 of 3; string); the data has: "),
    ],
)
def test_predict_says_what_is_wrong(
    whyport: Whyport,
    bundle: Path,
    frame: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    exit_code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    frame.assign(prediction=1).to_csv("data.csv", index=False)
    frame.assign(b="x").to_csv("strings.csv", index=False)
    Path("broken.parquet").write_bytes(b"PAR1")
    assert message in whyport("predict", bundle, *arguments, exit_code=exit_code).output


def test_kept_names_with_commas_are_quoted_or_repeated(
    whyport: Whyport, bundle: Path, frame: pd.DataFrame, tmp_path: Path
) -> None:
    data = tmp_path / "data.parquet"
    frame.assign(**{"city, state": range(5)}).to_parquet(data)

    def kept(*options: str) -> list[str]:
        output = whyport("predict", bundle, data, *options).stdout
        return list(pd.read_csv(io.StringIO(output)))[: -len(("prediction", "no", "yes", "imputed_count"))]

    assert kept("--keep", "id,a") == ["id", "a"]
    assert kept("--keep", '"city, state"') == ["city, state"]
    assert kept("--keep", "city, state", "--keep", "id") == ["city, state", "id"]
    assert (
        "missing kept columns: city, state (2 of 2); "
        in whyport("predict", bundle, data, "--keep", "city, state", exit_code=1).output
    )


def test_predict_leaves_a_row_without_finite_outputs_empty(whyport: Whyport, tmp_path: Path) -> None:
    bundle, data, out = linear_bundle(tmp_path / "bundle", bounded=True), tmp_path / "rows.csv", tmp_path / "out.csv"
    data.write_text("a,b,c\n1,1,0\n4,2,0\n")
    printed = whyport("predict", bundle, data, exit_code=3).stdout.splitlines()
    assert printed[2].replace('"', "") == ",,,0"
    whyport("predict", bundle, data, "--out", out, exit_code=3)
    assert pd.read_csv(out)["prediction"].isna().tolist() == [False, True]
    failed = whyport("predict", bundle, data, "--out", tmp_path / "none.csv", "--on-bad-row", "fail", exit_code=1)
    assert "error: output 'logits': expected finite numbers, got NaN, in 1 of 2 rows: 1, in " in failed.output
    assert not (tmp_path / "none.csv").exists()
