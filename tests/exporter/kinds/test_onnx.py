import random

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from whyport.exporter.bundle.target import Target
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.export import export_bundle
from whyport.exporter.kinds.onnx import read_onnx
from whyport.exporter.source import ModelSource
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import ExportError, ParityError, UsageError, WhyportError
from whyport.runtime.session import Session

FEATURES, CLASSES = 4, 3
rng = np.random.default_rng(0)
WEIGHTS = rng.normal(size=(FEATURES, CLASSES)).astype(np.float32)


def tensor(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def make(nodes, outputs, inputs=None, opset=15, ir_version=8, **extra):
    graph = helper.make_graph(
        nodes,
        "g",
        inputs or [tensor("x", ["batch", FEATURES])],
        outputs,
        [numpy_helper.from_array(WEIGHTS, "w")],
        **extra,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def sequence(name):
    return helper.make_tensor_sequence_value_info(name, TensorProto.FLOAT, ["batch", CLASSES])


def matmul(output="scores", rows="x"):
    return helper.make_node("MatMul", [rows, "w"], [output])


def save(model, folder):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


QUICK = BackgroundChoice(summary=0)
"""Without explain.onnx and gradient.onnx, which take longer than all the rest."""


def export(model, sample, folder, **options):
    source = ModelSource(source=str(save(model, folder)), sample=sample, background=QUICK, **options)
    return export_bundle(source, Target(folder / "bundle"))


def test_becomes_a_bundle(tmp_path, complete_path):
    model = make([matmul()], [tensor("scores", ["batch", CLASSES])])
    model.doc_string = "/home/somebody/train.py"
    helper.set_model_props(model, {"author": "somebody"})
    bundle = export(model, complete_path, tmp_path, classes=("a", "b", "c"))
    rows = rng.normal(size=(9, FEATURES)).astype(np.float32)
    got = Session(bundle, "cpu").predict(rows)
    logits = rows.astype(np.float64) @ WEIGHTS
    np.testing.assert_allclose(got["logits"], logits, atol=1e-5)
    np.testing.assert_allclose(got["probabilities"], np.exp(logits) / np.exp(logits).sum(1, keepdims=True), atol=1e-6)
    sidecar = bundle.sidecar
    assert (sidecar.opset, sidecar.ir_version) == (15, 8)
    assert sidecar.targets == ("a", "b", "c")
    assert sidecar.provenance.source == "export model.onnx"
    served = {name for name, capability in sidecar.capabilities.items() if capability.available}
    assert served == {"gradients", "deepshap"}
    assert sidecar.parity["torchscript_outputs"] < 1e-6
    content = bundle.read_bytes("model.onnx")
    assert b"somebody" not in content


def test_names_that_are_taken_make_way(tmp_path, complete_path):
    """The model's own inner tensors are called what a bundle's tensors are called."""
    model = make(
        [
            helper.make_node("Neg", ["x"], ["logits"]),
            helper.make_node("Neg", ["logits"], ["features"]),
            helper.make_node("Abs", ["features"], ["probabilities"]),
            helper.make_node("Sub", ["probabilities", "probabilities"], ["zero"]),
            helper.make_node("Add", ["features", "zero"], ["y"]),
            matmul("logits.0", "y"),
        ],
        [tensor("logits.0", ["batch", CLASSES])],
    )
    bundle = export(model, complete_path, tmp_path)
    rows = rng.normal(size=(5, FEATURES)).astype(np.float32)
    np.testing.assert_allclose(Session(bundle, "cpu").predict(rows)["logits"], rows @ WEIGHTS, atol=1e-5)
    assert bundle.sidecar.targets == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize(
    ("rows", "weights", "scores"),
    [
        ("logits", "w", "features"),
        ("probabilities", "features", "logits"),
        ("features", "logits", "probabilities"),
        ("x", "probabilities", "features"),
        ("target_index", "score", "explained_target"),
    ],
)
def test_inputs_weights_and_scores_of_a_bundles_names(rows, weights, scores, tmp_path, complete_path):
    graph = helper.make_graph(
        [helper.make_node("MatMul", [rows, weights], [scores])],
        "g",
        [tensor(rows, ["batch", FEATURES])],
        [tensor(scores, ["batch", CLASSES])],
        [numpy_helper.from_array(WEIGHTS, weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    given = rng.normal(size=(5, FEATURES)).astype(np.float32)
    got = Session(export(model, complete_path, tmp_path), "cpu").predict(given)
    np.testing.assert_allclose(got["logits"], given @ WEIGHTS, atol=1e-5)
    assert list(got) == ["logits", "probabilities"]


def test_names_inside_of_branches(tmp_path, complete_path):
    """Both branches have tensors of a bundle's names, and take the graph's own."""
    then = helper.make_graph([matmul("logits")], "then", [], [tensor("logits", ["batch", CLASSES])])
    negated = [helper.make_node("Neg", ["x"], ["features"]), matmul("probabilities", "features")]
    other = helper.make_graph(negated, "else", [], [tensor("probabilities", ["batch", CLASSES])])
    nodes = [helper.make_node("If", ["condition"], ["y"], then_branch=then, else_branch=other)]
    model = make(nodes, [tensor("y", ["batch", CLASSES])])
    model.graph.initializer.append(numpy_helper.from_array(np.array(False), "condition"))
    rows = rng.normal(size=(5, FEATURES)).astype(np.float32)
    got = Session(export(model, complete_path, tmp_path), "cpu").predict(rows)["logits"]
    np.testing.assert_allclose(got, -rows @ WEIGHTS, atol=1e-5)


def test_an_output_that_is_the_input(tmp_path, complete_path):
    model = make([], [tensor("x", ["batch", FEATURES])])
    rows = rng.normal(size=(5, FEATURES)).astype(np.float32)
    np.testing.assert_array_equal(Session(export(model, complete_path, tmp_path), "cpu").predict(rows)["logits"], rows)


def test_its_own_probabilities_stay(tmp_path, complete_path):
    nodes = [matmul("logits"), helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)]
    outputs = [tensor("probabilities", ["batch", CLASSES]), tensor("logits", ["batch", CLASSES])]
    bundle = export(make(nodes, outputs), complete_path, tmp_path)
    assert [node.op_type for node in onnx.load(bundle.path / "model.onnx").graph.node] == ["MatMul", "Softmax"]
    assert [spec.name for spec in bundle.sidecar.signature.outputs] == ["logits", "probabilities"]


def test_weights_listed_among_the_inputs(tmp_path, complete_path):
    inputs = [tensor("x", ["batch", FEATURES]), tensor("w", [FEATURES, CLASSES])]
    model = make([matmul()], [tensor("scores", ["batch", CLASSES])], inputs=inputs)
    rows = rng.normal(size=(5, FEATURES)).astype(np.float32)
    bundle = export(model, complete_path, tmp_path)
    np.testing.assert_allclose(Session(bundle, "cpu").predict(rows)["logits"], rows @ WEIGHTS, atol=1e-5)


SCORES = [tensor("scores", ["batch", CLASSES])]
SOFTMAX = helper.make_node("Softmax", ["scores"], ["p"], axis=1)
ONE_ROW = helper.make_node("Constant", [], ["one row"], value=numpy_helper.from_array(np.array([1, CLASSES])))
ONE = helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.ones(1, dtype=np.float32)))
ARGMAX = helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (make([matmul()], SCORES, [tensor("x", [1, FEATURES])]), "dynamic batch axis, got one of fixed length 1"),
        (make([matmul()], SCORES, [tensor("x", ["batch"])]), r"one float32 input of shape \[N, 4\]; the model has 'x'"),
        (
            make([matmul()], SCORES, [tensor("x", ["batch", 4], TensorProto.DOUBLE)]),
            r"one float32 input of shape \[N, 4\]; the model has 'x' \(double \[batch, 4\]\)",
        ),
        (make([matmul()], SCORES, [tensor("x", ["batch", 4]), tensor("z", ["batch", 4])]), "one float32 input"),
        (make([matmul()], SCORES, [tensor("x", ["batch", 7])]), "an input for 4 features, the sample's"),
        (
            make([matmul(), SOFTMAX], [tensor("p", ["batch", 3]), tensor("scores", ["batch", 3])]),
            r"an output named 'logits', or just one float32 output .*'p' \(float \[batch, 3\]\), 'scores'",
        ),
        (
            make([matmul(), ARGMAX], [tensor("label", ["batch"], TensorProto.INT64)]),
            r"an output named 'logits'.*'label' \(int64 \[batch\]\)",
        ),
        (
            make(
                [ONE, matmul(), SOFTMAX, helper.make_node("Mul", ["p", "one"], ["q"])],
                [tensor("q", ["batch", CLASSES])],
            ),
            "holds probabilities: its rows sum to 1",
        ),
        (
            make(
                [matmul("logits"), helper.make_node("Sigmoid", ["logits"], ["probabilities"])],
                [tensor("logits", ["batch", 3]), tensor("probabilities", ["batch", 3])],
            ),
            "'probabilities' is not the softmax of the logits",
        ),
        (
            make([helper.make_node("ReduceSum", ["x"], ["scores"], keepdims=0)], [tensor("scores", ["batch"])]),
            r"output 'scores': expected \[N, classes\], got \[\] for 64 rows",
        ),
        (
            make([matmul(), helper.make_node("SequenceConstruct", ["scores"], ["p"])], [sequence("p")]),
            r"just one float32 output .*'p' \(not a tensor\); of scikit-learn's converter, options=.*zipmap.*False",
        ),
        (make([matmul("p")], [tensor("p", ["batch", 3], 29)]), "is not a valid ONNX file|type 29"),
        (make([matmul()], SCORES, ir_version=14), "IR version 14 and opset 15; ONNX Runtime reads up to IR version 13"),
        (make([matmul()], SCORES, opset=27, ir_version=13), "opset 27; ONNX Runtime reads"),
    ],
)
def test_models_that_are_no_classifier(model, message, tmp_path, complete_path):
    with pytest.raises(ExportError, match=message):
        export(model, complete_path, tmp_path)
    assert not (tmp_path / "bundle").exists()


