"""What a model gives is what its task says: scores that are probabilities, and scores that are not."""

import re

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

from whyport.exporter.data.samples import Samples
from whyport.exporter.data.statistics import describe_columns
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.verify.scores import check_attention, check_margins, check_meaning, ends_in_activation
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Provenance
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ExportError, ParityError
from whyport.runtime.task import Classification, ProbabilityClassification

ROWS = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
CONSTANTS = {
    "w": WEIGHTS,
    "small": WEIGHTS * np.float32(0.01),
    "half": np.float32(0.5),
    "tenth": np.float32(0.1),
    "one": np.float32(1),
    "hundred": np.float32(100),
    "table": np.linspace(0, 1, 6, dtype=np.float32),
    "axis": np.array([1]),
}


def compiled(*steps, task=Classification, classes=3):
    """A model of one input "x" whose last value is "y", by nodes in ONNX's text format."""
    last = [] if len(task.outputs) == 1 else [helper.make_node("Softmax", [task.score], ["probabilities"], axis=1)]
    graph = helper.make_graph(
        [*map(onnx.parser.parse_node, steps), helper.make_node("Identity", ["y"], [task.score]), *last],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", classes]) for name in task.outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in CONSTANTS.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    outputs = tuple(TensorSpec(name, "float32", ("N", classes)) for name in task.outputs)
    return Compiled(outputs, {}, OnnxFile(model))


def draft(task=Classification, classes=3, background=ROWS[:10], rows=ROWS):
    names = ("a", "b", "c", "d")
    return Draft(
        name="m",
        targets=tuple(f"class {i}" for i in range(classes)),
        features=describe_columns(names, list(rows.T.astype(np.float64))),
        standardise=False,
        provenance=Provenance("test", {}, None, None, {}, {}),
        references=References(background, np.full(len(background), 1 / len(background))),
        samples=Samples(rows, 0, missing=False),
        task_name=task.name,
    )


SUMS_TO_ONE = {
    "softmax": ("z = MatMul(x, w)", "y = Softmax<axis = 1>(z)"),
    "softmax by hand": ("z = MatMul(x, w)", "e = Exp(z)", "t = ReduceSum(e, axis)", "y = Div(e, t)"),
    "softmax in half precision": (
        "z = MatMul(x, w)",
        "h = Cast<to = 10>(z)",
        "p = Softmax<axis = 1>(h)",
        "y = Cast<to = 1>(p)",
    ),
    "votes": ("z = MatMul(x, w)", "y = Hardmax<axis = 1>(z)"),
    "softmax after bounded values": ("z = MatMul(x, small)", "t = Tanh(z)", "y = Softmax<axis = 1>(t)"),
    "squares": ("z = MatMul(x, w)", "e = Mul(z, z)", "t = ReduceSum(e, axis)", "y = Div(e, t)"),
}
SIGMOIDS = {
    "sigmoid": ("z = MatMul(x, w)", "y = Sigmoid(z)"),
    "sigmoid of bounded values": ("z = MatMul(x, small)", "t = Tanh(z)", "y = Sigmoid(t)"),
    "sigmoid by hand": ("z = MatMul(x, w)", "n = Neg(z)", "e = Exp(n)", "d = Add(e, one)", "y = Reciprocal(d)"),
    "hard sigmoid": ("z = MatMul(x, w)", "y = HardSigmoid(z)"),
    "sigmoid, moved": ("z = MatMul(x, w)", "s = Sigmoid(z)", "t = Transpose(s)", "y = Transpose(t)"),
}
LOGITS = {
    "linear": ("y = MatMul(x, w)",),
    "logarithms of probabilities": ("z = MatMul(x, w)", "y = LogSoftmax<axis = 1>(z)"),
    "within 0 and 1 near the training rows": ("z = MatMul(x, small)", "y = Add(z, half)"),
    "bounded": ("z = MatMul(x, w)", "t = Tanh(z)", "m = Mul(t, tenth)", "y = Add(m, half)"),
    "all the same": ("z = MatMul(x, w)", "m = Sub(z, z)", "y = Add(m, half)"),
    "zero": ("z = MatMul(x, w)", "y = Sub(z, z)"),
    "scaled probabilities": ("z = MatMul(x, w)", "p = Softmax<axis = 1>(z)", "y = Mul(p, hundred)"),
    "centred sigmoids": ("z = MatMul(x, w)", "s = Sigmoid(z)", "y = Sub(s, half)"),
    "never below 0": ("z = MatMul(x, w)", "y = Relu(z)"),
}


@pytest.mark.parametrize("steps", SUMS_TO_ONE.values(), ids=SUMS_TO_ONE)
def test_probabilities_are_no_logits(steps):
    with pytest.raises(ExportError, match=r"holds probabilities: its rows sum to 1; leave the last .*--from-prob"):
        check_meaning(draft(), compiled(*steps))
    task = ProbabilityClassification
    check_meaning(draft(task), compiled(*steps, task=task))


@pytest.mark.parametrize("steps", SIGMOIDS.values(), ids=SIGMOIDS)
def test_sigmoids_are_no_logits_either(steps):
    with pytest.raises(ExportError, match=r"from 0 to 1 whose rows do not sum to 1, as a sigmoid gives them; leave"):
        check_meaning(draft(), compiled(*steps))
    task = ProbabilityClassification
    with pytest.raises(ExportError, match=r"--from-probabilities: expected rows that sum to 1, got .* probe rows"):
        check_meaning(draft(task), compiled(*steps, task=task))


@pytest.mark.parametrize("steps", LOGITS.values(), ids=LOGITS)
def test_logits_pass(steps):
    check_meaning(draft(), compiled(*steps))


@pytest.mark.parametrize("name", ["linear", "logarithms of probabilities", "scaled probabilities", "centred sigmoids"])
def test_logits_are_no_probabilities(name):
    task = ProbabilityClassification
    with pytest.raises(ExportError, match="--from-probabilities: expected values from 0 to 1, got"):
        check_meaning(draft(task), compiled(*LOGITS[name], task=task))


def test_a_few_rows_alone_tell_nothing():
    """Logits of one training row that happen to sum to 1: other rows show what they are."""
    rows = np.repeat(np.linalg.lstsq(WEIGHTS.T, [0.2, 0.3, 0.5], rcond=None)[0][None].astype(np.float32), 60, axis=0)
    np.testing.assert_allclose((rows @ WEIGHTS).sum(axis=1), 1, atol=1e-5)
    check_meaning(draft(rows=rows, background=rows[:3]), compiled("y = MatMul(x, w)"))


def test_rows_far_away_may_be_more_than_a_model_takes():
    """An index outside of a table, far from the training rows: the rows near them decide."""
    steps = (
        "s = Abs(x)",
        "i = Cast<to = 7>(s)",
        "v = Gather(table, i)",
        "z = MatMul(v, w)",
        "y = Softmax<axis = 1>(z)",
    )
    with pytest.raises(ExportError, match="holds probabilities"):
        check_meaning(draft(), compiled(*steps))


def test_own_probabilities_that_are_not_the_softmax():
    model = compiled("y = MatMul(x, w)")
    model.onnx.model.graph.node[-1].op_type = "LogSoftmax"
    with pytest.raises(ExportError, match="'probabilities' is not the softmax of the logits"):
        check_meaning(draft(), model)


MARGINS = np.array([[-1.0, 2.0, 0.5], [3.0, 0.0, -2.0]])
CHANCES = np.array([[0.1, 0.6, 0.3], [0.8, 0.15, 0.05]])


@pytest.mark.parametrize(
    "chances", [CHANCES, CHANCES**8 / (CHANCES**8).sum(axis=1, keepdims=True), np.full((2, 3), 1 / 3)]
)
def test_probabilities_that_are_largest_where_the_margin_is(chances):
    """Ties are no contradiction: rounded probabilities have them."""
    check_margins({"margin": MARGINS, "probabilities": chances.astype(np.float32)})


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        (CHANCES * 1.01, "'probabilities' has no rows that sum to 1"),
        (CHANCES[:, :2] / CHANCES[:, :2].sum(axis=1, keepdims=True), "'probabilities' has no rows that sum to 1"),
        (CHANCES[:, [2, 1, 0]], "'probabilities' is not largest where the margin is"),
        (np.array([CHANCES[0], [0.4, 0.41, 0.19]]), "'probabilities' is not largest where the margin is"),
    ],
    ids=["sums", "classes", "order", "one row"],
)
def test_margins_and_probabilities_that_contradict_each_other(chances, message):
    with pytest.raises(ExportError, match=message):
        check_margins({"margin": MARGINS, "probabilities": chances})


