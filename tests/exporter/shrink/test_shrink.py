"""Bundles with smaller variants: what they compute, what is said of them, and what is refused."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.command import Whyport
from whyport.exporter.shrink.choice import VariantChoice
from whyport.exporter.shrink.makers import MAKERS
from whyport.exporter.shrink.measure import Cost, measure
from whyport.exporter.shrink.outcome import KEPT, LEFT_OUT, REFUSED, judged
from whyport.exporter.shrink.shrink import vector_rows
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.bundle.sidecar import PRECISIONS, precision_of
from whyport.runtime.bundle.variants import precisions_of
from whyport.runtime.conformance import replay
from whyport.runtime.errors import ParityError, UsageError
from whyport.runtime.session import Session

MEASURED = ("score_deviation", "changed", "drift", "rank_correlation", "completeness_error", "occlusion_drift")


@pytest.fixture(scope="module")
def shrunk(reference_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The reference bundle with every variant."""
    out = tmp_path_factory.mktemp("shrunk") / "bundle"
    return whyport.shrink(reference_bundle, out=out, keep_slower=True)


def figures(bundle: Bundle) -> dict[tuple[str, str], dict[str, float]]:
    """The figures of a bundle's variants, by variant and kind."""
    return {
        (graph.variant, graph.kind): graph.figures for graph in bundle.sidecar.graphs if precision_of(graph.variant)
    }


def test_every_variant_is_there_and_replayed(shrunk: Bundle) -> None:
    assert precisions_of(shrunk.sidecar) == PRECISIONS
    for precision in PRECISIONS:
        assert replay(Session(bundle_in(shrunk, precision), "cpu"))


def test_every_variant_is_made_described_and_known_to_javascript(whyport: Whyport) -> None:
    root = Path(__file__).parents[3]
    named = re.search(r"const PRECISIONS = (\[.*?\]);", (root / "examples" / "shared" / "sidecar.mjs").read_text())
    assert named is not None
    assert tuple(json.loads(named[1])) == tuple(MAKERS) == PRECISIONS
    page, said = (root / "docs" / "edge.md").read_text(), whyport("shrink", "--help").output
    for name in PRECISIONS:
        assert f"| `{name}` |" in page
        assert f"\n  {name}  " in said


def test_the_figures_are_those_of_a_fresh_measurement(shrunk: Bundle) -> None:
    rows, full = vector_rows(shrunk), Session(shrunk, "cpu")
    compared = 0
    for precision in PRECISIONS:
        for cost in measure(full, Session(bundle_in(shrunk, precision), "cpu"), rows):
            said = figures(shrunk).get((precision, cost.kind))
            for name in set(MEASURED) & cost.figures.keys() if said else ():
                assert said[name] == pytest.approx(cost.figures[name], rel=1e-3, abs=1e-6), (precision, name)
                compared += 1
    assert compared > 20
    for (precision, kind), said in figures(shrunk).items():
        graph = next(each for each in shrunk.sidecar.graphs if (each.variant, each.kind) == (precision, kind))
        assert said["bytes"] == (Path(shrunk.place) / graph.file).stat().st_size


def test_scores_and_changes_are_counted_by_hand(shrunk: Bundle) -> None:
    rows = vector_rows(shrunk)
    for precision in PRECISIONS:
        full, small = (
            onnxruntime.InferenceSession(Path(shrunk.place) / file, providers=["CPUExecutionProvider"])
            for file in ("model.onnx", f"model.{precision}.onnx")
        )
        a, b = (
            np.concatenate([each.run(["logits"], {"features": row[None]})[0] for row in rows]) for each in (small, full)
        )
        said = figures(shrunk)[precision, "predict"]
        assert said["changed"] == (a.argmax(1) != b.argmax(1)).mean()
        assert said["score_deviation"] == pytest.approx((np.abs(a - b) / np.maximum(1, np.abs(b))).max(), rel=1e-3)