def of_another_domain(*domains):
    node = helper.make_node("Classify", ["x"], ["scores"], domain="somebody.else")
    graph = helper.make_graph([node], "g", [tensor("x", ["batch", FEATURES])], SCORES)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(name, 15) for name in domains], ir_version=8)


@pytest.mark.parametrize("domains", [("somebody.else",), ("", "somebody.else")])
def test_operators_that_the_runtime_does_not_have(domains, tmp_path, complete_path):
    with pytest.raises(ExportError, match="ONNX Runtime cannot load the model: .*somebody.else"):
        export(of_another_domain(*domains), complete_path, tmp_path)


def test_a_batch_size_inside_a_reshape(tmp_path, complete_path):
    model = make([matmul("z"), ONE_ROW, helper.make_node("Reshape", ["z", "one row"], ["scores"])], SCORES)
    message = "^the model fails at batch size 64: .*Reshape[^\n]*; if a batch size is baked .* axis$"
    with pytest.raises(ParityError, match=message):
        export(model, complete_path, tmp_path)


def with_sets(nodes, outputs, sets):
    model = make(nodes, outputs)
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in sets)
    return model


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([("ai.onnx.ml", 3)], 18),
        ([("", 18), ("", 15)], 18),
        ([("", 18), ("ai.onnx", 18)], 18),
        ([("", 18), ("ai.onnx.ml", 3), ("ai.onnx.ml", 1)], 18),
    ],
)
def test_operator_sets_that_are_missing_or_doubled(sets, expected, tmp_path):
    model = read_onnx(save(with_sets([matmul()], SCORES, sets), tmp_path))
    assert [entry.version for entry in model.opset_import if not entry.domain] == [expected]
    assert len({entry.domain for entry in model.opset_import}) == len(model.opset_import)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], "not a valid ONNX file: .*opset_import"),
        ([("", 0)], "not a valid ONNX file"),
        ([("", -1)], "not a valid ONNX file"),
        (
            [("", 12), ("", 18)],
            r"model\.onnx imports the default .* \[12, 18\], and Softmax is not the same in versions",
        ),
    ],
)
def test_operator_sets_that_mean_nothing_or_two_things(sets, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        read_onnx(save(with_sets([matmul(), SOFTMAX], [tensor("p", ["batch", CLASSES])], sets), tmp_path))


def test_damaged_files_are_refused_in_one_line(tmp_path, complete_path):
    """Bytes changed, left out and put in: the file becomes a bundle, or an error of one line."""
    whole = make([matmul()], SCORES).SerializeToString()
    source, refused = ModelSource(str(tmp_path / "model.onnx"), complete_path, background=QUICK), []
    for seed in range(120):
        choice = random.Random(seed)
        content, at = bytearray(whole), choice.randrange(len(whole))
        content[at : at + choice.randrange(4)] = choice.randbytes(choice.randrange(4))
        (tmp_path / "model.onnx").write_bytes(content)
        try:
            export_bundle(source, Target(tmp_path / "bundle", overwrite=True))
        except WhyportError as error:
            refused.append(str(error))
    assert len(refused) > 60
    assert not [message for message in refused if "\n" in message]


@pytest.mark.parametrize("field", ["input", "axis", "node"])
def test_names_that_are_no_text(field, tmp_path):
    content = make([matmul("scores")], SCORES).SerializeToString()
    name = {"input": b"x", "axis": b"batch", "node": b"MatMul"}[field]
    broken = content.replace(bytes([len(name)]) + name, bytes([len(name)]) + b"\xff" * len(name))
    assert broken != content
    (tmp_path / "model.onnx").write_bytes(broken)
    with pytest.raises(ExportError, match=r"model\.onnx is not a valid ONNX file"):
        read_onnx(tmp_path / "model.onnx")


def test_the_number_of_class_names(tmp_path, complete_path):
    with pytest.raises(ExportError, match="a logit for each of the 2 classes, got 3 a row"):
        export(make([matmul()], SCORES), complete_path, tmp_path, classes=("a", "b"))


@pytest.mark.parametrize("option", [{"impute": True}, {"standardise": True}, {"weights": "w.pt"}])
def test_options_for_modules(option, tmp_path, complete_path):
    with pytest.raises(UsageError, match=f"--{next(iter(option))} is for PyTorch modules"):
        export(make([matmul()], SCORES), complete_path, tmp_path, **option)


def test_weights_in_another_file(tmp_path):
    model = make([matmul()], SCORES)
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="model.data", size_threshold=0)
    with pytest.raises(ExportError, match=r"model\.onnx keeps 1 weights in other files, 'w' among them"):
        read_onnx(tmp_path / "model.onnx")


