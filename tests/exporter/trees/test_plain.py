"""Plain ONNX files with trees become bundles: what they score, what is explained, and what they keep."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper

from tests.support.tree_graphs import ML, Node, classifier, draw_rows, draw_trees, make_model, regressor, sums
from whyport.exporter.bundle.target import Target
from whyport.exporter.export import export_bundle
from whyport.exporter.source import ModelSource
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.errors import ExportError, UsageError
from whyport.runtime.session import Session

ROWS = np.random.default_rng(5).normal(size=(40, 4)).astype(np.float32)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "rows.csv"
    pd.DataFrame(draw_rows(3, 120), columns=list("abcd")).fillna(0.5).to_csv(path, index=False)
    return path


def export(model: onnx.ModelProto, sample: Path, folder: Path, **options: Any) -> Bundle:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return export_bundle(ModelSource(str(path), sample, **options), Target(folder / "bundle"))


def votes(scores: int, seed: int = 1, positive: float = 0.2) -> list[Node]:
    """Five trees whose leaves share 0.2."""
    trees = draw_trees(seed, scores=scores)
    for node in [node for tree in trees for node in tree.nodes() if node.weights]:
        shares = np.abs(node.weights)
        node.weights = tuple((positive * shares / shares.sum()).tolist())
    return trees


def with_zip_map(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as scikit-learn's converter gives it by default."""
    labels = helper.make_node("ZipMap", ["y"], ["output_probability"], domain=ML, classlabels_int64s=[0, 1])
    model.graph.node.append(labels)
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    del model.graph.output[:]
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["N"])
    model.graph.output.extend([label, helper.make_value_info("output_probability", maps)])
    return model


def with_old_sets(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as CatBoost writes it: no default operator set, IR version 3."""
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid(ML, 1)])
    model.ir_version = 3
    return model


def test_a_margin_of_two_classes(tmp_path: Path, sample: Path) -> None:
    model = with_old_sets(make_model([classifier(draw_trees(2), 2, post_transform="LOGISTIC")]))
    bundle = export(model, sample, tmp_path, classes=("no", "yes"))
    margin = sums(draw_trees(2), ROWS)[:, 0]
    got = Session(bundle, "cpu").predict(ROWS)
    np.testing.assert_allclose(got["margin"], np.stack([-margin, margin], axis=1), atol=1e-6)
    np.testing.assert_allclose(got["probabilities"][:, 1], 1 / (1 + np.exp(-margin)), atol=1e-6)
    assert (bundle.sidecar.score.kind, bundle.sidecar.targets) == ("margin", ("no", "yes"))
    trees = Trees.read(bundle.read_bytes("trees.npz"))
    np.testing.assert_allclose(trees.scores(ROWS), np.stack([-margin, margin], axis=1), atol=1e-12)
    assert (len(trees.roots), trees.value.shape[1]) == (5, 1)
    capabilities = bundle.sidecar.capabilities
    assert capabilities["treeshap"].available
    for name in ("gradients", "deepshap", "grad-cam", "gradient-onnx"):
        assert "jump at thresholds and are constant between them; treeshap" in capabilities[name].reason


@pytest.mark.parametrize("post", ["SOFTMAX", "NONE"])
def test_margins_of_three_classes(post: str, tmp_path: Path, sample: Path) -> None:
    """The softmax is in the trees' operator, or behind it."""
    nodes = [classifier(draw_trees(3, scores=3), 3, post_transform=post)]
    if post == "NONE":
        nodes.append(helper.make_node("Softmax", ["y"], ["probabilities"], axis=1))
    bundle = export(make_model(nodes, nodes[-1].output[-1]), sample, tmp_path)
    got = Session(bundle, "cpu").predict(ROWS)
    np.testing.assert_allclose(got["margin"], sums(draw_trees(3, scores=3), ROWS), atol=1e-6)
    np.testing.assert_allclose(got["probabilities"].sum(axis=1), 1, atol=1e-6)
    assert bundle.sidecar.capabilities["treeshap"].available


@pytest.mark.parametrize("classes", [2, 3])
def test_a_forest_keeps_its_file_and_its_probabilities(classes: int, tmp_path: Path, sample: Path) -> None:
    model = make_model([classifier(votes(classes), classes)], "y", opset=9, ml=1)
    model.graph.output.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]))
    bundle = export(model, sample, tmp_path)
    assert bundle.sidecar.score.kind == "probability"
    np.testing.assert_allclose(
        Session(bundle, "cpu").predict(ROWS)["probabilities"], sums(votes(classes), ROWS), atol=1e-6
    )
    trees = Trees.read(bundle.read_bytes("trees.npz"))
    assert trees.value.shape[1] == (1 if classes == 2 else 3)
    assert [node.op_type for node in onnx.load(bundle.path / "model.onnx").graph.node] == ["TreeEnsembleClassifier"]


