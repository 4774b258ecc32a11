"""Rows of varying length: masks of any type, buckets of their own graphs, and references cut to the row."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import whyport
from support.padded_networks import (
    MaskedMean,
    network,
    table,
    write,
)
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.rows import CleanBatch
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.targets import TargetChoice
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.buckets import variant_name
from whyport.runtime.bundle.columns import LENGTH
from whyport.runtime.bundle.lengths import padding
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL
from whyport.runtime.errors import BundleFormatError, ExportError, MissingValueError, ParityError, UsageError
from whyport.runtime.inputs.feeds import input_feeds
from whyport.runtime.session import Session

STEPS = [1 + i % 5 for i in range(60)]


def export(folder: Path, model: str, *inputs: str, rows: Any = None, **options: Any) -> Session:
    """A session of the network's bundle, made without graphs that explain unless these are asked for."""
    sample = write(str(folder / "sample.parquet"), table({"x": STEPS}) if rows is None else rows)
    given = {"explain_references": 0, "background": "5", "standardise": True} | options
    source, chosen = f"support.padded_networks:{model}", inputs or ("x=sequence:x:buckets=3|5",)
    bundle = whyport.export(source, sample, folder / "bundle", input=chosen, **given)
    return Session(bundle)


def attributed(session: Session, rows: np.ndarray, method: str) -> Attribution:
    """The attributions of the predicted class of rows [N, F]."""
    choice = TargetChoice.parse("predicted", session.task)
    scorer = Scorer(session, (method,), choice, ExplainSettings())
    return scorer.explain(scorer.predict(CleanBatch.of_matrix(rows))).attributions[method]


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Two buckets, with everything that explains."""
    return export(tmp_path_factory.mktemp("masked"), "masked_mean", explain_references=3)


@pytest.fixture(scope="module")
def rows(masked: Session) -> np.ndarray:
    """Rows of every length that were in no sample."""
    return masked.matrix(table({"x": STEPS[:30]}, seed=1))


def test_every_bucket_but_the_longest_has_graphs_of_its_own(masked: Session) -> None:
    graphs = {(graph.kind, graph.variant) for graph in masked.bundle.sidecar.graphs}
    kinds = ("predict", "torch", "deepshap", "explain", "gradient")
    assert graphs == {(kind, variant) for kind in kinds for variant in (None, variant_name([3]))}
    assert masked.bucket(1).bundle.sidecar.signature.inputs[0].shape == ("N", 3, 2)


def test_a_row_has_the_scores_of_its_own_steps_in_each_bucket(masked: Session, rows: np.ndarray) -> None:
    in_its_bucket = masked.run(rows)["logits"]
    in_the_longest = masked.run(input_feeds(masked.bundle.sidecar.inputs, rows))["logits"]
    np.testing.assert_allclose(in_its_bucket, in_the_longest, rtol=0, atol=1e-6)
    model, (column,) = network(MaskedMean), masked.bundle.sidecar.columns
    mean, spread = (
        np.array([getattr(channel.numbers, name) for channel in column.channels])
        for name in ("mean", "standard_deviation")
    )
    for row, got in zip(rows, in_its_bucket, strict=True):
        steps = int(row[-1])
        own = (row[: 2 * steps].reshape(1, steps, 2) - mean) / spread
        with torch.no_grad():
            expected = model(torch.from_numpy(own).float(), torch.ones(1, steps, dtype=torch.bool))
        np.testing.assert_allclose(got, expected[0].numpy(), rtol=0, atol=1e-5)


def test_a_longer_bucket_gives_the_same_attributions(masked: Session, rows: np.ndarray) -> None:
    short = rows[rows[:, -1] == 2]
    index = np.zeros(len(short), dtype=np.int64)
    in_its_bucket = masked.run_graph(EXPLAIN_MODEL, short, index)["attribution"]
    feeds = input_feeds(masked.bundle.sidecar.inputs, short)
    in_the_longest = masked.run_graph(EXPLAIN_MODEL, feeds, index)["attribution"]
    np.testing.assert_allclose(in_its_bucket, in_the_longest, rtol=0, atol=1e-6)
    assert np.abs(in_its_bucket).max() > 1e-3


@pytest.mark.parametrize("method", ["deepshap", "integrated-gradients", "expected-gradients", "shapley", "occlusion"])
def test_shares_are_of_the_rows_own_steps_in_whatever_bucket(masked: Session, rows: np.ndarray, method: str) -> None:
    sidecar = masked.bundle.sidecar
    found = attributed(masked, rows, method)
    beyond = padding(sidecar.lengths, rows)
    beyond[:, [feature.kind == LENGTH for feature in sidecar.features]] = True
    assert (found.values[beyond] == 0).all()
    assert (np.abs(found.values[~beyond]) > 0).mean() > 0.9
    for own in (rows[rows[:, -1] == steps] for steps in (2, 3, 5)):
        np.testing.assert_allclose(
            attributed(masked, own, method).values.sum(),
            found.values[rows[:, -1] == own[0, -1]].sum(),
            rtol=1e-4,
            atol=1e-5,
        )  # the length's rows alone give what they give among others


@pytest.mark.parametrize("method", ["deepshap", "integrated-gradients", "expected-gradients"])
def test_shares_add_up_to_the_score_against_references_of_the_rows_length(
    masked: Session, rows: np.ndarray, method: str
) -> None:
    found, background = attributed(masked, rows, method), References.read(masked.bundle)
    assert found.converged is not None
    assert found.converged.all()
    scores = masked.run(rows)["logits"]
    for i, row in enumerate(rows):
        steps = int(row[-1])
        cut = background.rows.copy()
        cut[:, 2 * steps : -1] = 0
        cut[:, -1] = steps
        if method == "integrated-gradients":
            cut = cut.mean(axis=0, keepdims=True)
        base = masked.run(cut)["logits"][:, found.target[i]].mean()
        assert found.base_value[i] == pytest.approx(base, abs=1e-5)
        assert scores[i, found.target[i]] == pytest.approx(found.base_value[i] + found.values[i].sum(), abs=1e-2)


def test_integrated_gradients_are_the_path_integral_of_the_network_at_the_rows_length(
    masked: Session, rows: np.ndarray
) -> None:
    found, background = attributed(masked, rows, "integrated-gradients"), References.read(masked.bundle)
    model, (column,) = network(MaskedMean).double(), masked.bundle.sidecar.columns
    mean, spread = (
        torch.tensor([getattr(channel.numbers, name) for channel in column.channels], dtype=torch.float64)
        for name in ("mean", "standard_deviation")
    )
    nodes, weights = np.polynomial.legendre.leggauss(64)
    for i in range(0, len(rows), 4):
        steps = int(rows[i, -1])
        end, start = (
            torch.from_numpy(values[: 2 * steps].reshape(steps, 2).astype(np.float64))
            for values in (rows[i], background.rows.mean(axis=0))
        )
        at = torch.from_numpy((nodes + 1) / 2)[:, None, None]
        path = (start + at * (end - start)).requires_grad_()
        scores = model((path - mean) / spread, torch.ones(64, steps, dtype=torch.bool))[:, found.target[i]]
        (gradient,) = torch.autograd.grad(scores.sum(), path)
        expected = (torch.from_numpy(weights / 2)[:, None, None] * gradient).sum(0) * (end - start)
        np.testing.assert_allclose(found.values[i, : 2 * steps], expected.reshape(-1).numpy(), rtol=0, atol=2e-3)


def test_rows_of_several_lengths_in_one_call_of_a_graph_have_no_reasons(masked: Session, rows: np.ndarray) -> None:
    feeds = input_feeds(masked.bundle.sidecar.inputs, rows[[0, 1]])
    given = masked.run_graph(EXPLAIN_MODEL, feeds, np.zeros(2, dtype=np.int64))
    assert np.isnan(given["attribution"]).all()
    assert np.isfinite(masked.explain(table({"x": STEPS[:5]})).values).all()


def test_a_row_whose_mask_has_holes_has_no_score(masked: Session, rows: np.ndarray) -> None:
    feeds = input_feeds(masked.bundle.sidecar.inputs, rows[rows[:, -1] >= 3])
    whole = masked.run(feeds)["logits"]
    feeds["x_mask"][::2, 1] = 0
    got = masked.run(feeds)["logits"]
    assert np.isnan(got[::2]).all()
    np.testing.assert_array_equal(got[1::2], whole[1::2])


@pytest.mark.parametrize("kind", ["predict", "torch", "explain"])
def test_a_bucket_without_a_graph_of_the_longest_is_refused(masked: Session, tmp_path: Path, kind: str) -> None:
    copy = Path(shutil.copytree(masked.bundle.path, tmp_path / "copy"))
    document = json.loads((copy / "bundle.json").read_text())
    document["graphs"] = [each for each in document["graphs"] if (each["kind"], each["variant"]) != (kind, "steps-3")]
    (copy / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(BundleFormatError, match=f"expected one of kind '{kind}' and variant 'steps-3'"):
        Session(copy)


@pytest.mark.parametrize("kind", ["with_float_mask", "with_int_mask"])
def test_a_mask_is_of_the_type_that_the_network_takes(tmp_path: Path, kind: str) -> None:
    session = export(tmp_path, kind, "x=sequence:x:buckets=5")
    assert [spec.name for spec in session.bundle.sidecar.signature.inputs] == ["x", "x_mask"]


def test_the_mask_may_be_called_attention_mask(tmp_path: Path) -> None:
    session = export(tmp_path, "attention_mask", "x=sequence:x:buckets=5")
    assert session.bundle.sidecar.signature.inputs[1].name == "attention_mask"


def test_without_a_choice_the_buckets_follow_from_the_longest_row(tmp_path: Path) -> None:
    session = export(tmp_path, "masked_mean", "x=sequence:x", rows=table({"x": [1 + i % 9 for i in range(60)]}))
    assert session.bundle.sidecar.lengths[0].buckets == (4, 9)


def test_a_network_whose_scores_depend_on_padding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="the scores of a row depend on its padding: expected the same with 3 steps"):
        export(tmp_path, "padded")


def test_padding_is_compared_where_the_sample_has_long_rows_alone(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="the scores of a row depend on its padding"):
        export(tmp_path, "padded", rows=table({"x": [5] * 60}))


def test_attention_weights_of_varying_shape_are_left_out(tmp_path: Path) -> None:
    session = export(tmp_path, "attentive")
    assert not session.bundle.sidecar.capabilities["attention"].available
    assert np.isfinite(session.predict(table({"x": STEPS[:9]}))["logits"]).all()


def test_a_network_without_a_mask_takes_rows_of_the_buckets_lengths(tmp_path: Path) -> None:
    session = export(tmp_path, "unmasked", rows=table({"x": [3, 5] * 30}))
    given = table({"x": [3, 5, 3, 5]}, seed=2)
    assert np.isfinite(session.predict(given)["logits"]).all()
    found = attributed(session, session.matrix(given), "deepshap")
    assert found.error.max() < 1e-5
    with pytest.raises(MissingValueError, match="row 0: expected a list of 3 or 5 steps of 2 numbers, got 4"):
        session.predict(table({"x": [4]}))


@pytest.mark.parametrize(("kind", "value"), [("zero", [0.0, 0.0]), ("mean", None)])
def test_references_of_constant_steps_are_one_row_that_the_sidecar_names(
    tmp_path: Path, kind: str, value: list[float] | None
) -> None:
    session = export(tmp_path, "masked_mean", f"x=sequence:x:buckets=5,references={kind}")
    sidecar, background = session.bundle.sidecar, References.read(session.bundle)
    (column,) = sidecar.columns
    expected = value or [channel.numbers.mean for channel in column.channels]
    np.testing.assert_allclose(background.rows[:, :-1], np.tile(expected, 5)[None], rtol=1e-6)
    assert sidecar.baselines[0].method == ("x: steps of zeros" if value else "x: steps of every feature's mean")


def test_an_unknown_kind_of_references_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="references: unknown kind 'median'.*'rows', 'mean', 'zero'"):
        export(tmp_path, "masked_mean", "x=sequence:x:buckets=5,references=median")


def test_two_sequences_have_lengths_of_their_own_and_buckets_together(tmp_path: Path) -> None:
    lengths = {"x": STEPS, "y": [1 + i % 3 for i in range(60)]}
    both = ("x=sequence:x:buckets=2|5", "y=sequence:y:buckets=1|3")
    session = export(tmp_path, "two_sequences", *both, rows=table(lengths))
    variants = {graph.variant for graph in session.bundle.sidecar.graphs}
    assert variants == {None, "steps-2-1"}
    rows = session.matrix(table(lengths, seed=1))
    found = attributed(session, rows, "deepshap")
    assert found.error.max() < 1e-5
    assert (found.values[padding(session.bundle.sidecar.lengths, rows)] == 0).all()
    feeds = input_feeds(session.bundle.sidecar.inputs, rows)
    np.testing.assert_allclose(session.run(rows)["logits"], session.run(feeds)["logits"], rtol=0, atol=1e-6)


def test_a_network_that_takes_no_mask_of_any_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="the network fails with a mask of any type: bool: .*; float32: .*; int64: "):
        export(tmp_path, "with_half_mask", "x=sequence:x:buckets=5")
