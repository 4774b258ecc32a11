"""The groups of runs against pandas over the same rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import whyport as library
from support.command import Whyport
from support.quantities import quantity_bundle
from whyport.batch.groups.document import group_document
from whyport.batch.groups.groups import GroupSettings, group_rows
from whyport.batch.groups.shares import Folding
from whyport.batch.methods.positions import Block, Positions
from whyport.batch.review.document import data_of, rendered
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.inputs import Axis
from whyport.runtime.errors import UsageError

Score = Callable[..., Path]


def grouped(out: Path, **settings: Any) -> dict[str, Any]:
    """The document of a run's groups, as a program reads it."""
    return data_of(group_document(group_rows(FinishedRun.read(out), GroupSettings(**settings))))


def frame_of(out: Path, table: pa.Table) -> pd.DataFrame:
    """The run's rows, with the columns of the input that it did not keep."""
    scored = pd.concat([pd.read_parquet(path) for path in sorted(out.glob("part-*.parquet"))], ignore_index=True)
    rows = table.to_pandas().iloc[scored["source_row"]].reset_index(drop=True)
    return scored.join(rows[[name for name in rows.columns if name not in scored.columns]])


def test_rates_calibration_and_shares_are_those_of_pandas(grouped_run: Path, grouped_table: pa.Table) -> None:
    found = grouped(grouped_run, by="sex", label="outcome")
    frame = frame_of(grouped_run, grouped_table)
    frame["sex"] = frame["sex"].fillna("(missing)")
    assert (found["rows"], found["rows_with_truth"], found["truth"]) == (400, 380, "kept column 'outcome'")
    (section,) = found["classes"]
    assert section["class"] == "yes"
    assert [(each["group"], each["small"]) for each in section["rates"]] == [
        ("f", False),
        ("m", False),
        ("x", True),
        ("(missing)", True),
    ]
    for row in section["rates"]:
        own = frame[frame["sex"] == row["group"]]
        known = own.dropna(subset="outcome")
        true, chosen = known["outcome"] == "yes", known["prediction"] == "yes"
        expected = {
            "selection_rate": (own["prediction"] == "yes").mean(),
            "accuracy": (true == chosen).mean(),
            "false_positive_rate": chosen[~true].mean(),
            "false_negative_rate": 1 - chosen[true].mean(),
            "true_positive_rate": chosen[true].mean(),
            "precision": true[chosen].mean(),
        }
        assert (row["rows"], row["rows_with_truth"]) == (len(own), len(known))
        for name, value in expected.items():
            got = np.nan if row[name]["value"] is None else row[name]["value"]
            assert got == pytest.approx(value, nan_ok=True), name
    for row in section["calibration"]:
        low = float(row["bin"].split()[0])
        own = frame[(frame["sex"] == row["group"]) & (np.floor(frame["probability.yes"] * 10) == round(low * 10))]
        known = own.dropna(subset="outcome")
        assert (row["rows"], row["rows_with_truth"]) == (len(own), len(known))
        assert row["mean_predicted"] == pytest.approx(own["probability.yes"].mean(), rel=1e-6)
        if len(known):
            assert row["observed"]["value"] == pytest.approx((known["outcome"] == "yes").mean())
    assert sum(row["rows"] for row in section["calibration"]) == 400
    assert [(each["method"], each["target"]) for each in found["shares"]] == [
        ("input-x-gradient", "no"),
        ("input-x-gradient", "yes"),
    ]
    for each in found["shares"]:
        for row in each["by_feature"]:
            own = frame.loc[frame["sex"] == row["group"], f"attribution.{each['target']}.{row['feature']}"]
            assert row["mean_share"]["value"] == pytest.approx(own.mean(), rel=1e-5, abs=1e-7)
            assert row["mean_magnitude"]["value"] == pytest.approx(own.abs().mean(), rel=1e-5)


def test_small_groups_are_also_left_out_of_the_figures(grouped_run: Path) -> None:
    (section,) = grouped(grouped_run, by="sex", label="outcome")["classes"]
    assert [row["figure"] for row in section["fairness"]] == [
        "demographic parity",
        "equalised odds",
        "equal opportunity",
        "predictive parity",
    ]
    rates = {row["group"]: row["selection_rate"]["value"] for row in section["rates"]}
    parity = section["fairness"][0]
    assert parity["difference"] == pytest.approx(max(rates.values()) - min(rates.values()))
    without = section["fairness_without_small"][0]
    assert without["groups"] == 2
    assert without["difference"] == pytest.approx(abs(rates["f"] - rates["m"]))
    (section,) = grouped(grouped_run, by="sex", label="outcome", small_group=1)["classes"]
    assert "fairness_without_small" not in section


