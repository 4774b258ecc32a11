"""The systems of examples/seeds, from their tables to their pages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from whyport import Bundle

SEEDS = Path(__file__).parents[2] / "examples" / "seeds"


def run(system: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", SEEDS / system / "run.sh", folder], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_state_of_a_machine_by_the_hybrid(tmp_path: Path) -> None:
    run("S1", tmp_path)
    bundle = Bundle.read(tmp_path / "bundle")
    assert bundle.sidecar.targets == ("idle", "leak", "overload", "running")
    assert bundle.sidecar.provenance.metrics["test_accuracy"] > 0.8
    files = {name for name in bundle.sidecar.files if name.startswith("training/")}
    assert {"training/checkpoint.pt", "training/results.csv", "training/curves.eps"} <= files
    table = pq.read_table(tmp_path / "scored")
    assert {"deepshap.attribution.leak.pressure", "grad-cam.score.idle"} & set(table.column_names)
    assert "cannot tell" not in (tmp_path / "report.html").read_text()


def test_the_weight_of_a_part_by_a_dense_network(tmp_path: Path) -> None:
    run("S3", tmp_path)
    bundle = Bundle.read(tmp_path / "bundle")
    (target,) = bundle.sidecar.score.targets
    assert (target.name, target.unit) == ("part weight", "g")
    assert bundle.sidecar.provenance.metrics["test_r2"] > 0.9
    table = pq.read_table(tmp_path / "scored")
    measured, predicted = (table[name].to_numpy() for name in ("part weight", "prediction"))
    assert np.sqrt(np.mean((measured - predicted) ** 2)) < 0.1  # grams; the noise alone is 0.02
    # float32 resolves a score of 25 g to 2e-6 g, so that no smaller error could be told.
    assert (table["completeness_error"].to_numpy() / table["score"].to_numpy()).max() < 1e-6
    assert json.loads((tmp_path / "scored" / "_report.json").read_text())
    page = (tmp_path / "report.html").read_text()
    assert "part weight" in page
    for word in ("logit", "confusion", "predicted class"):
        assert word not in page, word


def test_the_weight_of_a_part_by_a_forest(tmp_path: Path) -> None:
    run("S2", tmp_path)
    bundle = Bundle.read(tmp_path / "bundle")
    (target,) = bundle.sidecar.score.targets
    assert (target.name, target.unit) == ("part weight", "g")
    assert bundle.sidecar.provenance.metrics["test_r2"] > 0.8
    assert bundle.sidecar.parity["native"] < 1e-5
    table = pq.read_table(tmp_path / "scored")
    errors = table["completeness_error"].to_numpy() / table["score"].to_numpy()
    assert errors.max() < 1e-6
    shares = {name: np.abs(table[f"attribution.{name}"].to_numpy()).mean() for name in bundle.sidecar.players.names}
    assert max(shares, key=shares.__getitem__) in ("holding pressure", "shot volume", "holding time")
    pictures = {path.stem.partition("-")[2] for path in (tmp_path / "pictures").iterdir()}
    assert {"measured-part-weight", "bar-treeshap-part-weight"} <= pictures


def test_whether_a_loan_is_approved_by_a_forest(tmp_path: Path) -> None:
    run("S6", tmp_path)
    bundle = Bundle.read(tmp_path / "bundle")
    assert (bundle.sidecar.targets, bundle.sidecar.score.kind) == (("no", "yes"), "probability")
    assert bundle.sidecar.provenance.metrics["test_auc"] > 0.85
    assert dict(next(g for g in bundle.sidecar.graphs if g.kind == "trees").figures)["trees"] == 150
    table = pq.read_table(tmp_path / "scored")
    for name in ("no", "yes"):
        assert table[f"completeness_error.{name}"].to_numpy().max() < 1e-6
    shares = [np.abs(table[f"attribution.yes.{name}"].to_numpy()).mean() for name in bundle.sidecar.players.names]
    assert bundle.sidecar.players.names[int(np.argmax(shares))] == "credit score"
    pictures = {path.stem.partition("-")[2] for path in (tmp_path / "pictures").iterdir()}
    drawn = ("bar-treeshap", "beeswarm-treeshap-yes", "dependence-treeshap-yes", "partial-dependence-yes", "confusion")
    assert {*drawn, "waterfall-0-predicted"} <= pictures
    page = (tmp_path / "report.html").read_text()
    assert "probability" in page
    assert "logit" not in page


def shares_of(folder: Path, name: str = "attribution") -> NDArray[np.float64]:
    values: NDArray[np.float64] = pq.read_table(folder)[name].combine_chunks().to_numpy_ndarray().astype(np.float64)
    return values


@pytest.mark.heavy
def test_whether_a_press_is_worn_by_an_lstm(tmp_path: Path) -> None:
    run("S10", tmp_path)
    bundle = Bundle.read(tmp_path / "bundle")
    assert bundle.sidecar.provenance.metrics["test_auc"] > 0.9
    for method, tolerance in {"deepshap": 1e-4, "integrated-gradients": 0.05}.items():
        table = pq.read_table(tmp_path / "scored")
        cells = shares_of(tmp_path / "scored", f"{method}.attribution")
        assert cells.shape[1:] == (24, 4)
        difference = table["score"].to_numpy() - table[f"{method}.base_value"].to_numpy()
        np.testing.assert_allclose(cells.sum((1, 2)), difference, atol=tolerance)
        sensors = np.abs(cells).sum(1).mean(0)
        assert sensors.argmax() == 2, "the vibration tells"
        # It does while the press moves down.
        assert 8 <= np.abs(cells[..., 2]).mean(0).argmax() < 16
    cells = shares_of(tmp_path / "scored", "deepshap.attribution")
    np.testing.assert_allclose(shares_of(tmp_path / "sensors"), np.abs(cells).sum(1), rtol=1e-12)
    np.testing.assert_allclose(shares_of(tmp_path / "moments"), cells.sum(2), atol=1e-12)
    pictures = {path.stem.partition("-")[2] for path in (tmp_path / "pictures").iterdir()}
    assert {"heat-deepshap-cycle-worn", "series-cycle-0-predicted", "confusion"} <= pictures


def test_the_verdict_of_a_review_by_an_encoder(tmp_path: Path) -> None:
    run("S9", tmp_path)
    table = pq.read_table(tmp_path / "scored").to_pandas()
    assert (table["prediction"] == table["verdict"]).mean() > 0.9
    assert table["deepshap.completeness_error"].max() < 1e-4
    assert table["integrated-gradients.converged"].all()
    by_word: dict[str, list[float]] = {}
    for tokens, shares in zip(table["tokens"], table["deepshap.attribution"], strict=True):
        assert tokens[0] == "[CLS]"
        assert shares[0] == shares[-1] == 0
        for before, token, share in zip(tokens, tokens[1:], shares[1:], strict=False):
            by_word.setdefault(f"{before} {token}" if before == "not" else token, []).append(share)
    mean = {word: float(np.mean(shares)) for word, shares in by_word.items()}
    assert all(mean[word] > 0 for word in ("superb", "moving", "witty"))
    assert all(mean[word] < 0 for word in ("dull", "tired", "clumsy"))
    page = (tmp_path / "report.html").read_text()
    assert "painted" in page
    assert "[CLS]" in page


def defects_found(out: Path) -> float:
    """The share of the pictures whose defect a run has named rightly."""
    table = pq.read_table(out).to_pandas()
    return float((table["prediction"] == table["defect"]).mean())


def test_where_a_surface_has_its_defect_by_class_activation_maps(tmp_path: Path) -> None:
    run("S4", tmp_path)
    assert defects_found(tmp_path / "scored") > 0.85
    table = pq.read_table(tmp_path / "scored")
    for name in ("patch", "pits", "scratch"):
        assert table.schema.field(f"attribution.{name}").type.shape == [6, 6]
        assert table[f"completeness_error.{name}"].to_numpy().max() < 1e-4
    assert "Pictures" in (tmp_path / "report.html").read_text()


def test_where_a_surface_has_its_defect_by_maps_of_every_convolution(tmp_path: Path) -> None:
    run("S5", tmp_path)
    assert defects_found(tmp_path / "scored") > 0.85
    maps = pq.read_table(tmp_path / "maps")
    sizes = [field.type.shape for field in maps.schema if field.name.startswith(("layer_map", "attribution"))]
    assert sorted(sizes) == [[12, 12], [24, 24], [48, 48]]
    assert pq.read_table(tmp_path / "scored")["completeness_error"].to_numpy().max() < 1e-4


def test_which_parts_of_a_picture_say_which_defect_it_has(tmp_path: Path) -> None:
    run("S7", tmp_path)
    table = pq.read_table(tmp_path / "scored").to_pandas()
    for rank in (1, 2):
        lengths = [len(shares) for shares in table[f"attribution.{rank}"]]
        assert lengths == [len(errors) for errors in table[f"standard_error.{rank}"]]
        assert min(lengths) >= 2
    exact = pq.read_table(tmp_path / "shapley").to_pandas().dropna(subset=["score"])
    assert len(exact) > 3
    assert exact["converged"].all()


def test_where_a_network_sees_each_of_several_defects(tmp_path: Path) -> None:
    run("S8", tmp_path)
    assert defects_found(tmp_path / "scored") > 0.85
    table = pq.read_table(tmp_path / "scored")
    for rank in (1, 2, 3):
        shares = table[f"attribution.{rank}"].combine_chunks().to_numpy_ndarray()
        assert shares.min() >= 0
        assert 0.5 < shares.max() <= 1
    assert "one_view_map" in " ".join(table.column_names)
