"""A bundle of a table with categories: every engine gives the same of every code, and shares are of columns."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from support.categories import (
    category_column,
    category_columns,
    category_draft,
    category_encoding,
    every_code,
    network_of,
)
from whyport.exporter.bundle.package import make_package
from whyport.exporter.bundle.write import write_bundle
from whyport.exporter.deepshap import build_program, trace_program
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.kinds.pytorch import compile_network
from whyport.exporter.reasons.summary import summarise
from whyport.exporter.verify.scores import check_meaning
from whyport.runtime.bundle.columns import Categories
from whyport.runtime.bundle.folder import Bundle, write_sidecar
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import BACKGROUND, CONFORMANCE, CONFORMANCE_JSON, EXPLAIN_MODEL, GRADIENT_MODEL
from whyport.runtime.bundle.vectors import read_parquet, to_parquet
from whyport.runtime.conformance import replay
from whyport.runtime.errors import BundleError, BundleFormatError
from whyport.runtime.inputs.feeds import graph_feeds
from whyport.runtime.providers import CUDA
from whyport.runtime.runner import Runner
from whyport.runtime.session import Session

COLUMNS = category_columns()
ENCODING = category_encoding(COLUMNS)
ROWS = every_code(COLUMNS)


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_network(network_of(ENCODING.width), category_draft(COLUMNS, ENCODING))


@pytest.fixture(scope="module")
def bundle(compiled, tmp_path_factory) -> Bundle:
    package = make_package(category_draft(COLUMNS, ENCODING), compiled, {})
    return write_bundle(tmp_path_factory.mktemp("categories") / "bundle", package)


@pytest.fixture(scope="module")
def session(bundle) -> Session:
    return Session(bundle, "cpu")


def imputed(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    values = [np.nan if column.imputation is None else column.imputation for column in COLUMNS]
    return np.where(np.isnan(rows), np.array(values, dtype=np.float32), rows)


def standardised_cells(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """The oracle of what a network takes, [N, P]."""
    cells = ENCODING(torch.from_numpy(imputed(rows))).detach().double().numpy()
    for column, places in zip(COLUMNS, ENCODING.cells, strict=True):
        if column.numbers is not None:
            cells[:, places] = (cells[:, places] - column.statistics.mean) / column.spread
    return cells


def by_columns(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([cells[..., list(places)].sum(axis=-1) for places in ENCODING.cells], axis=-1)


def test_every_engine_gives_the_same_of_every_code(compiled, session):
    network = network_of(ENCODING.width).double()
    with torch.no_grad():
        expected = network(torch.from_numpy(standardised_cells(ROWS))).numpy()
    module = compiled.torchscript.module
    rows = torch.from_numpy(ROWS)
    for logits in (
        session.run(ROWS)["logits"],
        module(rows)[0].numpy(),
        module.scored(module.cells(rows))[0].numpy(),
        compiled.graph.module(rows)[0].numpy(),
    ):
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_the_sidecar_says_whose_each_cell_is(bundle):
    assert bundle.sidecar.players.cells == ENCODING.cells
    assert bundle.sidecar.players.names == tuple(column.name for column in COLUMNS)
    assert [tensor.dtype for tensor in bundle.sidecar.signature.inputs] == [
        *("float32", "string", "string", "float32", "string", "float32", "float32")
    ]
    assert "no derivative" in bundle.sidecar.capabilities["gradient-onnx"].reason
    with pytest.raises(BundleError, match=r"has no gradient\.onnx: a category has no derivative"):
        Session(bundle, "cpu").run_graph(GRADIENT_MODEL, ROWS, np.zeros(len(ROWS), dtype=np.int64))


def test_gradients_of_cells_are_those_of_the_network(compiled):
    network = network_of(ENCODING.width).double()
    given = torch.from_numpy(standardised_cells(ROWS)).requires_grad_()
    (expected,) = torch.autograd.grad(network(given)[:, 1].sum(), given)
    module = compiled.torchscript.module
    cells = module.cells(torch.from_numpy(imputed(ROWS))).requires_grad_()
    (gradient,) = torch.autograd.grad(module.scored(cells)[0][:, 1].sum(), cells)
    spread = np.repeat([column.spread for column in COLUMNS], [len(cells) for cells in ENCODING.cells])
    np.testing.assert_allclose(gradient.numpy() * spread, expected, rtol=1e-4, atol=1e-6)


def test_the_share_of_a_column_is_the_sum_of_its_cells(bundle, session):
    """deepshap.pt and explain.onnx against a program of cells alone, and both add up."""
    network = network_of(ENCODING.width)
    cells = torch.from_numpy(standardised_cells(ROWS))
    references = References.summary(bundle)
    of_cells = build_program(network, cells[:5].float()).double()
    reference_cells = torch.from_numpy(standardised_cells(references.rows))
    weights = torch.from_numpy(references.weights)
    with torch.no_grad():
        shares = of_cells.attribute(of_cells.activations(cells), of_cells.activations(reference_cells), weights)
        logits = network.double()(cells).numpy()
        base_values = weights.numpy() @ network(reference_cells).numpy()
    expected = by_columns(shares.numpy())
    np.testing.assert_allclose(expected.sum(axis=2), logits - base_values, atol=1e-9)
    program = load_torchscript(bundle.read_bytes("deepshap.pt")).double()
    got = program.attribute(
        program.activations(torch.from_numpy(imputed(ROWS)).double()),
        program.activations(torch.tensor(references.rows).double()),
        weights,
    )
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-5)
    for target in (0, 1):
        outputs = session.run_graph(EXPLAIN_MODEL, ROWS, np.full(len(ROWS), target))
        np.testing.assert_allclose(outputs["attribution"], expected[:, target], rtol=1e-4, atol=1e-5)
        assert outputs["completeness_error"].max() < 1e-5


def test_attributions_of_a_linear_model_over_cells_have_a_closed_form():
    """One-hot and embedding alike: the sum over a column's cells of weight x (cell - mean cell of the references)."""
    network = network_of(ENCODING.width, linear=True)
    preprocess = build_preprocessing(COLUMNS, standardise=True, encoding=ENCODING)
    traced = torch.from_numpy(imputed(ROWS[:5]))
    graph = build_graph(network, preprocess, traced, encoding=ENCODING)
    program = build_program(graph.of_cells, traced, encoding=graph.encoding)
    draft = category_draft(COLUMNS, ENCODING)
    references = draft.background()
    weights = torch.from_numpy(references.weights)
    compiled = load_torchscript(trace_program(program, traced)).double()
    program = program.double()
    rows, others = (torch.from_numpy(values).double() for values in (imputed(ROWS), references.rows))
    change = standardised_cells(ROWS) - references.weights @ standardised_cells(references.rows)
    expected = by_columns(change[:, None] * network.weight.detach().double().numpy())
    with torch.no_grad():
        for each in (program, compiled):
            got = each.attribute(each.activations(rows), each.activations(others), weights)
            np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_test_vectors_hold_what_the_graphs_take(bundle, session):
    deviations = replay(session)
    assert max(deviations.values()) < 1e-4
    assert f"{EXPLAIN_MODEL} attribution" in deviations
    table = read_parquet(bundle.read_bytes(CONFORMANCE))
    colours = {texts[0] for texts in table.column("colour").to_pylist()}
    assert colours >= {"red", "green", "blue", ""}
    assert len(colours) == 5
    document = json.loads(bundle.read_bytes(CONFORMANCE_JSON))
    assert document["graphs"]["model.onnx"]["inputs"] == [spec.name for spec in bundle.sidecar.signature.inputs]
    for name in ("colour", "smoker", "features (column)"):
        values = table.column(name).to_pylist()[: len(document["tensors"][name])]
        assert document["tensors"][name] == [[None if value != value else value] for [value] in values]


