import numpy as np
import onnxruntime
import pytest
import torch
from onnx import helper, parser

from support.onnx_networks import FEATURES, NAMES, export_network, make_network
from whyport.exporter.deepshap.compile import build_program
from whyport.exporter.graphs.torchscript import quiet
from whyport.exporter.networks.importer import import_network
from whyport.runtime.errors import UnsupportedOperatorError

ROWS = torch.randn(11, FEATURES, generator=torch.Generator().manual_seed(1))


def by_onnx_runtime(model, rows, output):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run([output], {session.get_inputs()[0].name: rows.numpy()})[0]


HEAVY = {"gru by dynamo", "rnn by dynamo"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.heavy) if name in HEAVY else name for name in NAMES]
)
def test_networks_of_pytorchs_exporters(name):
    """Forward, gradient and sums: against ONNX Runtime, the module before its export, and the scores themselves."""
    model, original = export_network(name), make_network(name)
    network = import_network(model, "scores", ROWS[:5]).network
    with quiet():
        traced = torch.jit.trace(network, (ROWS[:5],), check_trace=False)
    for size in (1, 2, 11):
        expected = by_onnx_runtime(model, ROWS[:size], "scores")
        for engine in (network, traced):
            np.testing.assert_allclose(engine(ROWS[:size]).detach().numpy(), expected, atol=1e-6)
    gradients = []
    for module in (network, original):
        leaf = ROWS.clone().requires_grad_()
        gradients.append(torch.autograd.grad(module(leaf)[:, 1].sum(), leaf)[0])
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-5)
    program = build_program(network, ROWS[:5]).double()
    explained, references = ROWS[:4].double(), ROWS[4:].double()
    weights = torch.full((7,), 1 / 7, dtype=torch.float64)
    with torch.no_grad():
        shares = program.attribute(program.activations(explained), program.activations(references), weights)
        change = original(ROWS[:4]) - original(ROWS[4:]).mean(0)
    torch.testing.assert_close(shares.sum(2).float(), change, atol=1e-6, rtol=1e-6)


def test_the_split_at_the_last_convolution():
    imported = import_network(export_network("convolution by dynamo"), "scores", ROWS)
    original = make_network("convolution")
    maps = imported.network.features(ROWS)
    torch.testing.assert_close(maps, original.body[:5](ROWS.unsqueeze(1)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(imported.network.classify(maps), original(ROWS), atol=1e-6, rtol=1e-5)
    assert imported.no_split == ""


def test_the_split_at_maps_over_y_and_x():
    steps = "s = Constant<value_ints=[-1, 1, 3, 4]>() z = Reshape(x, s) c = Conv(z, k) r = Relu(c) y = Flatten(r)"
    imported = import_network(graph_of(steps), "y", ROWS)
    maps = imported.network.features(ROWS)
    kernel = torch.tensor([[[[1, -2], [3, 0.5]]]])
    torch.testing.assert_close(maps, torch.nn.functional.conv2d(ROWS.reshape(-1, 1, 3, 4), kernel))
    torch.testing.assert_close(imported.network.classify(maps), torch.relu(maps).flatten(1))


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ("y = MatMul(x, w)", "the network has no convolution"),
        (
            "s = Constant<value_ints=[-1, 1, 3, 2, 2]>() z = Reshape(x, s) t = Constant<value_ints=[1, 1, 1, 2, 2]>() "
            "v = Reshape(k, t) c = Conv(z, v) y = Flatten(c)",
            "have 5 axes, not",
        ),
        (
            "s = Constant<value_ints=[-1, 1, 12]>() z = Reshape(x, s) c = Conv(z, l) f = Flatten(c) y = Add(f, x)",
            "no maps behind the last convolution are all",
        ),
    ],
)
def test_networks_that_are_not_split(steps, reason):
    imported = import_network(graph_of(steps), "y", ROWS)
    assert not hasattr(imported.network, "features")
    assert reason in imported.no_split