def test_a_column_that_was_not_kept_is_read_again(grouped_run: Path, grouped_table: pa.Table) -> None:
    found = grouped(grouped_run, by="age:30,50", favourable="no")
    frame = frame_of(grouped_run, grouped_table)
    (section,) = found["classes"]
    expected = frame.groupby(pd.cut(frame["age"], [0, 30, 50, 100], right=False), observed=True)["prediction"]
    rates = [row["selection_rate"]["value"] for row in section["rates"]]
    assert rates == pytest.approx((expected.agg(lambda own: (own == "no").mean())).tolist())
    assert [row["group"] for row in section["rates"]] == ["< 30", "30 to < 50", ">= 50"]


def test_labels_that_come_later_give_what_kept_ones_give(
    score_groups: Score, grouped_table: pa.Table, tmp_path: Path
) -> None:
    halves = grouped_table[:170], grouped_table[170:]
    bad = grouped_table.column("a").to_pylist()
    bad[3] = None
    table = halves[0].set_column(grouped_table.column_names.index("a"), "a", pa.array(bad[:170]))
    out = score_groups(table, halves[1], keep=("outcome",), part_rows=64, batch_rows=64, on_bad_row="reject")
    labels = grouped_table.select(["id", "outcome"]).take(np.random.default_rng(0).permutation(400))
    pyarrow.csv.write_csv(labels, tmp_path / "labels.csv")
    later = grouped(out, by="sex", labels=tmp_path / "labels.csv", key="id")
    assert later["classes"] == grouped(out, by="sex", label="outcome")["classes"]
    counts = ("matched", "rows_without_label", "labels_without_row", "truths_of_no_class")
    assert [later.get(name) for name in counts] == [399, 0, 1, None]
    (tmp_path / "more").mkdir()
    pq.write_table(labels.append_column("z", labels["id"]), tmp_path / "more" / "a.parquet")
    with pytest.raises(UsageError, match="labels: choose one of the columns 'outcome', 'z' with label"):
        grouped(out, by="sex", labels=tmp_path / "more", key="id")
    named = grouped(out, by="sex", labels=tmp_path / "more", key="id", label="outcome")
    assert named["classes"] == later["classes"]


def test_quantities_have_errors_and_no_rates(score_groups: Score, grouped_table: pa.Table, tmp_path: Path) -> None:
    bundle = quantity_bundle(tmp_path / "bundle", {"dose": "mg", "time": None})
    measured = pa.array(np.where(np.arange(400) % 7 == 0, np.nan, np.linspace(-2, 2, 400)))
    table = grouped_table.append_column("dose", measured)
    out = score_groups(table, of=bundle, keep=("sex", "dose"), methods=("occlusion",))
    found = grouped(out, by="sex")
    assert "selection rates" in found["left_out"]
    assert "classes" not in found
    frame = frame_of(out, table).fillna({"sex": "(missing)"})
    dose, time = found["targets"]
    assert (dose["target"], dose["unit"], time["unit"]) == ("dose", "mg", "units of time")
    for row in dose["errors"]:
        own = frame[frame["sex"] == row["group"]]
        apart = (own["dose"] - own["prediction.dose"]).dropna()
        assert row["mean_prediction"]["value"] == pytest.approx(own["prediction.dose"].mean(), rel=1e-5)
        assert row["rows_with_truth"] == len(apart)
        assert row["bias"]["value"] == pytest.approx(apart.mean(), rel=1e-5)
        assert row["mean_absolute_error"]["value"] == pytest.approx(apart.abs().mean(), rel=1e-5)
        assert row["root_mean_squared_error"] == pytest.approx(np.sqrt((apart**2).mean()), rel=1e-5)
    assert "bias" not in time["errors"][0]
    with pytest.raises(UsageError, match="favourable: a regression predicts no classes, got 'dose'"):
        grouped(out, by="sex", favourable="dose")


def test_runs_with_rows_that_are_not_explained_and_the_strongest_alone(
    score_groups: Score, grouped_table: pa.Table
) -> None:
    out = score_groups(
        grouped_table, keep=("sex",), methods=("deepshap", "occlusion"), explain_where="sex == 'f'", top_k=2
    )
    found = grouped(out, by="sex")
    assert "with the class" not in json.dumps(found)
    assert found["shares_kept"] == 2
    assert [row["rows"] > 0 for row in found["shares"][0]["by_feature"][:4]] == [True, False, False, False]
    assert {each["method"] for each in found["shares"]} == {"deepshap", "occlusion"}
    plain = grouped(score_groups(grouped_table, keep=("sex",)), by="sex")
    assert plain["shares"] is None
    assert plain["truth"] is None


