import pytest
from onnx import parser

from whyport.exporter.networks.logits import before_both, before_softmax


def graph_of(steps):
    return parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 18]> g (float[N, 4] x) => (float[N, 4] y)
        <float one = {{1}}, float two = {{2}}> {{ {steps} }}"""
    ).graph


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("y = Softmax(x)", "x"),
        ("z = Neg(x) s = Softmax(z) y = Identity(s)", "y.0"),
        ("z = Neg(x) s = Softmax(z) y = Neg(s)", None),
        ("y = Sigmoid(x)", None),
        ("y = Identity(x)", None),
    ],
)
def test_the_tensor_before_a_softmax(steps, expected):
    assert before_softmax(graph_of(steps), "y") == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("p = Sigmoid(x) q = Sub(one, p) y = Concat<axis=1>(q, p)", "x"),
        ("p = Sigmoid(x) q = Sub(one, p) c = Concat<axis=1>(q, p) y = Identity(c)", "x"),
        ("p = Sigmoid(x) o = Constant<value_float=1.0>() q = Sub(o, p) y = Concat<axis=1>(q, p)", "x"),
        ("p = Sigmoid(x) q = Sub(two, p) y = Concat<axis=1>(q, p)", None),
        ("p = Sigmoid(x) q = Sub(one, p) y = Concat<axis=1>(p, q)", None),
        ("p = Sigmoid(x) q = Sub(one, x) y = Concat<axis=1>(q, p)", None),
        ("p = Tanh(x) q = Sub(one, p) y = Concat<axis=1>(q, p)", None),
    ],
)
def test_the_one_logit_of_two_probabilities(steps, expected):
    assert before_both(graph_of(steps), "y") == expected
