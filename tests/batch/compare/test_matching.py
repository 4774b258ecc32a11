"""Rows matched by a key, beside a merge by pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import whyport
from support.nights import Night, night_rows, parts_of
from whyport.batch.compare.keys import parts_of as key_parts
from whyport.runtime.errors import UsageError


@pytest.mark.parametrize("part_bytes", [96 << 20, 8000])
def test_it_is_a_merge_by_pandas(
    part_bytes: int, monkeypatch: pytest.MonkeyPatch, first_night: Path, second_night: Path
) -> None:
    """In one part in memory, and in several on the disk."""
    monkeypatch.setattr("whyport.batch.compare.matching.PART_BYTES", part_bytes)
    (found,) = whyport.compare(first_night, second_night, key="id", rows=20).comparisons
    merged = parts_of(first_night).merge(parts_of(second_night), on="id", suffixes=("_a", "_b"))
    matched = found.matched
    assert matched is not None
    assert (matched.pairs, matched.only_before, matched.only_after) == (len(merged), 50, 30)
    assert set(matched.examples_after) <= {f"C{number:05}" for number in range(600, 630)}
    assert matched.unmatched == pytest.approx(80 / (80 + 2 * 550))
    for explanation in matched.explanations:
        names = [f"{explanation.method}.attribution.{name}" for name in "abc"]
        columns = [merged[[f"{name}_{side}" for name in names]].to_numpy(dtype=float) for side in "ab"]
        distances = np.abs(columns[1] - columns[0]).sum(axis=1)
        assert explanation.rows == 550
        assert explanation.mean_distance == pytest.approx(distances.mean(), rel=1e-9)
        assert [row.distance for row in explanation.changed] == pytest.approx(np.sort(distances)[::-1][:20].tolist())
        by_key = merged.set_index("id")
        for row in explanation.changed:
            own = by_key.loc[row.key]
            assert (row.place_before[1], row.place_after[1]) == (own["source_row_a"], own["source_row_b"])
            assert (row.prediction_before, row.prediction_after) == (own["prediction_a"], own["prediction_b"])
            name, one, two = row.reasons[0]
            assert (one, two) == tuple(own[[f"{explanation.method}.attribution.{name}_{side}" for side in "ab"]])


def test_a_key_that_two_rows_have_is_named(nights: Night, first_night: Path) -> None:
    frame = night_rows(5, 300)
    frame.loc[7, "id"] = "C00299"
    again = nights(frame)
    with pytest.raises(UsageError, match=r"got C00299 in row 7 of .* and row 299 of .*, column 'id' of"):
        whyport.compare(first_night, again, key="id")
    with pytest.raises(UsageError, match="got C00299 in row 7"):
        whyport.compare(again, first_night, key="id")


def test_other_types_and_rows_without_a_key(nights: Night, first_night: Path, bundle: Path) -> None:
    numbers = night_rows(5, 40)
    numbers["id"] = pd.array(range(40), dtype="Int32")
    numbers.loc[3:4, "id"] = None
    one = nights(numbers)
    wide = night_rows(6, 40).assign(id=range(40))
    (found,) = whyport.compare(one, nights(wide), key="id").comparisons
    assert found.matched is not None
    assert (found.matched.pairs, found.matched.only_after, found.matched.without_key) == (38, 2, (2, 0))
    with pytest.raises(UsageError, match=r"one type of column 'id', got int64 in .* and large_string in"):
        whyport.compare(one, first_night, key="id")
    with pytest.raises(UsageError, match="unknown kept column 'ID'; known: 'id', in "):
        whyport.compare(one, first_night, key="ID")
    with pytest.raises(UsageError, match="got a bundle"):
        whyport.compare(bundle, first_night, key="id")


def test_rows_that_are_not_explained_have_no_distance(nights: Night, first_night: Path) -> None:
    some = nights(night_rows(2, 600), explain_where="a > 0", keep=["id", "a"])
    (found,) = whyport.compare(first_night, some, key="id").comparisons
    assert found.matched is not None
    explained = int((night_rows(2, 600)["a"] > 0).sum())
    assert [each.rows for each in found.matched.explanations] == [explained] * 2
    assert found.explanations[0].rows_after == explained
    assert any("choice of rows" in note for note in found.notes)


def test_keys_are_parted_alike_whatever_their_place() -> None:
    import pyarrow as pa

    texts = pa.array(["a", "", None, "abc", "a much longer key", "é"] * 50, pa.large_string())
    parts = key_parts(texts, 7)
    for start in (0, 3, 17):
        np.testing.assert_array_equal(key_parts(texts.slice(start), 7), parts[start:])
    spread = np.bincount(key_parts(pa.array([f"C{n:06}" for n in range(7000)], pa.large_string()), 7))
    assert spread.min() > 850