@pytest.mark.parametrize("content", [b"", b"no protobuf", b"\xff" * 100])
def test_files_that_are_no_onnx(content, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(ExportError, match=r"bad\.onnx is not a valid ONNX file"):
        read_onnx(tmp_path / "bad.onnx")


def test_a_file_that_is_not_there(tmp_path, complete_path):
    with pytest.raises(UsageError, match="there is no file"):
        export_bundle(
            ModelSource(source=str(tmp_path / "none.onnx"), sample=complete_path), Target(tmp_path / "bundle")
        )


def test_an_exported_model_can_be_taken_again(trained, tmp_path, frame):
    """What this project writes is a plain ONNX file too, with attention that is left out and imputation inside."""
    names = [*trained.sidecar.column_names]
    frame[names].dropna().to_parquet(tmp_path / "sample.parquet")
    model, sample, targets = trained.path / "model.onnx", tmp_path / "sample.parquet", trained.sidecar.targets
    source = ModelSource(str(model), sample, classes=targets, background=QUICK)
    bundle = export_bundle(source, Target(tmp_path / "bundle"))
    rows = frame[names].dropna().to_numpy(np.float32)
    expected = Session(trained, "cpu").predict(rows)["logits"]
    np.testing.assert_allclose(Session(Bundle.read(bundle.path), "cpu").predict(rows)["logits"], expected, atol=1e-5)
    session = onnxruntime.InferenceSession(bundle.path / "model.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["logits", "probabilities"]