@pytest.mark.parametrize("code", [5.0, -1.0, 0.5])
def test_a_reference_with_a_code_that_stands_for_nothing_is_refused(bundle, tmp_path, code):
    path = tmp_path / "bundle"
    shutil.copytree(bundle.path, path)
    references = References.read(bundle)
    rows = references.rows.copy()
    rows[3, 1] = code
    (path / BACKGROUND).write_bytes(to_parquet({"features": rows, "weight": references.weights}))
    write_sidecar(path, dataclasses.replace(bundle.sidecar, files={}))
    with pytest.raises(BundleFormatError, match=f"column 'colour': expected codes from 0 to 4, got {code:g} in row 3"):
        References.read(Bundle.read(path))


def test_the_tensors_themselves_are_taken_too(session):
    tensors = {
        "height": np.array([[170.0], [np.nan]], dtype=np.float32),
        "colour": np.array([["blue"], ["purple"]], dtype=object),
        "features (column)": np.array([["a"], [""]], dtype=object),
        "dose": np.array([[1.0], [2.0]], dtype=np.float32),
        "town": np.array([["town 07"], ["elsewhere"]], dtype=object),
        "smoker": np.array([[1.0], [np.nan]], dtype=np.float32),
        "year": np.array([[2.5], [1999.0]], dtype=np.float32),
    }
    codes = np.array([[170, 2, 0, 1, 7, 1, 2], [np.nan, 3, 3, 2, 20, 3, 3]], dtype=np.float32)
    got, expected = session.run(tensors), session.run(codes)
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values)
    index = np.zeros(2, dtype=np.int64)
    of_tensors, of_codes = (session.run_graph(EXPLAIN_MODEL, rows, index) for rows in (tensors, codes))
    np.testing.assert_array_equal(of_tensors["attribution"], of_codes["attribution"])