def test_changes_near_the_border_between_two_classes_are_counted(shrunk: Bundle) -> None:
    full, small = Session(shrunk, "cpu"), Session(shrunk, "cpu", variant="int8")
    rows = np.nan_to_num(vector_rows(shrunk))
    margins = np.subtract(*full.run(rows)["logits"].T)
    between = np.linspace(0, 1, 1000, dtype=np.float32)[:, None]
    path = rows[margins.argmin()] * between + rows[margins.argmax()] * (1 - between)
    near = path[np.argsort(np.abs(np.subtract(*full.run(path)["logits"].T)))[:100]]
    a, b = (each.run(near)["logits"].argmax(1) for each in (small, full))
    cost = next(iter(measure(full, small, near)))
    assert cost.figures["changed"] == (a != b).mean() > 0.02


def test_shares_of_smaller_graphs_add_up_to_their_own_scores(shrunk: Bundle) -> None:
    rows = vector_rows(shrunk)
    for precision in ("float16", "weights-int8"):
        explained = Session(bundle_in(shrunk, precision), "cpu").explain(rows)
        assert explained.converged is not None
        assert explained.converged.all()


def test_the_bundle_itself_is_not_touched(shrunk: Bundle, reference_bundle: Path) -> None:
    original = Bundle.read(reference_bundle)
    assert precisions_of(original.sidecar) == ()
    changed = {name for name, digest in original.sidecar.files.items() if shrunk.sidecar.files[name] != digest}
    assert changed == {"conformance.json"}
    assert shrunk.sidecar.described() == original.sidecar.described()


def test_the_test_vectors_say_what_each_variant_may_deviate(shrunk: Bundle) -> None:
    document = json.loads(shrunk.read_bytes("conformance.json"))
    assert set(document["variants"]) == set(PRECISIONS)
    for precision, said in document["variants"].items():
        assert said["graphs"]["model.onnx"] == f"model.{precision}.onnx"
        assert said["tolerances"].keys() == document["tolerances"].keys()
        for name, value in said["tolerances"].items():
            assert value == shrunk.sidecar.tolerances[f"{precision}.{name}"] <= 1
    assert document["tolerances"] == shrunk.sidecar.described().tolerances


