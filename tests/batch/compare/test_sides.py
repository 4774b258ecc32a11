"""What can be compared with what: bundles, other models, other settings, other layouts, columns of categories."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import whyport
from support.bundles import linear_bundle
from support.nights import Night, night_rows
from whyport.batch.compare.figures import Comparison
from whyport.batch.report.gather.drift import psi
from whyport.runtime.errors import UsageError


def compared(first: Path, other: Path, **options: object) -> Comparison:
    (found,) = whyport.compare(first, other, **options).comparisons  # type: ignore[arg-type]
    return found


def test_a_bundle_is_its_training(bundle: Path, second_night: Path) -> None:
    found = compared(bundle, second_night)
    assert found.rows_before is None
    assert found.notes[0].startswith("A is the training")
    rows = pd.read_parquet(second_night.parent / "rows.parquet")
    for each in found.inputs:
        below = float((rows[each.name] < 0).mean())
        assert each.edges == (0.0,)
        assert each.psi == pytest.approx(float(psi(np.array([0.5, 0.5, 0]), np.array([below, 1 - below, 0]))))
        assert each.wasserstein is None
    (deepshap, gradient) = found.explanations
    assert (deepshap.rows_before, deepshap.rows_after) == (4, 580)
    # The weights of the class that is predicted for each reference row.
    b = next(each for each in gradient.features if each.name == "b")
    assert b.shift is not None
    assert 2 < b.shift.before < 3
    assert found.predictions


def test_other_models_bases_and_methods_are_said(
    bundle: Path, first_night: Path, nights: Night, tmp_path: Path
) -> None:
    other = linear_bundle(tmp_path / "other", classes=("no", "perhaps"))
    found = compared(first_night, nights(night_rows(2), other, explain=["gradient", "occlusion"], top_k=2))
    assert found.notes[0].startswith("not the same model: linear (")
    assert "not the same number of reasons explained: all and 2" in found.notes
    assert [each.method for each in found.explanations] == ["gradient"]
    changes = {(each.kind, each.name, each.appeared) for each in found.changes}
    assert changes >= {
        ("class", "perhaps", True),
        ("class", "yes", False),
        ("method", "occlusion", True),
        ("method", "deepshap", False),
        ("category", "prediction = yes", False),
    }
    assert {each.name for each in found.predictions} == {"prediction", "probability.no"}


def test_features_that_one_has_alone(first_night: Path, nights: Night, tmp_path: Path) -> None:
    other = linear_bundle(tmp_path / "other", names=("a", "b", "d"))
    found = compared(first_night, nights(night_rows(2).rename(columns={"c": "d"}), other))
    changes = {(each.kind, each.name, each.appeared) for each in found.changes}
    assert changes == {
        ("feature", "d", True),
        ("feature", "c", False),
        ("input", "d", True),
        ("input", "c", False),
    }
    assert {each.name for each in found.explanations[0].features} == {"a", "b"}


def test_nothing_in_common_is_refused(first_night: Path, nights: Night, tmp_path: Path) -> None:
    other = linear_bundle(tmp_path / "other", names=("d", "e", "f"), classes=("x", "y"))
    run = nights(night_rows(2).rename(columns=dict(zip("abc", "def", strict=True))), other)
    with pytest.raises(UsageError, match="expected two sides that can be compared") as refused:
        compared(first_night, run)
    assert any("no class is in both" in line for line in refused.value.details)


def test_all_targets_and_ranks(first_night: Path, nights: Night) -> None:
    all_targets = nights(night_rows(2), explain_target="all", explain="deepshap")
    found = compared(all_targets, all_targets)
    assert [each.title for each in found.explanations] == ["deepshap, no", "deepshap, yes"]
    found = compared(first_night, all_targets)
    assert not found.explanations
    assert any("no explanation is in both" in reason for reason in found.left_out)
    ranks = nights(night_rows(2), explain_target="top:2", explain="deepshap")
    assert [each.target for each in compared(ranks, ranks, key="id").explanations] == ["1", "2"]


@pytest.mark.parametrize("options", [{"layout": "list"}, {"top_k": 3}])
def test_layouts_are_alike(options: dict[str, object], first_night: Path, second_night: Path, nights: Night) -> None:
    plain = compared(first_night, second_night, key="id")
    found = compared(first_night, nights(night_rows(2, 580, 0.5, first=50), **options), key="id")
    for one, two in zip(plain.explanations, found.explanations, strict=True):
        assert [(each.name, each.psi) for each in one.features] == [(each.name, each.psi) for each in two.features]
    assert found.matched is not None
    assert plain.matched is not None
    means = [[each.mean_distance for each in side.matched.explanations] for side in (found, plain) if side.matched]
    assert means[0] == pytest.approx(means[1])


def test_runs_without_explanations_or_rows(first_night: Path, nights: Night) -> None:
    bare = nights(night_rows(2), explain=())
    found = compared(first_night, bare, key="id")
    assert any(reason.startswith("shares are not compared: ") for reason in found.left_out)
    assert found.matched is not None
    assert found.matched.pairs == 600
    nothing = nights(night_rows(2).assign(a=np.nan), on_bad_row="reject")
    found = compared(first_night, nothing)
    assert all(np.isnan(each.psi) for each in found.predictions)
    assert all(np.isnan(each.psi) for each in found.explanations[0].features)


def test_a_table_with_categories(tmp_path: Path) -> None:
    """A category moves, one appears and one goes."""
    generator = np.random.default_rng(0)

    def frame(rows: int, names: list[str], chances: list[float]) -> pd.DataFrame:
        region = generator.choice(names, size=rows, p=chances)
        values = {"region": region, "is new": generator.random(rows) < 0.5, "amount": generator.normal(size=rows)}
        return pd.DataFrame(values).assign(y=np.where(values["amount"] > 0, "yes", "no"))

    night = {"a": frame(400, ["north", "south", "west"], [0.5, 0.3, 0.2])}
    night["b"] = frame(300, ["north", "south", "east"], [0.2, 0.7, 0.1])
    for name, rows in night.items():
        rows.to_parquet(tmp_path / f"{name}.parquet")
    forest = {"architecture": "forest", "set": "n_estimators=5"}
    whyport.train(tmp_path / "a.parquet", "y", tmp_path / "bundle", categorical="region", **forest)
    for name in night:
        whyport.run(tmp_path / "bundle", tmp_path / f"{name}.parquet", tmp_path / name, explain="occlusion")
    found = compared(tmp_path / "a", tmp_path / "b")
    region = next(each for each in found.inputs if each.name == "region")
    counts = {name: rows["region"].value_counts() for name, rows in night.items()}
    bins = ["north", "south", "west"]
    before = np.array([counts["a"][name] for name in bins] + [0, 0], dtype=float)
    after = np.array([counts["b"].get(name, 0) for name in bins] + [counts["b"]["east"], 0], dtype=float)
    assert region.psi == pytest.approx(float(psi(before, after)))
    assert (region.appeared, region.vanished) == (("east",), ("west",))
    assert {(each.name, each.appeared) for each in found.changes} == {
        ("region = east", True),
        ("region = west", False),
    }
    of_training = compared(tmp_path / "bundle", tmp_path / "b")
    names = {each.name: each for each in of_training.inputs}
    assert names.keys() == {"region", "is new", "amount"}
    assert names["region"].psi > 0.25
    assert names["is new"].psi < 0.1