@pytest.mark.parametrize("bad", [[4], [0, 3, 9], list(range(12))])
def test_references_without_finite_outputs_are_named(bad):
    background = np.abs(np.vstack([ROWS, ROWS]))[:20]
    background[bad, 1] = -1
    shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
    message = f"background: expected finite logits of every reference row, got others in {len(bad)} of 20: row {shown} "
    with pytest.raises(ParityError, match=re.escape(message)):
        check_meaning(draft(background=background, rows=np.abs(ROWS)), compiled("l = Log(x)", "y = MatMul(l, w)"))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full((2, 3, 3), 0.5), "got a sum of 1.5"),
        (np.array([[[1.5, -0.5], [0.5, 0.5]]]), "got -0.5"),
        (np.zeros((2, 3, 3)), "got a sum of 0"),
        (np.tanh(np.random.default_rng(0).normal(size=(5, 4, 4))), "got -0"),
        (np.exp(np.random.default_rng(0).normal(size=(5, 4, 4))), "got a sum of"),
    ],
)
def test_what_is_no_attention(weights, message):
    with pytest.raises(ExportError, match=f"the network's second output is no attention: .*{message}"):
        check_attention(weights.astype(np.float32))


def test_attention_in_half_precision():
    weights = np.exp(np.random.default_rng(0).normal(size=(5, 9, 9)))
    check_attention((weights / weights.sum(axis=2, keepdims=True)).astype(np.float16))


@pytest.mark.parametrize(
    ("steps", "ends"),
    [
        (("z = MatMul(x, w)", "a = Sigmoid(z)", "b = Softmax<axis = 1>(z)", "y = Concat<axis = 1>(a, b)"), True),
        (("z = MatMul(x, w)", "a = Sigmoid(z)", "y = Concat<axis = 1>(a, z)"), False),
        (("z = MatMul(x, w)", "y = Concat<axis = 1>(z, z)"), False),
        (("y = Identity(x)",), False),
    ],
)
def test_what_a_model_ends_in(steps, ends):
    assert ends_in_activation(compiled(*steps).onnx.model, "logits") is ends