def test_a_variant_beyond_what_is_allowed_is_refused_with_its_figures(
    reference_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = lambda task, got, expected: 1  # noqa: E731
    monkeypatch.setattr("whyport.exporter.shrink.measure.changed_rows", changed)
    with pytest.raises(
        ParityError, match=r"'float16'.*model\.float16\.onnx: refused: 1 of 64 predictions changed.*x smaller"
    ):
        whyport.shrink(reference_bundle, out=tmp_path / "small", variants="float16")
    assert list(tmp_path.iterdir()) == []
    made = whyport.shrink(reference_bundle, out=tmp_path / "small", variants="float16", max_changed=1)
    assert precisions_of(made.sidecar) == ("float16",)


def test_a_variant_that_nobody_asked_for_is_left_out_where_it_changes_too_much(
    reference_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("whyport.exporter.shrink.measure.changed_rows", lambda task, got, expected: 1)
    monkeypatch.setattr("whyport.exporter.shrink.choice.PRECISIONS", ("float16",))
    made = whyport.shrink(reference_bundle, out=tmp_path / "small")
    assert precisions_of(made.sidecar) == ()
    assert "model.float16.onnx: refused: 1 of 64 predictions changed" in caplog.text


CHOICE = VariantChoice.parse("int8")
SIZES = {"rows": 400.0, "changed": 0.005, "bytes": 100.0, "full_bytes": 300.0}
TIMES = {"milliseconds_1": 1.0, "full_milliseconds_1": 1.0}


@pytest.mark.parametrize(
    ("deviation", "figures", "choice", "expected"),
    [
        (0.1, {}, CHOICE, (KEPT, "")),
        (0.1, {"changed": 0.0075}, CHOICE, (REFUSED, "3 of 400 predictions changed")),
        (1.5, {}, CHOICE, (REFUSED, "it deviates by 1.5, more than any tolerance allows")),
        (float("inf"), {}, CHOICE, (REFUSED, "it deviates by inf, more than any tolerance allows")),
        (0.1, {"drift": 0.2}, CHOICE, (REFUSED, "attributions drift more than is allowed")),
        (0.1, {"drift": 0.2}, VariantChoice.parse("int8", max_drift="20%"), (KEPT, "")),
        (0.1, {"bytes": 290.0}, CHOICE, (LEFT_OUT, "not smaller")),
        (0.1, {"milliseconds_1": 1.2}, CHOICE, (LEFT_OUT, "slower")),
        (0.1, {"milliseconds_1": 1.2}, VariantChoice.parse("int8", keep_slower=True), (KEPT, "")),
    ],
)
def test_what_becomes_of_a_graph(
    deviation: float, figures: dict[str, float], choice: VariantChoice, expected: tuple[str, str]
) -> None:
    found = judged(Cost("predict", None, {}, {"outputs": deviation}), SIZES | TIMES | figures, choice)
    assert found == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variants": "int4"}, "variants: unknown variant 'int4'"),
        ({"max_changed": "many"}, "max_changed: expected a count such as 1000 or a share such as 1%, got 'many'"),
        ({"max_drift": "3"}, "max_drift: expected a share such as 10%, got '3'"),
    ],
)
def test_options_that_are_wrong(reference_bundle: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        whyport.shrink(reference_bundle, **options)


def test_trees_need_no_variant(tree_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which is made of trees: they need no smaller variant"):
        whyport.shrink(tree_bundle, out=tmp_path / "small")


def test_a_signed_bundle_is_not_changed(reference_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(reference_bundle, tmp_path / "signed"))
    (bundle / "model.sig").write_text("{}")
    with pytest.raises(UsageError, match="is signed: its signature would not fit; --out makes a copy without it"):
        whyport.shrink(bundle)
    made = whyport.shrink(bundle, out=tmp_path / "copy", variants="float16", keep_slower=True)
    assert not (Path(made.place) / "model.sig").exists()


def test_rows_of_ones_own_are_measured_with(whyport: Whyport, reference_bundle: Path, tmp_path: Path) -> None:
    rows = vector_rows(Bundle.read(reference_bundle))[:40]
    names = Bundle.read(reference_bundle).sidecar.column_names
    pq.write_table(pa.table(dict(zip(names, np.nan_to_num(rows).T, strict=True))), tmp_path / "rows.parquet")
    command = (
        "shrink",
        reference_bundle,
        "--rows",
        tmp_path / "rows.parquet",
        "--variants",
        "float16",
        "--keep-slower",
    )
    said = whyport(*command, "--out", tmp_path / "small").output
    assert "model.float16.onnx: kept" in said
    assert "of 40 predictions changed" in said
    again = whyport(*command, "--out", tmp_path / "small", exit_code=2).output
    assert "exists; --overwrite replaces it" in again


def test_variants_are_replaced_by_name(reference_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(reference_bundle, tmp_path / "bundle"))
    (bundle / "notes").mkdir()
    (bundle / "notes" / "mine.txt").write_text("kept")
    for names in ("float16", "weights-int8", "float16"):
        made = whyport.shrink(bundle, variants=names, keep_slower=True)
    assert set(precisions_of(made.sidecar)) == {"float16", "weights-int8"}
    assert set(json.loads(made.read_bytes("conformance.json"))["variants"]) == {"float16", "weights-int8"}
    assert list(tmp_path.iterdir()) == [bundle]
    assert (bundle / "notes" / "mine.txt").read_text() == "kept"  # and no file of the bundle's
    assert "notes/mine.txt" not in made.sidecar.files