def test_texts_never_go_to_the_card_themselves(bundle, session):
    """Where no card is, an array bound to one is an error; ONNX Runtime takes the texts from the CPU instead."""
    runner = Runner("model.onnx", bundle.read_bytes("model.onnx"), "cpu", 1)
    runner.provider = CUDA
    sidecar = bundle.sidecar
    feeds = graph_feeds(sidecar.columns, sidecar.signature.inputs, ROWS)
    got = runner.run(feeds, sidecar.signature.outputs)
    np.testing.assert_array_equal(got["logits"], session.run(ROWS)["logits"])


def test_a_call_that_explains_takes_fewer_rows_the_more_cells_they_have(bundle, monkeypatch):
    asked = []
    monkeypatch.setattr("whyport.runtime.session.rows_per_call", lambda cells: asked.append(cells) or {"cpu": 3})
    Session(bundle, "cpu").run_graph(EXPLAIN_MODEL, ROWS[:4], np.zeros(4, dtype=np.int64))
    assert asked == [ENCODING.width]


def test_a_table_of_categories_alone_has_fewer_different_rows_than_clusters():
    """Four different rows: no cluster is empty, and no reference is between categories."""
    columns = (COLUMNS[2], category_column("sex", Categories("text", ("f", "m"), (40, 60), 0, 0)))
    encoding = category_encoding(columns)
    draft = category_draft(columns, encoding)
    compiled = compile_network(network_of(encoding.width), draft)
    check_meaning(draft, compiled)
    traced = torch.from_numpy(draft.probes(5, 0))
    program = build_program(compiled.graph.of_cells, traced, encoding=encoding.compiled())
    references, summary = summarise(program, draft, (draft.probes(20, 4), draft.probes(20, 5)))
    assert set(summary.figures) == {"random rows", "k-means rows", "fitted rows"}
    assert {tuple(row) for row in references.rows} <= {tuple(row) for row in draft.references.rows}
    np.testing.assert_allclose(references.weights.sum(), 1)
