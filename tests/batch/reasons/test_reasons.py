"""Reasons as texts, compared with a loop over each row's written shares in plain Python."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.quantities import quantity_bundle
from whyport import AuditError, audit, plan, run
from whyport.batch.methods.positions import Block, Positions
from whyport.batch.methods.reduction import Reduction
from whyport.batch.reasons.choice import chosen_reasons, worded_names
from whyport.batch.reasons.wordings import Wording
from whyport.batch.targets import TargetChoice
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import Axis
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import UsageError
from whyport.runtime.task import find_task

Write = Callable[..., Path]

TEXTS: Mapping[str, Any] = {
    "b": {"text": "B is wrong", "code": "B7", "high": "B is too high", "low": "B | too `low`"},
    "a": {"text": "A is wrong", "code": "A1"},
}


@pytest.fixture
def source(write: Write, table: pa.Table) -> Path:
    return write(table[:200])


def frame_of(out: Path) -> pd.DataFrame:
    frame = pd.concat(map(pd.read_parquet, sorted(out.glob("part-*.parquet"))), ignore_index=True)
    for name in (each for each in frame.columns if each.startswith("reason_")):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame


def expected(
    shares: Mapping[str, float], values: Mapping[str, float], means: Mapping[str, float], texts: Any, n: int
) -> list[Any]:
    """The reasons of a row whose shares speak against the outcome where they are negative."""
    found: list[tuple[str, str | None]] = []
    for feature in sorted(shares, key=lambda name: shares[name]):
        if shares[feature] < 0 and feature in texts and len(found) < n:
            wording = texts[feature] if isinstance(texts[feature], dict) else {"text": texts[feature]}
            above, below = values[feature] > means[feature], values[feature] < means[feature]
            side = wording.get("high") if above else wording.get("low") if below else None
            reason = (side or wording["text"], wording.get("code"))
            if reason not in found:
                found.append(reason)
    return [*found, *[(None, None)] * (n - len(found))]


def check(out: Path, source: Path, bundle: Path, texts: Any, n: int, favourable: str = "yes", prefix: str = "") -> None:
    """Compare every row's reasons with the loop's."""
    values = pd.read_parquet(source)
    references = References.read(Bundle.read(bundle))
    means = dict(zip("abc", references.weights @ references.rows, strict=True))
    for _, row in frame_of(out).iterrows():
        sign = 1 if row.explained_target == favourable else -1
        shares = {name: sign * row[f"{prefix}attribution.{name}"] for name in "abc"}
        own = {name: values[name][row.source_row] for name in "abc"}
        wanted = expected(shares, own, means, texts, n)
        assert [row[f"reason_{i + 1}"] for i in range(n)] == [text for text, _ in wanted]
        if "reason_code_1" in row:
            assert [row[f"reason_code_{i + 1}"] for i in range(n)] == [code for _, code in wanted]


def test_reasons_are_the_strongest_shares_against_in_the_users_words(
    bundle: Path, source: Path, tmp_path: Path
) -> None:
    report = run(bundle, source, tmp_path / "out", explain="deepshap", reasons=2, reason_texts=TEXTS, device="cpu")
    check(tmp_path / "out", source, bundle, TEXTS, 2)
    frame = frame_of(tmp_path / "out")
    columns = list(frame.columns)
    assert columns[columns.index("converged") + 1 : -1] == ["reason_1", "reason_2", "reason_code_1", "reason_code_2"]
    sign = np.where(frame.explained_target == "yes", 1, -1)
    against = (-frame[[f"attribution.{name}" for name in "abc"]].mul(sign, axis=0)).clip(lower=0)
    told = report.reasons
    assert told is not None
    assert (told.asked, told.rows) == (2, 200)
    assert told.rows_with_fewer == int(frame.reason_2.isna().sum())
    assert told.rows_with_none == int(frame.reason_1.isna().sum())
    share = against["attribution.c"].sum() / against.to_numpy().sum()
    assert told.share_without_wording == pytest.approx(share, rel=1e-6)
    ranks = (-against).rank(axis=1, method="first")
    assert told.left_out == {"c": int(((ranks["attribution.c"] <= 2) & (against["attribution.c"] > 0)).sum())}
    audit(tmp_path / "out", sample=200)


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "list", "favourable": "no"},
        {"top_k": 1},
        {"explain": ["shapley", "deepshap"], "reason_method": "deepshap", "explain_where": "score > 0"},
        {"explain_target": "all"},
        {"explain_target": "top:2"},
        {"explain_target": "no"},
        {"players": {"ab": ["a", "b"]}, "reason_texts": {"ab": "Both"}},
    ],
)
def test_every_kind_of_run_can_write_and_audit_them(
    bundle: Path, source: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    given = {"explain": "deepshap", "reasons": 3, "reason_texts": {"a": "A", "b": "B"}, "device": "cpu"} | options
    run(bundle, source, tmp_path / "out", **given)
    audit(tmp_path / "out", sample=60)
    frame = frame_of(tmp_path / "out")
    explained = frame.dropna(subset=[name for name in frame.columns if name.startswith("score")])
    assert frame.reason_1.notna().sum() <= len(explained)
    assert explained.reason_1.notna().any()


def test_the_favourable_class_decides_whichever_class_is_explained(bundle: Path, source: Path, tmp_path: Path) -> None:
    texts = {"a": "A", "b": "B", "c": "C"}
    given = {"explain": "deepshap", "reasons": 3, "reason_texts": texts, "device": "cpu"}
    run(bundle, source, tmp_path / "all", explain_target="all", **given)
    run(bundle, source, tmp_path / "one", explain_target="yes", **given)
    run(bundle, source, tmp_path / "other", favourable="no", explain_target="yes", **given)
    one, other, of_all = (frame_of(tmp_path / name) for name in ("one", "other", "all"))
    pd.testing.assert_frame_equal(one[["reason_1", "reason_2"]], of_all[["reason_1", "reason_2"]])
    check(tmp_path / "one", source, bundle, texts, 3)
    shares = one[[f"attribution.{name}" for name in "abc"]].to_numpy()
    speaks_for = other.reason_1.notna().to_numpy()
    assert (speaks_for == (shares > 0).any(axis=1)).all()


def test_a_favourable_class_that_was_not_given_is_told(
    bundle: Path, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"explain": "deepshap", "reasons": 1, "reason_texts": {"a": "A"}, "device": "cpu"}
    run(bundle, source, tmp_path / "named", favourable="yes", **given)
    assert "--favourable names it" not in caplog.text
    run(bundle, source, tmp_path / "guessed", **given)
    assert "the favourable outcome is the second of two classes: --favourable names it" in caplog.text


def test_a_text_of_two_features_stands_once_and_ties_keep_the_order(bundle: Path, write: Write, tmp_path: Path) -> None:
    source = write(pa.table({"a": [-6.0, 0.0], "b": [3.0, 0.0], "c": [0.0, 0.0]}))
    given = {"explain": "input-x-gradient", "explain_target": "no", "favourable": "no", "reasons": 2, "device": "cpu"}
    run(bundle, source, tmp_path / "tied", reason_texts={"b": "second", "a": "first"}, **given)
    assert frame_of(tmp_path / "tied")[["reason_1", "reason_2"]].to_numpy().tolist() == [
        ["first", "second"],
        [None, None],
    ]
    run(bundle, source, tmp_path / "once", reason_texts={"b": "same", "a": "same"}, **given)
    assert frame_of(tmp_path / "once")[["reason_1", "reason_2"]].to_numpy().tolist() == [["same", None], [None, None]]


def test_the_wording_is_pinned(bundle: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.json").write_text(json.dumps({"a": "A"}))
    given = {"explain": "deepshap", "reasons": 1, "device": "cpu"}
    run(bundle, source, tmp_path / "out", reason_texts=tmp_path / "texts.json", **given)
    run(bundle, source, tmp_path / "out", reason_texts={"a": "A"}, **given)
    with pytest.raises(UsageError, match="holds another job") as caught:
        run(bundle, source, tmp_path / "out", reason_texts={"a": "Another"}, **given)
    assert any('settings.reasons.texts.a.text: "A" there, "Another" here' in line for line in caught.value.lines())


def test_another_reason_in_a_part_is_found(bundle: Path, source: Path, tmp_path: Path) -> None:
    from whyport.batch.review.finished_run import FinishedRun
    from whyport.batch.review.recompute import Recomputer

    given = {"explain": "deepshap", "reasons": 2, "reason_texts": {"a": "A", "b": "B"}, "device": "cpu"}
    for name, more in (("all", {}), ("few", {"top_k": 1})):
        run(bundle, source, tmp_path / name, **given, **more)
        finished = FinishedRun.read(tmp_path / name)
        recomputer = Recomputer(Bundle.read(bundle), finished, finished.columns, "cpu")
        (path,) = (tmp_path / name).glob("part-*")
        table = pq.read_table(path)[:40]
        recomputer.compare(0, table, "part")
        first, second = (table.schema.get_field_index(f"reason_{rank}") for rank in (1, 2))
        exchanged = table.set_column(first, "reason_1", table["reason_2"]).set_column(
            second, "reason_2", table["reason_1"]
        )
        invented = table.set_column(first, "reason_1", pa.array(["C"] * 40))
        emptied = table.set_column(first, "reason_1", pa.nulls(40, pa.string()))
        for other in (exchanged, invented, emptied):
            with pytest.raises(AuditError, match="reasons: computed again it comes out different"):
                recomputer.compare(0, other, "part")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reason_texts": None}, "reasons: expected the wordings of reasons by reason_texts"),
        ({"reasons": None}, "reason_texts: expected the number of reasons by reasons beside it"),
        ({"reasons": 0}, "reasons: expected 1 to 100, got 0"),
        ({"explain": ()}, "reasons: expected an explanation method beside it"),
        (
            {"explain": "gradient"},
            "reason_method: expected a method whose attributions are shares of the score, got 'gradient",
        ),
        ({"reason_method": "lime"}, "reason_method: unknown method of this run 'lime'"),
        ({"favourable": "maybe"}, "favourable: unknown class 'maybe'"),
        ({"reason_texts": {"A": "x"}}, "reason_texts: unknown feature 'A'"),
        ({"reason_texts": {"a": 1}}, "reason_texts: expected a text, or an object with one, for 'a', got 1"),
        ({"reason_texts": {"a": {"text": " "}}}, "reason_texts: expected a text as text of 'a', got ' '"),
        ({"reason_texts": {"a": {"text": "x", "hihg": "y"}}}, "reason_texts: unknown key 'hihg'"),
        ({"reason_texts": "texts.toml"}, r"expected a file named \*.json or \*.csv, got 'texts.toml'"),
        ({"reason_texts": "nothing.csv"}, "reason_texts: cannot read 'nothing.csv'"),
        (
            {"players": {"ab": ["a", "b"]}, "reason_texts": {"ab": {"text": "x", "low": "y"}}},
            "reason_texts: expected a column of numbers for texts high and low, got 'ab'",
        ),
        ({"keep": "reason_1"}, "columns 'reason_1' would appear twice"),
    ],
)
def test_what_makes_no_sense_is_refused(
    bundle: Path, write: Write, table: pa.Table, options: dict[str, Any], message: str
) -> None:
    source = write(table[:20].append_column("reason_1", pa.array(["x"] * 20)))
    given = {"explain": "deepshap", "reasons": 2, "reason_texts": {"a": "A"}} | options
    with pytest.raises(UsageError if "twice" not in message else Exception, match=message):
        plan(bundle, source, "out", **given)


def test_a_table_of_wordings_is_read(bundle: Path, source: Path, tmp_path: Path) -> None:
    text = 'feature,text,code,low\na,"A, perhaps",A1,\nb,B,,"B is\nlow"\n'
    (tmp_path / "texts.csv").write_text(text)
    run(
        bundle,
        source,
        tmp_path / "out",
        explain="deepshap",
        reasons=2,
        reason_texts=tmp_path / "texts.csv",
        device="cpu",
    )
    check(
        tmp_path / "out",
        source,
        bundle,
        {"a": {"text": "A, perhaps", "code": "A1"}, "b": {"text": "B", "low": "B is\nlow"}},
        2,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("feature,words\n", r"expected the columns feature,text\[,code\]"),
        ("feature,text\na,x\na,y\n", "expected one wording for each feature, got 'a' twice"),
        ("feature,text\na\n", "expected 2 values in every line, got 'a'"),
        ("feature,text\n", "expected the wording of a feature, got none"),
    ],
)
def test_another_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "texts.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        plan("bundle", "x", "out", explain="deepshap", reasons=1, reason_texts=tmp_path / "texts.csv")


def test_a_regression_has_reasons_against_a_higher_or_a_lower_value(
    write: Write, table: pa.Table, tmp_path: Path
) -> None:
    one = quantity_bundle(tmp_path / "one", {"price": "EUR"})
    two = quantity_bundle(tmp_path / "two", {"price": "EUR", "rent": None})
    source, texts = write(table[:30]), {"a": "A", "b": "B", "c": "C"}
    given = {"explain": "occlusion", "reasons": 3, "reason_texts": texts, "device": "cpu"}
    run(one, source, tmp_path / "higher", **given)
    run(one, source, tmp_path / "lower", favourable="lower", **given)
    for name, sign in (("higher", 1), ("lower", -1)):
        for _, row in frame_of(tmp_path / name).iterrows():
            shares = {text: sign * row[f"attribution.{text.lower()}"] for text in texts.values()}
            against = [text for text in sorted(shares, key=lambda text: shares[text]) if shares[text] < 0]
            assert [row[f"reason_{rank}"] for rank in (1, 2, 3)] == [*against, None, None, None][:3]
        audit(tmp_path / name, sample=30)
    with pytest.raises(UsageError, match="reasons: expected one explained target, got 'price', 'rent'"):
        plan(two, source, "out", **given)
    with pytest.raises(UsageError, match="favourable: unknown side 'up'"):
        plan(one, source, "out", favourable="up", **given)
    assert any("against lower values" in line for line in plan(one, source, "out", favourable="lower", **given))


PICTURE = Block("photo", False, 0, (Axis("y", 2, None), Axis("x", 2, None)))
SEQUENCE = Block("days", False, 4, (Axis("time", 2, None), Axis("feature", 2, ("m", "n"))))
TABLE = Block("form", True, 8, (Axis("feature", 1, ("age",)),))


def test_shares_without_names_of_their_own_are_refused() -> None:
    names = ("p0", "p1", "p2", "p3", "m0", "n0", "m1", "n1", "age")
    for blocks, advice in (
        ((PICTURE,), "of 'photo', of which no text can tell beforehand$"),
        ((SEQUENCE,), "per 'feature'$"),
    ):
        with pytest.raises(UsageError, match=f"got those of single pixels, patches, .*{advice}"):
            worded_names(Positions(names, blocks))
    assert worded_names(Positions(names, (PICTURE, SEQUENCE, TABLE))) == ["age"]


def test_a_sequences_features_have_reasons(sequence_bundle: Path, sequence_rows: Path, tmp_path: Path) -> None:
    names = Reduction.of(Bundle.read(sequence_bundle).sidecar, {}, "feature", "sum").positions.names
    given = {"explain": "occlusion", "per": "feature", "reasons": 1, "device": "cpu"}
    run(sequence_bundle, sequence_rows, tmp_path / "out", reason_texts={name: name for name in names}, **given)
    frame = frame_of(tmp_path / "out")
    assert set(frame.reason_1.dropna()) <= set(names)
    audit(tmp_path / "out", sample=20)


def test_of_three_classes_the_favourable_one_must_be_explained() -> None:
    task = find_task("classification", ("low", "middle", "high"))
    positions = Positions(("a",))
    known: dict[str, Any] = {"task": task, "methods": ("deepshap",), "positions": positions}
    texts = {"a": Wording("A")}
    for choice, favourable, message in (
        (None, None, "favourable: expected the favourable one of the classes 'low', 'middle', 'high', got none"),
        (None, "low", "favourable: expected rows explained for 'low', got explain_target 'predicted'"),
        ("high,middle", "low", "favourable: expected rows explained for 'low', got explain_target 'high,middle'"),
        ("top:2", "low", "favourable: expected rows explained for 'low', got explain_target 'top:2'"),
    ):
        with pytest.raises(UsageError, match=message):
            chosen_reasons(1, texts, favourable, None, choice=TargetChoice.parse(choice, task), **known)
    for text in ("low", "all", "middle,low", "top:3"):
        chosen_reasons(1, texts, "low", None, choice=TargetChoice.parse(text, task), **known)
