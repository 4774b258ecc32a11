"""Probabilities as the scores: everything that is said of a score is then in probability, against float64 sums."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from support import example_networks as networks
from support.command import Whyport
from support.programs import node
from support.reference import exact_shapley
from whyport import Bundle, Session, export, to_shap

NAMES = ["a", "b", "c", "d"]
ROWS = np.random.default_rng(3).normal(size=(30, 4)).astype(np.float32)
SUMS = ("deepshap", "expected-gradients", "shapley")
"""Methods whose attributions sum to p - E[p]."""

Oracle = Callable[[NDArray[np.floating]], NDArray[np.float64]]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_head(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """`networks.softmax_head` in float64."""
    first, _, last, _ = networks.softmax_head()
    weights = [part.detach().double().numpy() for part in (first.weight, first.bias, last.weight, last.bias)]
    hidden = np.tanh(rows.astype(np.float64) @ weights[0].T + weights[1])
    return softmax(hidden @ weights[2].T + weights[3])


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.parquet"
    pd.DataFrame(ROWS, columns=NAMES).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def bundle(sample: Path, whyport: Whyport) -> Path:
    """A module that ends in a softmax, against six references, two of them in explain.onnx."""
    out = sample.with_name("bundle")
    whyport(
        "export", "support.example_networks:softmax_head", "--sample", sample, "--out", out, "--from-probabilities",
        "--background", 6, "--explain-references", 2,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def scored(bundle: Path, sample: Path, whyport: Whyport) -> Path:
    methods = [word for name in (*SUMS, "gradient") for word in ("--explain", name)]
    out = sample.with_name("scored")
    printed = whyport("run", bundle, sample, "--out", out, "--explain-class", "all", *methods).output
    assert "deepshap: worst completeness error" in printed
    assert " probability, 99 % within" in printed
    return out


def references(bundle: Path, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = pq.read_table(bundle / name)
    return np.stack(table["features"].to_numpy()).astype(np.float64), table["weight"].to_numpy()


def matrix(table: pd.DataFrame, prefix: str) -> NDArray[np.float64]:
    return table[[prefix + name for name in NAMES]].to_numpy(np.float64)


def test_the_graph_has_no_second_softmax(bundle: Path) -> None:
    read = Bundle.read(bundle)
    assert (read.sidecar.score.kind, read.sidecar.format_version) == ("probability", 3)
    model = onnx.load(bundle / "model.onnx")
    assert [node.op_type for node in model.graph.node].count("Softmax") == 1
    assert [output.name for output in model.graph.output] == ["probabilities"]
    outputs = Session(read, "cpu").predict(ROWS)
    np.testing.assert_allclose(outputs["probabilities"], softmax_head(ROWS), atol=1e-6)
    assert list(outputs) == ["probabilities"]


@pytest.mark.parametrize("method", SUMS)
def test_attributions_sum_to_p_less_its_mean(method: str, bundle: Path, scored: Path) -> None:
    table, (background, weights) = pd.read_parquet(scored), references(bundle, "background.parquet")
    expected, base = softmax_head(ROWS), weights @ softmax_head(background)
    for k in range(networks.CLASSES):
        name = f"class {k}"
        np.testing.assert_allclose(table[f"probability.{name}"], expected[:, k], atol=1e-6)
        np.testing.assert_allclose(table[f"score.{name}"], expected[:, k], atol=1e-6)
        np.testing.assert_allclose(table[f"{method}.base_value.{name}"], base[k], atol=1e-6)
        missing = table[f"{method}.completeness_error.{name}"].to_numpy()
        shares = matrix(table, f"{method}.attribution.{name}.")
        np.testing.assert_allclose(np.abs(shares.sum(axis=1) - (expected[:, k] - base[k])), missing, atol=1e-6)
        assert (missing < (2e-3 if method == "expected-gradients" else 1e-6)).all()


def test_shapley_is_exact_and_deepshap_has_its_sums(bundle: Path, scored: Path) -> None:
    table, (background, weights) = pd.read_parquet(scored), references(bundle, "background.parquet")
    for i in range(0, len(ROWS), 7):
        exact = exact_shapley(softmax_head, ROWS[i].astype(np.float64), background, weights)
        for k in range(networks.CLASSES):
            got = matrix(table[i : i + 1], f"shapley.attribution.class {k}.")[0]
            np.testing.assert_allclose(got, exact[:, k], atol=1e-6)
            sums = matrix(table[i : i + 1], f"deepshap.attribution.class {k}.").sum()
            np.testing.assert_allclose(sums, exact[:, k].sum(), atol=1e-6)


def test_gradients_are_of_the_probability(scored: Path) -> None:
    table, step = pd.read_parquet(scored), 1e-5
    for j, name in enumerate(NAMES):
        moved = np.eye(4)[j] * step
        slope = (softmax_head(ROWS + moved) - softmax_head(ROWS - moved)) / (2 * step)
        got = np.stack([table[f"gradient.attribution.class {k}.{name}"] for k in range(networks.CLASSES)], axis=1)
        np.testing.assert_allclose(got, slope, atol=1e-5)


@pytest.fixture(scope="module")
def portable(bundle: Path, sample: Path, whyport: Whyport) -> Path:
    """Each row's predicted class, by explain.onnx."""
    out = sample.with_name("portable")
    whyport("run", bundle, sample, "--out", out, "--engine", "onnx", "--explain", "deepshap")
    return out