def graph_of(steps, opset=18):
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]>
    g (float[N, {FEATURES}] x) => (float y)
    <float[{FEATURES}, 2] w = {{{", ".join(str(i % 5 - 2) for i in range(24))}}},
     float[1, 1, 2, 2] k = {{1, -2, 3, 0.5}}, float[1, 1, 1] l = {{2}},
     float[2, 2, 3] m = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}},
     float[2] p = {{0.5, -2}}, float[2] q = {{1, 3}}, float[3, 4] e = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}>
    {{ {steps} }}"""
    model = parser.parse_model(text)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


TO_STEPS = "s = Constant<value_ints=[-1, 2, 6]>() z = Reshape(x, s)"
"""Rows as [N, 2, 6]."""
ELEMENTWISE = [
    *("Abs", "Cos", "Erf", "Exp", "Mish", "Neg", "Relu", "Sigmoid", "Sin", "Softplus", "Softsign", "Tanh", "Gelu"),
    *("Elu<alpha=0.7>", "Celu<alpha=0.7>", "Selu", "LeakyRelu<alpha=0.2>", "HardSigmoid<alpha=0.3>", "HardSwish"),
    *('Gelu<approximate="tanh">', "Reciprocal", "Identity", "LpNormalization<p=1>", "LpNormalization", "Dropout"),
]


@pytest.mark.parametrize("operator", ELEMENTWISE)
def test_functions_of_one_tensor(operator):
    compare(graph_of(f"y = {operator}(x)", opset=20))


@pytest.mark.parametrize(
    "steps",
    [
        "a = Abs(x) y = Sqrt(a)",
        "a = Abs(x) y = Log(a)",
        "two = Constant<value_float=2.0>() y = Pow(x, two)",
        "a = Abs(x) y = Pow(a, a)",
        "lo = Constant<value_float=-0.5>() y = Clip(x, lo)",
        "lo = Constant<value_float=-0.5>() hi = Constant<value_float=0.25>() y = Clip(x, lo, hi)",
        "z = MatMul(x, w) y = PRelu(z, p)",
        "z = MatMul(x, w) y = Max(z, p, q)",
        "z = MatMul(x, w) a = Min(z, p) b = Sum(z, a, q) y = Mean(a, b)",
        "z = MatMul(x, w) c = Less(z, p) d = IsNaN(z) n = Not(d) b = And(c, n) y = Where(b, z, q)",
        "z = MatMul(x, w) c = GreaterOrEqual(z, p) d = Cast<to=1>(c) y = Mul(z, d)",
"t = Transpose(w) y = Gemm<alpha=0.5, beta=2.0, transB=1>(x, t, p)",
        'y = Einsum<equation="nf,fc->nc">(x, w)',
        "r = Relu(x) s = Sub(x, r) z = Sub(s, s) y = LpNormalization(z)",
        "i = Cast<to=7>(x) t = Constant<value_int=2>() j = Div(i, t) y = Cast<to=1>(j)",
        "d = Cast<to=11>(x) f = Cast<to=1>(d) y = MatMul(f, w)",
        f"{TO_STEPS} y = Softmax<axis=1>(z)",
        f"{TO_STEPS} y = LogSoftmax(z)",
        f"{TO_STEPS} y = BatchNormalization(z, p, q, p, q)",
        f"{TO_STEPS} y = InstanceNormalization(z, p, q)",
        f"{TO_STEPS} t = Transpose<perm=[0, 2, 1]>(z) y = LayerNormalization(t, p, q)",
        f"{TO_STEPS} y = Conv<pads=[1, 2]>(z, m, p)",
        f'{TO_STEPS} y = Conv<auto_pad="SAME_LOWER", strides=[2]>(z, m)',
        f"{TO_STEPS} y = ConvTranspose<strides=[2]>(z, m)",
        f"{TO_STEPS} y = MaxPool<kernel_shape=[3], pads=[1, 0], strides=[2]>(z)",
        f"{TO_STEPS} y = MaxPool<kernel_shape=[3], pads=[1, 1], ceil_mode=1, strides=[2]>(z)",
        f"{TO_STEPS} y = AveragePool<kernel_shape=[2], pads=[1, 1]>(z)",
        f"{TO_STEPS} y = AveragePool<kernel_shape=[2], pads=[0, 1], count_include_pad=1>(z)",
        f"{TO_STEPS} y = GlobalAveragePool(z)",
        f"{TO_STEPS} y = GlobalMaxPool(z)",
        f"{TO_STEPS} a = Constant<value_ints=[1]>() y = ReduceSum<keepdims=0>(z, a)",
        f"{TO_STEPS} a = Constant<value_ints=[1, 2]>() y = ReduceMean(z, a)",
        *(
            f"{TO_STEPS} a = Constant<value_ints=[-1]>() y = Reduce{name}(z, a)"
            for name in ("L1", "L2", "LogSumExp", "Max", "Min", "SumSquare")
        ),
        f"{TO_STEPS} a = Constant<value_int=1>() y = CumSum(z, a)",
        f"{TO_STEPS} y = Flatten<axis=2>(z)",
        f"{TO_STEPS} y = Flatten<axis=-1>(z)",
        f"{TO_STEPS} a = Constant<value_ints=[1]>() u = Unsqueeze(z, a) y = Squeeze(u, a)",
        f"{TO_STEPS} y = Concat<axis=-1>(z, z)",
        f"{TO_STEPS} n = Constant<value_ints=[1, 2, 1]>() y = Tile(z, n)",
        f"{TO_STEPS} a, b = Split<axis=1, num_outputs=2>(z) y = Sub(a, b)",
        f"{TO_STEPS} n = Constant<value_ints=[1, 5]>() a, y = Split<axis=2>(z, n)",
        f"{TO_STEPS} i = Constant<value_ints=[-1, 0, 0]>() y = Gather<axis=2>(z, i)",
        f"{TO_STEPS} i = Constant<value_int=-1>() y = Gather<axis=1>(z, i)",
        f"{TO_STEPS} i = Constant<value=int64[2, 2] {{0, 1, 1, -2}}>() y = Gather<axis=2>(z, i)",
        f"{TO_STEPS} n = Constant<value_ints=[0, 0, 2, 0, 0, 1]>() y = Pad(z, n)",
        f"{TO_STEPS} a = Constant<value_ints=[-1]>() b = Constant<value_ints=[-99]>() c = Constant<value_ints=[2]>() "
        "d = Constant<value_ints=[-2]>() y = Slice(z, a, b, c, d)",
        f"{TO_STEPS} a = Constant<value_ints=[1]>() b = Constant<value_ints=[99]>() c = Constant<value_ints=[2]>() "
        "y = Slice(z, a, b, c)",
        "g = Constant<value_float=0.0>() z = Greater(x, g) i = Cast<to=7>(z) y = Gather(e, i)",
        # Shapes that follow from the number of rows.
        "n = Shape<end=1>(x) r = Constant<value_ints=[3, 4]>() s = Concat<axis=0>(n, r) y = Reshape(x, s)",
        "n = Shape<end=1>(x) t = Constant<value_ints=[3]>() u = Mul(n, t) r = Constant<value_ints=[4]>() "
        "s = Concat<axis=0>(u, r) z = Reshape(x, s) o = Constant<value_ints=[-1]>() b = Concat<axis=0>(n, o) "
        "y = Reshape(z, b)",
        "n = Shape<end=1>(x) r = Constant<value_ints=[2]>() s = Concat<axis=0>(n, r) "
        "f = ConstantOfShape<value=float[1] {1.5}>(s) z = MatMul(x, w) y = Add(z, f)",
        "n = Shape<end=1>(x) r = Constant<value_ints=[2]>() s = Concat<axis=0>(n, r) f = Expand(p, s) "
        "z = MatMul(x, w) y = Concat<axis=1>(f, z)",
        f"{TO_STEPS} n = Shape<end=1>(z) r = Constant<value_ints=[2, 6]>() b = Concat<axis=0>(n, r) "
        "a = Constant<value_ints=[2]>() c = ReduceMean(z, a) y = Expand(c, b)",
    ],
)  # fmt: skip
def test_operators(steps):
    compare(graph_of(steps))


@pytest.mark.parametrize(
    ("opset", "steps"),
    [
        (9, "y = Clip<min=-0.5, max=1.0>(x)"),
        (9, "y = Slice<starts=[1], ends=[5], axes=[1]>(x)"),
        (11, "z = Unsqueeze<axes=[1]>(x) y = Squeeze<axes=[1]>(z)"),
        (11, "y, other = Split<axis=1, split=[5, 7]>(x)"),
        (11, "z = MatMul(x, w) y = Softmax(z)"),
        (13, "a, y = Split<axis=1>(x)"),
        (11, "y = ReduceSum<axes=[1]>(x)"),
        (9, "y = Pad<pads=[0, 1, 0, 2], value=3.0>(x)"),
    ],
)
def test_operators_of_older_sets(opset, steps):
    compare(graph_of(steps, opset))


def compare(model):
    """Import with 5 rows; compare with ONNX Runtime at other numbers of rows, traced and not."""
    output = model.graph.output[0].name
    network = import_network(model, output, ROWS[:5]).network
    with quiet():
        traced = torch.jit.trace(network, (ROWS[:5],), check_trace=False)
    for size in (1, 11):
        expected = by_onnx_runtime(model, ROWS[:size], output)
        for engine in (network, traced):
            np.testing.assert_allclose(engine(ROWS[:size]).numpy(), expected, atol=1e-5, rtol=1e-6)


CELLS = (
    "s = Constant<value_ints=[4, -1, 3]>() z = Reshape(x, s) w3 = Constant<value=float[1, 6, 3] {"
    + ", ".join(str(i / 9) for i in range(18)) + "}>() r3 = Constant<value=float[1, 6, 2] {"
    + ", ".join(str(i / 9) for i in range(12)) + "}>()"
)  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("y = NonZero(x)", "operator NonZero, node 'y'"),
        ("z = MatMul(x, w) y = NonZero(z)", "operator NonZero"),
        (f"{CELLS} y = GRU<hidden_size=2>(z, w3, r3)", "operator GRU with linear_before_reset 0"),
        (f"{CELLS} y = GRU<hidden_size=2, linear_before_reset=1, clip=1.0>(z, w3, r3)", "GRU with clip 1.0"),
        (
            f'{CELLS} y = GRU<hidden_size=2, linear_before_reset=1, activations=["Relu", "Tanh"]>(z, w3, r3)',
            "GRU with the activations Relu, Tanh",
        ),
        ("h = Cast<to=10>(x) y = Cast<to=1>(h)", "operator Cast to float16"),
        ('s = Constant<value_ints=[0, 1, 0, 1]>() y = Pad<mode="reflect">(x, s)', "operator Pad with mode 'reflect'"),
        (
            f"{TO_STEPS} y = AveragePool<kernel_shape=[2], pads=[0, 1]>(z)",
            r"operator AveragePool with pads \[0, 1\]",
        ),
        (
            "n = Shape<end=1>(x) c = Cast<to=1>(n) y = Div(x, c)",
            "operator Div of a constant that depends on the number of rows",
        ),
        ("y = Constant<value_float=1.0>()", "the output 'y' does not depend on the row"),
    ],
)
def test_operators_that_are_refused_by_name(steps, message):
    with pytest.raises(UnsupportedOperatorError, match=message):
        import_network(graph_of(steps), "y", ROWS)


def branch(name, operator):
    node = helper.make_node(operator, ["x"], [name])
    return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, 1, None)])


@pytest.mark.parametrize("condition", ["ReduceMax<keepdims=0>(x)", "Identity(one)"])
def test_branches(condition):
    """A constant condition chooses; one of the row is refused."""
    model = graph_of(f"one = Constant<value_float=1.0>() m = {condition} c = Cast<to=9>(m) y = Identity(x)")
    model.graph.node.pop()
    branches = {"then_branch": branch("a", "Relu"), "else_branch": branch("b", "Neg")}
    model.graph.node.append(helper.make_node("If", ["c"], ["y"], **branches))
    if "one" not in condition:
        with pytest.raises(UnsupportedOperatorError, match="operator If with a condition that depends on the row"):
            import_network(model, "y", ROWS)
        return
    torch.testing.assert_close(import_network(model, "y", ROWS).network(ROWS), ROWS.relu())


@pytest.mark.parametrize("takes_rows", [True, False])
def test_loops(takes_rows):
    """A loop over the rows, by an input of its own or from around it."""
    kinds = [helper.make_tensor_value_info(name, *kind) for name, kind in
             (("i", (7, [])), ("c", (9, [])), ("v", (1, None)), ("d", (9, [])), ("u", (1, None)))]  # fmt: skip
    steps = [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Add", ["v", "x"], ["u"])]
    model = graph_of("n = Constant<value_int=2>() o = Constant<value_float=1.0>() t = Greater(o, o) y = Identity(x)")
    model.graph.node.pop()
    body = helper.make_graph(steps, "body", kinds[:3], kinds[3:])
    model.graph.node.append(helper.make_node("Loop", ["n", "", "x" if takes_rows else "o"], ["y"], body=body))
    with pytest.raises(UnsupportedOperatorError, match="operator Loop"):
        import_network(model, "y", ROWS)


def test_operators_of_another_domain():
    model = graph_of("y = Identity(x)")
    model.graph.node[0].CopyFrom(helper.make_node("FusedMatMul", ["x", "w"], ["y"], domain="com.microsoft"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(UnsupportedOperatorError, match="operator com.microsoft::FusedMatMul, node 'y'"):
        import_network(model, "y", ROWS)


def test_functions_of_the_model_itself():
    text = f"""<ir_version: 8, opset_import: ["" : 18, "own" : 1]>
    g (float[N, {FEATURES}] x) => (float[N, {FEATURES}] y) {{ y = own.Twice(x) }}
    <domain: "own", opset_import: ["" : 18]> Twice (a) => (b) {{ b = Add(a, a) }}"""
    network = import_network(parser.parse_model(text), "y", ROWS).network
    torch.testing.assert_close(network(ROWS), 2 * ROWS)
