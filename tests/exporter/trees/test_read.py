"""Trees that are read from ONNX graphs say what a walk through each tree says, and what ONNX Runtime says."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tests.support.tree_graphs import (
    COMPARES,
    ML,
    Node,
    classifier,
    draw_rows,
    draw_trees,
    make_model,
    numbered_ensemble,
    regressor,
    sums,
)
from whyport.exporter.trees.links import apply_link
from whyport.exporter.trees.read import TreeSum, read_trees
from whyport.runtime.errors import ExportError
from whyport.runtime.task import ClassificationByMargin, ProbabilityClassification, Regression

ROWS = draw_rows(1)
TYPICAL = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)


def run(model: onnx.ModelProto, rows: NDArray[np.float32] = ROWS) -> NDArray[np.float32]:
    """The last output, [N, K]."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made = session.run(None, {"x": rows})[-1]
    return np.asarray(made).reshape(len(rows), -1)


def check(model: onnx.ModelProto, rows: NDArray[np.float32] = ROWS) -> TreeSum:
    """The trees of the output, which say what ONNX Runtime says."""
    found = read_trees(model, model.graph.output[-1].name, TYPICAL)
    np.testing.assert_allclose(apply_link(found.link, found.trees.scores(rows)), run(model, rows), atol=3e-6)
    trees = found.trees
    type(trees).read(trees.write())  # everything is checked there
    inner = trees.left >= 0
    np.testing.assert_array_equal(trees.left[inner], np.flatnonzero(inner) + 1)  # preorder
    return found


@pytest.mark.parametrize("modes", [[mode] for mode in COMPARES] + [list(COMPARES)], ids="-".join)
def test_every_way_to_compare(modes: list[str]) -> None:
    trees = draw_trees(3, modes=modes)
    found = check(make_model([regressor(trees)]))
    np.testing.assert_allclose(found.trees.scores(ROWS), sums(trees, ROWS), atol=1e-12)


@pytest.mark.parametrize(("dtype", "aggregate"), [(np.float32, 1), (np.float32, 0)])
def test_trees_of_the_newest_operator(dtype: Any, aggregate: int) -> None:
    trees = [tree for tree in draw_trees(4, count=12, modes=list(COMPARES)) if tree.yes is not None]
    found = check(make_model([numbered_ensemble(trees, aggregate, dtype)], ml=5, opset=21))
    share = 1.0 if aggregate else 1 / len(trees)
    np.testing.assert_allclose(found.trees.scores(ROWS), share * sums(trees, ROWS), atol=1e-12)


def test_average_and_base_values() -> None:
    trees = draw_trees(5, scores=3)
    found = check(make_model([regressor(trees, aggregate_function="AVERAGE", base_values=[1.0, 2.0, 3.0])]))
    np.testing.assert_allclose(found.trees.scores(ROWS), sums(trees, ROWS) / 5 + [1, 2, 3], atol=1e-12)