def test_the_portable_graph_says_the_same(bundle: Path, portable: Path) -> None:
    table, (summary, weights) = pd.read_parquet(portable), references(bundle, "summary.parquet")
    expected = softmax_head(ROWS)
    first = expected.argmax(axis=1)
    base = (weights @ softmax_head(summary))[first]
    np.testing.assert_allclose(table["score"], expected.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(table["base_value"], base, atol=1e-6)
    sums = matrix(table, "attribution.").sum(axis=1)
    np.testing.assert_allclose(sums, expected.max(axis=1) - base, atol=1e-5)
    explained = Session(bundle, "cpu").explain(ROWS)
    np.testing.assert_array_equal(explained.target, first)
    np.testing.assert_allclose(explained.output, expected.max(axis=1), atol=1e-6)


def test_the_unit_is_named_wherever_a_score_is(portable: Path, whyport: Whyport) -> None:
    shown = whyport("show", portable, "--row", 3).output
    assert f"score {softmax_head(ROWS)[3].max():+.4f}"[:-1] in shown
    assert " probability, converged)" in shown
    assert "attributions of" in whyport("audit", portable).output
    page = portable.with_name("page.html")
    whyport("report", portable, "--out", page)
    text = page.read_text(encoding="utf-8")
    assert "(probability)" in text
    assert "logit" not in text.lower()


def test_shap_sees_probabilities(bundle: Path, scored: Path) -> None:
    background, weights = references(bundle, "background.parquet")
    explanation = to_shap(scored)["deepshap", "class 1"]
    np.testing.assert_allclose(explanation.base_values, (weights @ softmax_head(background))[1], atol=1e-6)
    sums = explanation.values.sum(axis=1) + explanation.base_values
    np.testing.assert_allclose(sums, softmax_head(ROWS)[:, 1], atol=1e-6)


def test_node_reads_probabilities(bundle: Path, sample: Path) -> None:
    table, scored = sample.with_suffix(".csv"), sample.with_name("by_node.csv")
    pd.DataFrame(ROWS, columns=NAMES).to_csv(table, index=False)
    verified = node("verify", bundle)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert node("score", bundle, table, "--out", scored).returncode == 0
    got, expected = pd.read_csv(scored), softmax_head(ROWS)
    np.testing.assert_allclose(got["score"], expected.max(axis=1), atol=1e-6)
    sums = got["base_value"] + matrix(got, "attribution.").sum(axis=1)
    np.testing.assert_allclose(sums, expected.max(axis=1), atol=1e-5)


METHODS = ("deepshap", "integrated-gradients", "expected-gradients", "shapley", "occlusion", "input-x-gradient")


def test_a_linear_probability_has_a_closed_form(sample: Path, whyport: Whyport) -> None:
    """p = 1/2 ± w x: every share is w (x - E x), or w x where a method measures against 0."""
    folder = sample.parent
    export(
        "support.example_networks:LinearProbability", sample, folder / "linear", from_probabilities=True,
        background=6, explain_references=0,
    )  # fmt: skip
    methods = [word for name in METHODS for word in ("--explain", name)]
    whyport("run", folder / "linear", sample, "--out", folder / "lines", "--explain-class", "class 1", *methods)
    table = pd.read_parquet(folder / "lines")
    background, weights = references(folder / "linear", "background.parquet")
    for name in METHODS:
        centre = 0 if name == "input-x-gradient" else weights @ background
        expected = networks.SLOPES * (ROWS - centre)
        np.testing.assert_allclose(matrix(table, f"{name}.attribution."), expected, atol=1e-6)
        assert (table[f"{name}.completeness_error"] < 1e-6).all()


@pytest.mark.parametrize(
    "names", [("label", "probabilities"), ("output_label", "logits"), ("probabilities", "features")]
)
def test_an_onnx_file_as_converters_write_it(names: tuple[str, str], sample: Path, whyport: Whyport) -> None:
    """Labels and probabilities, of the domain ai.onnx.ml, under any names."""
    label, output = names
    coefficients = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    classifier = helper.make_node(
        "LinearClassifier", ["X"], [label, output], domain="ai.onnx.ml", coefficients=coefficients.ravel().tolist(),
        intercepts=[0.5, 0.0, -0.5], classlabels_ints=[0, 1, 2], post_transform="SOFTMAX",
    )  # fmt: skip
    graph = helper.make_graph(
        [classifier],
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 4])],
        [
            helper.make_tensor_value_info(label, TensorProto.INT64, [None]),
            helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, 3]),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    folder = sample.with_name(output)
    folder.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "forest.onnx")
    plain = export(folder / "forest.onnx", sample, folder / "plain", background=6, explain_references=0)
    logits = ROWS @ coefficients.T.astype(np.float64) + [0.5, 0.0, -0.5]
    np.testing.assert_allclose(Session(plain, "cpu").predict(ROWS)["logits"], logits, atol=1e-5)
    bundle = export(folder / "forest.onnx", sample, folder / "bundle", from_probabilities=True, background=6)
    whyport("run", folder / "bundle", sample, "--out", folder / "out", "--explain", "shapley")
    table, (background, weights) = pd.read_parquet(folder / "out"), references(bundle.path, "background.parquet")

    def oracle(rows: NDArray[np.floating]) -> NDArray[np.float64]:
        return softmax(rows @ coefficients.T.astype(np.float64) + [0.5, 0.0, -0.5])

    expected = oracle(ROWS)
    exact = exact_shapley(oracle, ROWS[2].astype(np.float64), background, weights)[:, expected[2].argmax()]
    np.testing.assert_allclose(matrix(table[2:3], "attribution.")[0], exact, atol=1e-6)
    np.testing.assert_allclose(table["score"], expected.max(axis=1), atol=1e-6)


@pytest.mark.parametrize("factory", ["softmax_head", "SoftmaxConvolution"])
def test_a_module_that_ends_in_a_softmax_is_refused(factory: str, sample: Path, whyport: Whyport) -> None:
    """By forward alone, and by way of feature maps."""
    out = sample.with_name("refused")
    source = f"support.example_networks:{factory}"
    printed = whyport("export", source, "--sample", sample, "--out", out, exit_code=1).output
    assert "the output taken as logits holds probabilities: its rows sum to 1; leave the last layer out" in printed
    assert "--from-probabilities" in printed
    assert not out.exists()