def test_one_vote_of_two_classes_in_a_map(tmp_path: Path, sample: Path) -> None:
    """One raw score beside two probabilities, no leaf negative, and a ZipMap behind it."""
    trees = votes(2)
    for node in [node for tree in trees for node in tree.nodes() if node.weights]:
        node.weights = node.weights[1:]
    bundle = export(with_zip_map(make_model([classifier(trees, 2)])), sample, tmp_path)
    assert bundle.sidecar.score.kind == "probability"
    chance = sums(trees, ROWS)[:, 0]
    expected = np.stack([1 - chance, chance], axis=1)
    np.testing.assert_allclose(Session(bundle, "cpu").predict(ROWS)["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(Trees.read(bundle.read_bytes("trees.npz")).scores(ROWS), expected, atol=1e-7)


@pytest.mark.parametrize("name", ["probabilities", "logits", "features", "margin"])
def test_outputs_of_a_bundles_names(name: str, tmp_path: Path, sample: Path) -> None:
    node = classifier(draw_trees(4), 2, post_transform="LOGISTIC")
    node.output[1] = name
    bundle = export(make_model([node], name), sample, tmp_path)
    margin = sums(draw_trees(4), ROWS)[:, 0]
    np.testing.assert_allclose(Session(bundle, "cpu").predict(ROWS)["margin"][:, 1], margin, atol=1e-6)


def test_a_regression(tmp_path: Path, sample: Path) -> None:
    model = make_model([regressor(draw_trees(5), base_values=[2.0])])
    bundle = export(model, sample, tmp_path, targets=("length",), units={"length": "cm"})
    value = sums(draw_trees(5), ROWS) + 2
    np.testing.assert_allclose(Session(bundle, "cpu").predict(ROWS)["value"], value, atol=1e-6)
    assert bundle.sidecar.score.kind == "value"
    np.testing.assert_allclose(Trees.read(bundle.read_bytes("trees.npz")).scores(ROWS), value, atol=1e-12)


def test_a_regression_through_an_exponential_predicts_alone(tmp_path: Path, sample: Path) -> None:
    nodes = [regressor(draw_trees(5), "x", "a"), helper.make_node("Exp", ["a"], ["y"])]
    bundle = export(make_model(nodes), sample, tmp_path, task="regression")
    np.testing.assert_allclose(
        Session(bundle, "cpu").predict(ROWS)["value"], np.exp(sums(draw_trees(5), ROWS)), rtol=1e-5
    )
    treeshap = bundle.sidecar.capabilities["treeshap"]
    assert treeshap.reason == "Exp follows the trees, which is not linear in their sum"
    assert "trees.npz" not in bundle.sidecar.files
    assert "jump at thresholds" in bundle.sidecar.capabilities["gradients"].reason


def test_probabilities_instead_of_margins(tmp_path: Path, sample: Path) -> None:
    model = make_model([classifier(draw_trees(2), 2, post_transform="LOGISTIC")])
    bundle = export(model, sample, tmp_path, from_probabilities=True)
    assert bundle.sidecar.score.kind == "probability"
    assert bundle.sidecar.capabilities["treeshap"].reason.startswith("the scores are the sigmoid of the trees' sum")


def test_a_scaler_in_front(tmp_path: Path, sample: Path) -> None:
    scaler = helper.make_node("Scaler", ["x"], ["z"], domain=ML, offset=[0.1, 0, -1, 0.3], scale=[3.0, -2.0, 1, 0.5])
    model = make_model([scaler, regressor(draw_trees(6), "z", "y")])
    bundle = export(model, sample, tmp_path)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    trees = Trees.read(bundle.read_bytes("trees.npz"))
    np.testing.assert_allclose(trees.scores(ROWS), session.run(None, {"x": ROWS})[0], atol=1e-6)


def test_columns_together_in_front_predict_alone(tmp_path: Path, sample: Path) -> None:
    mix = np.ones((4, 4), dtype=np.float32) + np.eye(4, dtype=np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), regressor(draw_trees(6), "z", "y")]
    bundle = export(make_model(nodes, constants={"w": mix}), sample, tmp_path)
    reason = bundle.sidecar.capabilities["treeshap"].reason
    assert reason.startswith("encoded space: ")
    assert all(f"'{name}'" in reason for name in "abcd")


def test_margins_that_cannot_be_read_have_a_way_out(tmp_path: Path, sample: Path) -> None:
    mix = np.ones((4, 4), dtype=np.float32) + np.eye(4, dtype=np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        classifier(draw_trees(2), 2, "z", post_transform="LOGISTIC"),
    ]
    model = make_model(nodes, constants={"w": mix})
    with pytest.raises(ExportError, match="encoded space.*--from-probabilities takes the probability itself"):
        export(model, sample, tmp_path)
    assert export(model, sample, tmp_path, from_probabilities=True).sidecar.score.kind == "probability"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"classlabels_int64s": [0, 1]}, ("class 0", "class 1")),
        ({"classlabels_int64s": [3, 7]}, ("3", "7")),
        ({"classlabels_strings": ["red", "blue"]}, ("red", "blue")),
    ],
)
def test_classes_that_the_file_names(
    labels: dict[str, Any], expected: tuple[str, ...], tmp_path: Path, sample: Path
) -> None:
    node = classifier(draw_trees(2), 2, post_transform="LOGISTIC")
    node.attribute.remove(next(each for each in node.attribute if each.name == "classlabels_int64s"))
    node.attribute.extend(helper.make_attribute(name, value) for name, value in labels.items())
    assert export(make_model([node]), sample, tmp_path).sidecar.targets == expected


