"""explain.onnx and gradient.onnx are compiled, verified against TorchScript, or left out with the reason."""

import dataclasses

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from whyport.exporter.data import samples
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.data.samples import Samples
from whyport.exporter.data.statistics import describe_columns
from whyport.exporter.deepshap import build_program, compile_deepshap
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.graph import Graph, build_graph
from whyport.exporter.graphs.onnx import open_onnx
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.exporter.graphs.torchscript import compile_torchscript, load_torchscript
from whyport.exporter.reasons import budget
from whyport.exporter.reasons import portable as reasons
from whyport.exporter.reasons.exact import Exact, exact_attributions
from whyport.exporter.reasons.portable import PortableGraphs, compile_portable
from whyport.exporter.reasons.summary import Attributions, summarise
from whyport.exporter.verify.reasons import verify_explain, verify_gradient
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.bundle.columns import IMPUTE
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, GRADIENT_MODEL, Provenance
from whyport.runtime.errors import ParityError, UsageError
from whyport.runtime.task import Classification

TASK = Classification(("a", "b", "c"))


class Network(torch.nn.Module):
    """Recurrent, with a maximum of three, a normalisation and an attention-like softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.LSTM(2, 3, batch_first=True, bidirectional=True)
        self.norm = torch.nn.LayerNorm(6)
        self.head = torch.nn.Linear(6, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        sequence = self.norm(self.layer(rows.reshape(-1, 3, 2))[0])
        weights = torch.softmax(sequence.sum(2), 1)
        return self.head(sequence.amax(1) + (weights.unsqueeze(2) * sequence).sum(1))


@pytest.fixture(scope="module")
def draft() -> Draft:
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(300, 6)) * [1, 10, 100, 1, 2, 3] + [0, 5, 0, 1, 2, 3]).astype(np.float32)
    rows[::7, 2] = np.nan
    features = describe_columns([f"f{i}" for i in range(6)], list(rows.T.astype(np.float64)), missing=IMPUTE)
    references = References(rows[:60], np.arange(1, 61) / 1830)
    provenance = Provenance("test", {}, 0, None, {}, {})
    return Draft("test", ("a", "b", "c"), features, True, provenance, references, Samples(rows, 0, missing=True))


@pytest.fixture(scope="module")
def graph(draft: Draft) -> Graph:
    torch.manual_seed(0)
    preprocess = build_preprocessing(draft.features, standardise=True)
    return build_graph(Network(), preprocess, draft.trace_rows())


@pytest.fixture(scope="module")
def compiled(draft: Draft, graph: Graph) -> PortableGraphs:
    finite = torch.from_numpy(draft.impute(draft.trace_rows().numpy()))
    return compile_portable(draft, graph, build_program(graph.module, finite), 18)


@pytest.fixture(scope="module")
def probes(draft: Draft) -> np.ndarray:
    return draft.probes(257, samples.PROBE)


@pytest.fixture(scope="module")
def exact(draft: Draft, graph: Graph, compiled: PortableGraphs, probes: np.ndarray) -> Exact:
    finite = torch.from_numpy(draft.impute(draft.trace_rows().numpy()))
    assert compiled.references is not None
    deepshap = load_torchscript(compile_deepshap(graph.module, finite)).double()
    return exact_attributions(deepshap, draft.impute(probes), compiled.references)


def test_it_agrees_with_torchscript_at_every_batch_size(
    compiled: PortableGraphs, probes: np.ndarray, exact: Exact
) -> None:
    assert all(capability.available for capability in compiled.capabilities.values())
    parity = verify_explain(compiled.files[EXPLAIN_MODEL].session, probes, exact, TASK, TOLERANCES)
    assert max(parity.outputs, parity.reasons, parity.completeness) < 1e-5
    assert min(parity.outputs, parity.reasons, parity.completeness) > 0


def test_its_operators_are_plain_and_its_batch_is_dynamic(compiled: PortableGraphs) -> None:
    for model in (file.model for file in compiled.files.values()):
        assert {(entry.domain, entry.version) for entry in model.opset_import} == {("", 18)}
        assert {node.domain for node in model.graph.node} == {""}
        assert model.ir_version == 10
        for value in [*model.graph.input, *model.graph.output]:
            assert value.type.tensor_type.shape.dim[0].dim_param == "N"
            assert value.type.tensor_type.elem_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT64)


def test_gradients_agree_with_torchscript(
    draft: Draft, graph: Graph, compiled: PortableGraphs, probes: np.ndarray
) -> None:
    spread = np.array([column.spread for column in draft.features])
    torchscript = load_torchscript(compile_torchscript(graph, draft.trace_rows()))
    session = compiled.files[GRADIENT_MODEL].session
    parity = verify_gradient(session, probes, torchscript, spread, TASK, TOLERANCES)
    assert 0 < max(parity.outputs, parity.reasons) < 1e-5
    torch.manual_seed(1)
    other = build_graph(Network(), build_preprocessing(draft.features, standardise=True), draft.trace_rows())
    others = load_torchscript(compile_torchscript(other, draft.trace_rows()))
    with pytest.raises(ParityError, match="ONNX Runtime's reasons: expected a deviation of at most 0.0001, got"):
        verify_gradient(session, probes, others, spread, TASK, TOLERANCES)


def test_a_tampered_constant_is_a_breach(compiled: PortableGraphs, probes: np.ndarray, exact: Exact) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(compiled.files[EXPLAIN_MODEL].model)
    weights = compiled.references.weights.astype(np.float32)
    tampered = 0
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.size == len(weights) and np.allclose(values.reshape(-1), weights):
            tensor.CopyFrom(numpy_helper.from_array(values * np.float32(1.01), tensor.name))
            tampered += 1
    assert tampered
    with pytest.raises(ParityError, match=r"(attribution|completeness_error): ONNX Runtime's reasons: expected"):
        verify_explain(open_onnx(model.SerializeToString()), probes, exact, TASK, TOLERANCES)


def test_without_references_there_is_none(draft: Draft, graph: Graph) -> None:

    made = compile_portable(
        dataclasses.replace(draft, summary=0), graph, build_program(graph.module, torch.ones(5, 6)), 18
    )
    assert made.files == {}
    assert {c.reason for c in made.capabilities.values()} == {"it was left out, by --explain-references 0"}
    with pytest.raises(UsageError, match="--explain-references: expected at least 0, got -1"):
        BackgroundChoice.parse(None, -1)


def test_a_graph_of_too_many_operators_is_left_out(draft: Draft, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "SECONDS", 1)
    program = build_program(graph.module, torch.ones(5, 6))
    made = compile_portable(draft, graph, program, 18)
    assert made.references is None
    count = len(program.steps)
    assert {c.reason for c in made.capabilities.values()} == {
        f"a portable graph of {count} operators: expected at most 1 CPU seconds to compile it, got an estimate of "
        f"{count * 0.1:.0f}"
    }


def test_the_nearest_summary_is_kept_and_no_weight_is_lost(
    draft: Draft, graph: Graph, compiled: PortableGraphs
) -> None:
    summary, references = compiled.summary, compiled.references
    assert summary is not None
    assert references is not None
    assert summary.rows == len(references.rows) == len(references.weights) <= 10
    np.testing.assert_allclose(references.weights.sum(), 1)
    assert (references.weights > 0).all()
    assert summary.figures[summary.method] == min(summary.figures.values())
    assert summary.figures[summary.method] < 0.7 * summary.figures["random rows"]
    program = build_program(graph.module, torch.ones(5, 6))
    held_out = draft.impute(draft.probes(reasons.SAMPLE_ROWS, samples.HELD_OUT))
    attributions = Attributions(program, held_out, draft.task)
    whole, got = attributions.against(draft.background()), attributions.against(references)
    distance = np.abs(got - whole).sum() / np.abs(whole).sum()
    np.testing.assert_allclose(distance, summary.figures[summary.method], rtol=1e-6)


def test_a_background_that_is_small_enough_is_taken_whole(draft: Draft, graph: Graph) -> None:
    few = References(draft.background().rows[:4], np.array([0.1, 0.2, 0.3, 0.4]))
    program = build_program(graph.module, torch.ones(5, 6))
    rows = draft.background().rows
    small = dataclasses.replace(draft, references=few, summary=10)
    references, summary = summarise(program, small, (rows[4:8], rows[8:12]))
    np.testing.assert_array_equal(references.rows, few.rows)
    np.testing.assert_array_equal(references.weights, few.weights)
    assert (summary.method, summary.figures) == ("the whole background", {"the whole background": 0.0})


def test_a_trained_bundle_has_both_graphs(trained: Bundle) -> None:
    assert {EXPLAIN_MODEL, GRADIENT_MODEL} <= set(trained.sidecar.files)
    parity = trained.sidecar.parity
    assert parity["explain_attributions"] < 1e-4
