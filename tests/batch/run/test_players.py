"""Groups of columns through a whole run: written, resumed, audited and shown."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport as library
from support.bundles import WEIGHTS, logits_of
from support.command import Whyport
from whyport import audit
from whyport.runtime.errors import AuditError, UsageError

Write = Callable[..., Path]

GROUPS = {"outer": ["c", "a"]}
METHODS = ["shapley", "occlusion", "gradient"]
MEAN = np.array([0.4, 0.3, 0.2, 0.1]) @ np.array([[0, 0, 0], [1, 2, 3], [2, 0, -1], [-1, 1, 1]])


def rows_of(out: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(out.glob("part-*.parquet"))])


def test_a_run_writes_players_and_is_audited_and_shown(
    whyport: Whyport, bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    source, groups = write(table), tmp_path / "groups.json"
    groups.write_text(json.dumps(GROUPS))
    options = [option for method in METHODS for option in ("--explain", method)]
    whyport("run", bundle, source, "--out", tmp_path / "out", *options, "--players", groups, "--device", "cpu")
    out = rows_of(tmp_path / "out")
    shares = [name for name in out.column_names if ".attribution." in name or ".standard_error." in name]
    assert shares == [
        "shapley.attribution.outer",
        "shapley.attribution.b",
        "shapley.standard_error.outer",
        "shapley.standard_error.b",
        "occlusion.attribution.outer",
        "occlusion.attribution.b",
        "gradient.attribution.outer",
        "gradient.attribution.b",
    ]
    rows = np.column_stack([table[name].to_numpy() for name in "abc"])
    weights = WEIGHTS[logits_of(rows).argmax(axis=1)].astype(np.float64)
    of_columns = weights * (rows - MEAN)
    for name in ("shapley", "occlusion"):
        np.testing.assert_allclose(out[f"{name}.attribution.outer"], of_columns[:, [0, 2]].sum(axis=1), atol=1e-5)
        np.testing.assert_allclose(out[f"{name}.attribution.b"], of_columns[:, 1], atol=1e-5)
    np.testing.assert_allclose(out["gradient.attribution.outer"], weights[:, [0, 2]].sum(axis=1), atol=1e-6)
    job = json.loads((tmp_path / "out" / "_job.json").read_text())
    assert job["settings"]["explain"]["players"] == GROUPS
    lines = audit(tmp_path / "out", sample=50, device="cpu")
    assert lines[-1].startswith("sample    50 rows computed again")
    shown = whyport("show", tmp_path / "out", "--row", 3).stdout
    assert "  outer\n" in shown
    assert f"  b = {table['b'][3].as_py():.4g}\n" in shown  # a player that is one column has its value
    assert "  a" not in shown


def test_the_strongest_players_are_kept(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    library.run(bundle, write(table), tmp_path / "out", explain="shapley", players=GROUPS, top_k=1, device="cpu")
    out = rows_of(tmp_path / "out")
    rows = np.column_stack([table[name].to_numpy() for name in "abc"])
    of_columns = WEIGHTS[logits_of(rows).argmax(axis=1)] * (rows - MEAN)
    outer = np.abs(of_columns[:, [0, 2]].sum(axis=1)) > np.abs(of_columns[:, 1])
    assert out["top_feature"].combine_chunks().flatten().to_pylist() == np.where(outer, "outer", "b").tolist()
    assert audit(tmp_path / "out", sample=20, seed=1, device="cpu")[-1].startswith("sample")


def test_the_largest_scores_are_explained_by_players(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    options = {"explain": ["shapley", "gradient"], "players": GROUPS, "explain_target": "top:2", "layout": "list"}
    library.run(bundle, write(table.slice(0, 50)), tmp_path / "out", device="cpu", **options)
    out = rows_of(tmp_path / "out")
    rows = np.column_stack([table[name][:50].to_numpy() for name in "abc"])
    ranked = np.argsort(-logits_of(rows), axis=1)
    for place in (1, 2):
        of_columns = WEIGHTS[ranked[:, place - 1]] * (rows - MEAN)
        shares = np.stack(out[f"shapley.attribution.{place}"].to_numpy())
        np.testing.assert_allclose(shares, np.stack([of_columns[:, [0, 2]].sum(1), of_columns[:, 1]], 1), atol=1e-5)
    assert audit(tmp_path / "out", sample=20, seed=1, device="cpu")[-1].startswith("sample")


def test_other_groups_are_another_job(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    source = write(table)
    library.run(bundle, source, tmp_path / "out", explain="shapley", players=GROUPS, device="cpu")
    resumed = library.run(bundle, source, tmp_path / "out", explain="shapley", players=GROUPS, device="cpu")
    assert resumed.rows_out == 1000
    with pytest.raises(UsageError, match=r'settings.explain.players.outer: \["c", "a"\] there, nothing here'):
        library.run(bundle, source, tmp_path / "out", explain="shapley", device="cpu")


def test_an_audit_sees_that_the_groups_were_changed(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    library.run(bundle, write(table), tmp_path / "out", explain="shapley", players=GROUPS, device="cpu")
    path = tmp_path / "out" / "_job.json"
    job = json.loads(path.read_text())
    job["settings"]["explain"]["players"] = {"outer": ["a", "b"]}
    path.write_text(json.dumps(job))
    with pytest.raises(AuditError, match="expected settings"):
        audit(tmp_path / "out", sample=20, seed=1, device="cpu")


def test_groups_need_a_method_and_fitting_columns(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    source = write(table)
    with pytest.raises(UsageError, match="players: expected an explanation method beside it, got none"):
        library.run(bundle, source, tmp_path / "out", players=GROUPS)
    with pytest.raises(UsageError, match="players, 'x': unknown column 'z'"):
        library.run(bundle, source, tmp_path / "out", players={"x": ["z"]}, explain="shapley")
    assert not (tmp_path / "out").exists()