@pytest.mark.parametrize("known", [True, False])
def test_missing_numbers_where_the_trees_know_them(known: bool, tmp_path: Path, sample: Path) -> None:
    trees = draw_trees(7)
    for node in [node for tree in trees for node in tree.nodes()]:
        node.missing_yes &= known
    bundle = export(make_model([regressor(trees)]), sample, tmp_path)
    assert {column.missing for column in bundle.sidecar.columns} == ({"model"} if known else {"refuse"})


def test_what_the_user_says_goes_before(tmp_path: Path, sample: Path) -> None:
    """Raw sums without a link: a regression, unless classes are named; then one logit."""
    model = make_model([regressor(draw_trees(8))])
    bundle = export(model, sample, tmp_path, classes=("no", "yes"))
    margin = sums(draw_trees(8), ROWS)
    assert bundle.sidecar.score.kind == "logit"
    np.testing.assert_allclose(Session(bundle, "cpu").predict(ROWS)["logits"], np.hstack([-margin, margin]), atol=1e-6)
    trees = Trees.read(bundle.read_bytes("trees.npz"))
    np.testing.assert_allclose(trees.scores(ROWS), np.hstack([-margin, margin]), atol=1e-12)


def test_a_task_that_disagrees(tmp_path: Path, sample: Path) -> None:
    model = make_model([classifier(draw_trees(2), 2, post_transform="LOGISTIC")])
    with pytest.raises(UsageError, match="--targets"):
        export(model, sample, tmp_path, targets=("length",))