def test_sequences_have_shares_by_feature(score_groups: Score, sequence_bundle: Path, sequence_rows: Path) -> None:
    table = pq.read_table(sequence_rows)
    table = table.append_column("site", pa.array([f"s{i % 2}" for i in range(len(table))]))
    out = score_groups(table, of=sequence_bundle, keep=("site",), methods=("gradient",))
    found = grouped(out, by="site")
    names = {row["feature"] for row in found["shares"][0]["by_feature"]}
    frame = pd.concat(map(pd.read_parquet, sorted(out.glob("part-*.parquet"))))
    total = sum(row["mean_share"]["value"] * row["rows"] for each in found["shares"] for row in each["by_feature"])
    columns = [name for name in frame.columns if name.startswith("attribution")]
    assert total == pytest.approx(float(sum(np.sum(np.stack(frame[name].to_numpy())) for name in columns)), rel=1e-4)
    assert len(names) == 5 < len(FinishedRun.read(out).layout.features)


def test_a_picture_and_a_text_have_one_share() -> None:
    def block(name: str, start: int, *axes: Axis) -> Block:
        return Block(name, False, start, axes)

    y, x = Axis("y", 2, None), Axis("x", 3, None)
    blocks = block("photo", 0, y, x), block("note", 6, Axis("token", 4, None))
    folding = Folding(Positions(tuple(map(str, range(10))), blocks))
    values = np.arange(20.0).reshape(2, 10)
    assert folding.names == ("photo", "note")
    assert folding.folded(values).tolist() == [[15, 30], [75, 70]]


def test_a_document_for_every_reader(grouped_run: Path) -> None:
    section = group_document(group_rows(FinishedRun.read(grouped_run), GroupSettings(by="sex", label="outcome")))
    assert library.compare_groups(grouped_run, "sex", label="outcome", format="json") == rendered(section, "json")
    text = "\n".join(rendered(section, "text"))
    assert "equalised odds" in text
    assert "definitions" in text
    assert json.loads(rendered(section, "json")[0]) == data_of(section)
    assert any(line.startswith("| group") for line in rendered(section, "markdown"))


def test_the_command_is_the_function(grouped_run: Path, grouped_table: pa.Table, whyport: Whyport) -> None:
    given = ["compare", grouped_run, "--by", "sex", "--label", "outcome"]
    output = whyport(*given, "--favourable", "no", "--format", "json").output
    same = library.compare_groups(grouped_run, "sex", label="outcome", favourable="no", format="json")
    assert [output.rstrip("\n")] == same
    assert "true positive rate" in whyport(*given).output
    for wrong, message in (
        ([grouped_run, grouped_run, "--by", "sex"], "by: expected one run, whose groups are compared, got 2"),
        ([grouped_run, "--by", "sex", "--rows", 3], "rows: expected it without by, got both"),
        ([grouped_run, grouped_run, "--favourable", "no"], "favourable: expected by beside it"),
        ([grouped_run], "expected at least two sides to compare, got one"),
    ):
        assert message in whyport("compare", *wrong, exit_code=2).output


def test_a_report_has_them_as_a_section(score_groups: Score, grouped_table: pa.Table, whyport: Whyport) -> None:
    out = score_groups(grouped_table, keep=("sex",))
    pyarrow.csv.write_csv(grouped_table.select(["id", "outcome"]), out.parent / "truth.csv")
    page = out.parent / "page.html"
    labels = ["--labels", out.parent / "truth.csv", "--key", "id", "--label", "outcome"]
    whyport("report", out, "--out", page, "--by", "sex", *labels, "--device", "cpu")
    text = page.read_text()
    for expected in ('id="groups"', "Groups by sex", "equal opportunity", "380", "selection rate"):
        assert expected in text
    refused = whyport("report", out, "--out", page, "--labels", page, "--key", "id", exit_code=2)
    assert "labels: expected by beside it, got none" in refused.output


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": "sexx"}, r"by: unknown column 'sexx' \(did you mean 'sex'\?\)"),
        ({"by": "a"}, "by: column 'a': expected at most 100 groups, got more: give edges, such as a:"),
        ({"by": "sex", "label": "nothing"}, "unknown kept column 'nothing'"),
        ({"by": "sex", "favourable": "maybe"}, "favourable: unknown class 'maybe'"),
        ({"by": "sex", "small_group": 0}, "small_group: expected at least 1, got 0"),
        ({"by": "sex", "key": "id"}, "key: expected labels beside it, got none"),
        ({"by": "sex", "labels": Path("x.csv")}, "labels: expected key beside it, got none"),
    ],
)
def test_what_cannot_be_meant_is_refused(grouped_run: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        grouped(grouped_run, **settings)
