"""One logit a row, from PyTorch and from ONNX: a binary classifier whose score is that logit, against float64 sums."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from onnx import parser

from support import example_networks as networks
from support.command import Whyport
from support.reference import exact_shapley
from whyport import Bundle, Session, export
from whyport.runtime.errors import ExportError, UsageError

NAMES = ["a", "b", "c", "d"]
ROWS = np.random.default_rng(6).normal(size=(30, 4)).astype(np.float32)


def logit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """The logit of `networks.one_logit` in float64, [N]."""
    first, _, last, *_ = networks.one_logit()
    weights = [part.detach().double().numpy() for part in (first.weight, first.bias, last.weight, last.bias)]
    hidden = np.tanh(rows.astype(np.float64) @ weights[0].T + weights[1])
    return (hidden @ weights[2].T + weights[3])[:, 0]


def both(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """The logits of both classes, [N, 2]."""
    return np.stack([-logit(rows), logit(rows)], axis=1)


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-values))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one") / "sample.parquet"
    pd.DataFrame(ROWS, columns=NAMES).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def bundle(sample: Path, whyport: Whyport) -> Path:
    """A module that ends in a sigmoid, which is cut off."""
    out = sample.with_name("bundle")
    printed = whyport(
        "export", "support.example_networks:one_logit", "--sample", sample, "--out", out, "--classes", "no,yes",
        "--background", 6, "--explain-references", 2,
    )  # fmt: skip
    assert "parity" in printed.output
    return out


def references(bundle: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = pq.read_table(bundle / "background.parquet")
    return np.stack(table["features"].to_numpy()).astype(np.float64), table["weight"].to_numpy()


def check_outputs(outputs: dict[str, NDArray[np.float32]]) -> None:
    np.testing.assert_allclose(outputs["logits"], both(ROWS), atol=1e-5)
    chance = sigmoid(logit(ROWS))
    np.testing.assert_allclose(outputs["probabilities"], np.stack([1 - chance, chance], axis=1), atol=1e-6)


def test_the_score_is_the_logit_and_minus_it(bundle: Path, sample: Path, whyport: Whyport) -> None:
    sidecar = Bundle.read(bundle).sidecar
    assert (sidecar.score.task, sidecar.score.kind, sidecar.targets) == ("classification", "logit", ("no", "yes"))
    check_outputs(Session(bundle, "cpu").predict(ROWS))
    methods = [word for name in ("deepshap", "shapley", "gradient") for word in ("--explain", name)]
    out = sample.with_name("scored")
    whyport("run", bundle, sample, "--out", out, "--explain-target", "all", *methods)
    table, (background, weights) = pd.read_parquet(out), references(bundle)
    np.testing.assert_allclose(table["probability.yes"], sigmoid(logit(ROWS)), atol=1e-6)
    assert table["prediction"].tolist() == ["yes" if value > 0 else "no" for value in logit(ROWS)]
    for i in range(0, len(ROWS), 10):
        exact = exact_shapley(both, ROWS[i].astype(np.float64), background, weights)
        for k, name in enumerate(("no", "yes")):
            got = table.loc[i, [f"shapley.attribution.{name}.{feature}" for feature in NAMES]].to_numpy(np.float64)
            np.testing.assert_allclose(got, exact[:, k], atol=1e-5)
            sums = table.loc[i, [f"deepshap.attribution.{name}.{feature}" for feature in NAMES]].sum()
            np.testing.assert_allclose(sums, exact[:, k].sum(), atol=1e-5)
    for method in ("deepshap", "shapley", "gradient"):
        no, yes = (table[[f"{method}.attribution.{name}.{feature}" for feature in NAMES]] for name in ("no", "yes"))
        np.testing.assert_allclose(no, -yes.to_numpy(), atol=1e-6)
    assert "attributions of" in whyport("audit", out).output


def test_the_portable_graph_says_the_same(bundle: Path) -> None:
    whole = Session(bundle, "cpu")
    yes, no = whole.explain(ROWS, "yes"), whole.explain(ROWS, "no")
    np.testing.assert_allclose(yes.output, logit(ROWS), atol=1e-5)
    np.testing.assert_allclose(no.values, -yes.values, atol=1e-6)
    assert whole.explain(ROWS).target.tolist() == (logit(ROWS) > 0).astype(int).tolist()


def onnx_model(*last: str, outputs: str = "float[N, 1] y") -> onnx.ModelProto:
    """The same network in ONNX, up to its logit `z` [N, 1], with these last steps."""
    first, _, second, *_ = networks.one_logit()
    model = parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 4] x) => ({outputs}) {{
            h = Gemm<transB = 1>(x, w0, b0) t = Tanh(h) z = Gemm<transB = 1>(t, w1, b1) {" ".join(last)} }}"""
    )
    constants = {"w0": first.weight, "b0": first.bias, "w1": second.weight, "b1": second.bias, "one": [1]}
    for name, value in constants.items():
        array = np.array(value) if isinstance(value, list) else value.detach().numpy()
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return model