@pytest.mark.parametrize("post", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("base", [(), (0.25, -0.5, 1.0)])
def test_several_classes(post: str, base: tuple[float, ...]) -> None:
    trees = draw_trees(6, scores=3)
    found = check(make_model([classifier(trees, 3, post_transform=post, base_values=base)]))
    np.testing.assert_allclose(found.trees.scores(ROWS), sums(trees, ROWS) + (base or 0.0), atol=1e-12)
    assert found.link == {"NONE": "none", "LOGISTIC": "sigmoid", "SOFTMAX": "softmax"}[post]


@pytest.mark.parametrize("post", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("base", [(), (0.25,)])
@pytest.mark.parametrize("positive", [True, False])
def test_one_raw_score_of_two_classes(post: str, base: tuple[float, ...], positive: bool) -> None:
    trees = draw_trees(7)
    for node in [node for tree in trees for node in tree.nodes() if positive and node.weights]:
        node.weights = (abs(node.weights[0]),)
    found = check(make_model([classifier(trees, 2, post_transform=post, base_values=base)]))
    margin = sums(trees, ROWS)[:, 0] + sum(base)
    assert found.trees.value.shape[1] == 1
    np.testing.assert_allclose(found.trees.scores(ROWS)[:, 1], margin, atol=1e-12)
    assert found.link == ("sigmoid" if post == "LOGISTIC" else "none")


def move_to_class_1(node: NodeProto) -> NodeProto:
    ids = next(attribute for attribute in node.attribute if attribute.name == "class_ids")
    ids.ints[:] = [1] * len(ids.ints)
    return node


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX"])
def test_one_raw_score_of_the_second_class(post: str) -> None:
    trees = draw_trees(8)
    found = check(make_model([move_to_class_1(classifier(trees, 2, post_transform=post))]))
    margin = sums(trees, ROWS)[:, 0]
    first = -margin if post == "SOFTMAX" else 0 * margin
    np.testing.assert_allclose(found.trees.scores(ROWS), np.stack([first, margin], axis=1), atol=1e-12)


def test_votes_of_two_classes_are_one_raw_score() -> None:
    trees = draw_trees(9, scores=2)
    for node in [node for tree in trees for node in tree.nodes() if node.weights]:
        share = np.float32(abs(node.weights[0]) % 0.2)
        node.weights = (float(np.float32(0.2) - share), float(share))
    found = check(make_model([classifier(trees, 2)]))
    assert found.trees.value.shape[1] == 1
    np.testing.assert_allclose(found.trees.weights, [[-1], [1]])
    np.testing.assert_allclose(found.trees.offset, [1, 0], atol=1e-7)


def number(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


LINEAR: dict[str, tuple[list[NodeProto], dict[str, NDArray[Any]]]] = {
    "scaled": (
        [helper.make_node("Mul", ["a", "two"], ["m"]), helper.make_node("Add", ["m", "two"], ["y"])],
        {"two": number(2)},
    ),
    "divided": ([helper.make_node("Div", ["a", "four"], ["y"])], {"four": number(4)}),
    "sum of two forests": ([helper.make_node("Sum", ["a", "b"], ["y"])], {}),
    "difference of two forests": ([helper.make_node("Sub", ["a", "b"], ["y"])], {}),
    "a matrix": (
        [helper.make_node("Concat", ["a", "b"], ["c"], axis=1), helper.make_node("MatMul", ["c", "w"], ["y"])],
        {"w": np.array([[1, 0, 2], [3, 1, 0.5]], dtype=np.float32)},
    ),
    "the other class": (
        [helper.make_node("Sub", ["one", "a"], ["n"]), helper.make_node("Concat", ["n", "a"], ["y"], axis=1)],
        {"one": number(1)},
    ),
    "cast and reshaped": (
        [
            helper.make_node("Cast", ["a"], ["d"], to=TensorProto.DOUBLE),
            helper.make_node("Reshape", ["d", "flat"], ["f"]),
            helper.make_node("Cast", ["f"], ["g"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["g", "last"], ["y"]),
        ],
        {"flat": np.array([-1]), "last": np.array([1])},
    ),
    "a linear model": (
        [
            helper.make_node("Concat", ["a", "b"], ["c"], axis=1),
            helper.make_node("LinearRegressor", ["c"], ["y"], domain=ML, coefficients=[1.0, 0.5], intercepts=[3.0]),
        ],
        {},
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_steps_behind_the_trees(name: str) -> None:
    nodes, constants = LINEAR[name]
    forests = [regressor(draw_trees(10), "x", "a"), regressor(draw_trees(11), "x", "b")]
    found = check(make_model([*forests, *nodes], constants=constants))
    assert found.link == "none"
    assert found.trees.value.shape[1] <= len(found.trees.offset)


def test_a_sigmoid_behind_the_trees_is_the_link() -> None:
    nodes = [
        regressor(draw_trees(12), "x", "a"),
        helper.make_node("Add", ["a", "bias"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["p"]),
        helper.make_node("Sub", ["one", "p"], ["n"]),
        helper.make_node("Concat", ["n", "p"], ["y"], axis=1),
    ]
    found = check(make_model(nodes, constants={"one": number(1), "bias": number(0.5)}))
    margin = sums(draw_trees(12), ROWS)[:, 0] + 0.5
    assert found.link == "sigmoid"
    np.testing.assert_allclose(found.trees.scores(ROWS), np.stack([-margin, margin], axis=1), atol=1e-12)


def test_a_softmax_behind_the_trees_is_the_link() -> None:
    nodes = [regressor(draw_trees(13, scores=3), "x", "a"), helper.make_node("Softmax", ["a"], ["y"], axis=1)]
    found = check(make_model(nodes))
    assert found.link == "softmax"
    np.testing.assert_allclose(found.trees.scores(ROWS), sums(draw_trees(13, scores=3), ROWS), atol=1e-12)


def test_one_score_of_two_classes_becomes_both() -> None:
    margin = sums(draw_trees(12), ROWS)
    plain = read_trees(make_model([regressor(draw_trees(12))]), "y", TYPICAL)
    chances, margins = plain.of_two_classes(ProbabilityClassification), plain.of_two_classes(ClassificationByMargin)
    np.testing.assert_allclose(chances.trees.scores(ROWS), np.hstack([1 - margin, margin]), atol=1e-12)
    np.testing.assert_allclose(margins.trees.scores(ROWS), np.hstack([-margin, margin]), atol=1e-12)
    assert margins.of_two_classes(ClassificationByMargin) is margins
    assert plain.of_two_classes(Regression) is plain


def test_columns_that_are_moved_in_front_of_the_trees() -> None:
    nodes = [
        helper.make_node("Gather", ["x", "places"], ["some"], axis=1),
        helper.make_node("Cast", ["some"], ["z"], to=TensorProto.FLOAT),
        regressor(draw_trees(14), "z", "y"),
    ]
    found = check(make_model(nodes, constants={"places": np.array([3, 1, 1, 0])}))
    assert set(found.trees.columns.tolist()) <= {0, 1, 3}
    np.testing.assert_allclose(found.trees.scores(ROWS), sums(draw_trees(14), ROWS[:, [3, 1, 1, 0]]), atol=1e-12)


def test_a_scaler_in_front_of_the_trees_is_folded() -> None:
    scaler = helper.make_node("Scaler", ["x"], ["z"], domain=ML, offset=[0.1, 0, -1, 0.3], scale=[3.3, -1.7, 1, 0.01])
    imputer = helper.make_node(
        "Imputer", ["x"], ["i"], domain=ML, imputed_value_floats=[0.5, 0.1, 7, 0], replaced_value_float=float("nan")
    )
    scaler.input[0] = "i"
    model = make_model([imputer, scaler, regressor(draw_trees(15), "z", "y")])
    thresholds = read_trees(model, "y", TYPICAL).trees
    values = thresholds.threshold[thresholds.left >= 0]
    rng = np.random.default_rng(0)
    near = rng.choice(np.concatenate([values, np.nextafter(values, np.float32(9)), TYPICAL.ravel()]), size=(3000, 4))
    near[rng.random(near.shape) < 0.15] = np.nan
    check(model, near.astype(np.float32))


def doubled(node: NodeProto) -> list[NodeProto]:
    """The operator in float64, on rows that are cast to it."""
    node.input[0], given = "d", node.output[0]
    node.output[0] = "e"
    cast = helper.make_node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE)
    return [cast, node, helper.make_node("Cast", ["e"], [given], to=TensorProto.FLOAT)]


def with_exact_thresholds(trees: list[Node]) -> list[Node]:
    """The trees with thresholds that lie between two float32 numbers."""
    for node in [node for tree in trees for node in tree.nodes()]:
        node.threshold = node.threshold * (1 + 1e-9)
    return trees


def test_thresholds_in_float64() -> None:
    trees = with_exact_thresholds([tree for tree in draw_trees(4, 12, modes=list(COMPARES)) if tree.yes is not None])
    newest = check(make_model(doubled(numbered_ensemble(trees, dtype=np.float64)), ml=5, opset=21))
    np.testing.assert_allclose(newest.trees.scores(ROWS), sums(trees, ROWS), atol=1e-12)
    node = regressor(trees)
    for name in ("nodes_values", "target_weights"):
        attribute = next(each for each in node.attribute if each.name == name)
        values = [node.threshold for tree in trees for node in tree.nodes()] if name == "nodes_values" else None
        tensor = numpy_helper.from_array(np.array(values or attribute.floats, dtype=np.float64), name)
        node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute(f"{name}_as_tensor", tensor))
    node.output[0] = "y"
    cast = helper.make_node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE)
    node.input[0] = "d"
    named = check(make_model([cast, node]))
    np.testing.assert_allclose(named.trees.scores(ROWS), sums(trees, ROWS), atol=1e-12)


def with_members() -> NodeProto:
    """TreeEnsemble whose first node asks whether a number is one of a set."""
    node = numbered_ensemble([tree for tree in draw_trees(4, count=12) if tree.yes is not None])
    modes = next(each for each in node.attribute if each.name == "nodes_modes")
    codes = numpy_helper.to_array(modes.t).copy()
    codes[0] = 6
    modes.t.CopyFrom(numpy_helper.from_array(codes, "modes"))
    return node


REFUSED = {
    "membership": (lambda: make_model([with_members()], ml=5, opset=21), "compare by BRANCH_MEMBER"),
    "maximum": (
        lambda: make_model([numbered_ensemble([t for t in draw_trees(4, 12) if t.yes], aggregate=3)], ml=5, opset=21),
        "aggregated by MAX",
    ),
    "equality": (lambda: make_model([regressor([with_mode("BRANCH_EQ")])]), "compare by BRANCH_EQ"),
    "minimum": (lambda: make_model([regressor(draw_trees(0), aggregate_function="MIN")]), "aggregated by MIN"),
    "probit": (lambda: make_model([classifier(draw_trees(0), 2, post_transform="PROBIT")]), "PROBIT"),
    "no trees": (lambda: make_model([helper.make_node("Neg", ["x"], ["y"])]), "beside the trees|no trees"),
    "an exponential": (
        lambda: make_model([regressor(draw_trees(0), "x", "a"), helper.make_node("Exp", ["a"], ["y"])]),
        "Exp follows the trees",
    ),
    "a product": (
        lambda: make_model([regressor(draw_trees(0), "x", "a"), helper.make_node("Mul", ["a", "a"], ["y"])]),
        "Mul follows the trees",
    ),
    "the rows beside the trees": (
        lambda: make_model([regressor(draw_trees(0), "x", "a"), helper.make_node("Add", ["a", "x"], ["y"])]),
        "'x' beside the trees",
    ),
    "other rows": (
        lambda: make_model(
            [regressor(draw_trees(0), "x", "a"), helper.make_node("ReduceSum", ["a", "rows"], ["y"], keepdims=1)],
            constants={"rows": np.array([0])},
        ),
        r"for \d+ rows",
    ),
    "a mean of probabilities": (
        lambda: make_model(
            [classifier(draw_trees(0), 2, post_transform="LOGISTIC"), helper.make_node("Add", ["y", "y"], ["z"])], "z"
        ),
        "comes between",
    ),
    "columns together": (
        lambda: make_model(
            [helper.make_node("MatMul", ["x", "w"], ["z"]), regressor(draw_trees(0), "z", "y")],
            constants={"w": np.ones((4, 4), dtype=np.float32) + np.eye(4, dtype=np.float32)},
        ),
        "encoded space: .*several columns at once",
    ),
    "rising and falling": (
        lambda: make_model([helper.make_node("Abs", ["x"], ["z"]), regressor(draw_trees(0), "z", "y")]),
        "neither rises nor falls",
    ),
    "trees upon trees": (
        lambda: make_model([regressor(draw_trees(0, scores=4), "x", "z"), regressor(draw_trees(1), "z", "y")]),
        "what other trees give",
    ),
}


def with_mode(mode: str) -> Node:
    return Node(mode=mode, yes=Node(weights=(1.0,)), no=Node(weights=(2.0,)))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sum_of_trees_is_refused_by_name(name: str) -> None:
    make, message = REFUSED[name]
    model = make()
    with pytest.raises(ExportError, match=message):
        read_trees(model, model.graph.output[0].name, TYPICAL)


def test_nodes_that_go_round_in_circles() -> None:
    node = regressor(draw_trees(0))
    given = {attribute.name: attribute for attribute in node.attribute}
    inner = [i for i, mode in enumerate(given["nodes_modes"].strings) if mode != b"LEAF"]
    given["nodes_truenodeids"].ints[inner[1]] = given["nodes_nodeids"].ints[0]
    with pytest.raises(ExportError, match="reached from no root"):
        read_trees(make_model([node]), "y", TYPICAL)


def test_nodes_that_are_not_there() -> None:
    node = regressor(draw_trees(0))
    next(attribute for attribute in node.attribute if attribute.name == "nodes_truenodeids").ints[0] = 999
    with pytest.raises(ExportError, match="TreeEnsembleRegressor is damaged: it names nodes that it does not have"):
        read_trees(make_model([node]), "y", TYPICAL)