@pytest.mark.parametrize(
    ("last", "outputs", "output"),
    [
        (("y = Identity(z)",), "float[N, 1] y", None),
        (("y = Sigmoid(z)",), "float[N, 1] y", None),
        (("s = Sigmoid(z)", "y = Squeeze(s, one)"), "float[N] y", None),
        (("y = Squeeze(z, one)", "h2 = Abs(h)"), "float[N] y, float[N, 5] h2", "y"),
        (("probabilities = Sigmoid(z)", "y = Identity(z)"), "float[N, 1] probabilities, float[N, 1] y", "y"),
    ],
)
def test_an_onnx_file(
    last: tuple[str, ...], outputs: str, output: str | None, sample: Path, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    onnx.save(onnx_model(*last, outputs=outputs), tmp_path / "m.onnx")
    with caplog.at_level(logging.INFO):
        bundle = export(tmp_path / "m.onnx", sample, tmp_path / "bundle", classes=("no", "yes"), output=output)
    check_outputs(Session(bundle, "cpu").predict(ROWS))
    cut = any("Sigmoid" in step for step in last) and output is None
    assert ("a sigmoid, is cut off" in caplog.text) is cut


def test_an_output_of_onnx_that_is_not_there(sample: Path, tmp_path: Path) -> None:
    onnx.save(onnx_model("y = Identity(z)", "q = Abs(z)", outputs="float[N, 1] y, float[N, 1] q"), tmp_path / "m.onnx")
    with pytest.raises(UsageError, match="--output: unknown float32 output 'x'.*'y', 'q'"):
        export(tmp_path / "m.onnx", sample, tmp_path / "bundle", output="x")
    with pytest.raises(ExportError, match="just one float32 output.*--output NAME says which holds the logits"):
        export(tmp_path / "m.onnx", sample, tmp_path / "bundle")


def test_an_onnx_file_of_quantities(sample: Path, tmp_path: Path) -> None:
    onnx.save(onnx_model("y = Identity(z)", "q = Abs(z)", outputs="float[N, 1] y, float[N, 1] q"), tmp_path / "m.onnx")
    bundle = export(tmp_path / "m.onnx", sample, tmp_path / "bundle", task="regression", output="q")
    np.testing.assert_allclose(Session(bundle, "cpu").predict(ROWS)["value"][:, 0], np.abs(logit(ROWS)), atol=1e-5)
    assert bundle.sidecar.targets == ("value",)


@pytest.mark.parametrize("kind", ["pytorch", "onnx"])
def test_one_probability_is_taken_as_such(kind: str, sample: Path, tmp_path: Path) -> None:
    onnx.save(onnx_model("y = Sigmoid(z)"), tmp_path / "m.onnx")
    source = "support.example_networks:one_logit" if kind == "pytorch" else tmp_path / "m.onnx"
    bundle = export(source, sample, tmp_path / "bundle", from_probabilities=True, explain_references=0)
    chance = sigmoid(logit(ROWS))
    got = Session(bundle, "cpu").predict(ROWS)
    np.testing.assert_allclose(got["probabilities"], np.stack([1 - chance, chance], axis=1), atol=1e-6)
    assert bundle.sidecar.targets == ("class 0", "class 1")


@pytest.mark.parametrize("kind", ["pytorch", "onnx"])
def test_a_sigmoid_that_cannot_be_cut_off_is_said(kind: str, sample: Path, tmp_path: Path) -> None:
    """It goes through a step that is more than a move."""
    onnx.save(onnx_model("s = Sigmoid(z)", "y = Clip(s)"), tmp_path / "m.onnx")
    source = "support.example_networks:HiddenSigmoid" if kind == "pytorch" else tmp_path / "m.onnx"
    with pytest.raises(ExportError, match=r"as a sigmoid gives them, and the sigmoid is no last step .*--from-prob"):
        export(source, sample, tmp_path / "bundle")


def test_two_names_are_expected(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="expected a logit for each of the 3 classes, got 2 a row"):
        export("support.example_networks:one_logit", sample, tmp_path / "bundle", classes=("a", "b", "c"))
