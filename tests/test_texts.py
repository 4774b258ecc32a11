"""Texts from Parquet strings to predictions, through every command."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import whyport
from support import text_bundles as made
from support.killed_runs import check_resumed_bytes
from whyport.batch.output.folder import REJECTED_FOLDER
from whyport.exporter.data.input_choice import parse_inputs
from whyport.exporter.data.row_reader import InputReader
from whyport.runtime.errors import BundleError, DigestError, UsageError
from whyport.runtime.session import Session


def table_of(out: Path) -> pa.Table:
    return pq.read_table(out)


def logits_alone(bundle: Path, network: str, rows: pa.Table, **more: str) -> np.ndarray:
    """The network's own logits of each row alone, without padding, in float64."""
    model = getattr(made, network)().double()
    (encoder, *_) = Session(bundle).columns.encoders
    expected = []
    for row in rows.to_pylist():
        ((ids, _),) = encoder.tokenizer.encode([row["review"]])
        given = torch.tensor([ids])
        arguments = [given, torch.ones_like(given)]
        if network == "make_beside":
            arguments += [torch.zeros_like(given), torch.tensor([[row[name] for name in made.COLUMNS]]).double()]
        with torch.no_grad():
            scores = model(*arguments)
        expected.append(getattr(scores, "logits", scores).numpy()[0])
    return np.array(expected)


@pytest.mark.parametrize(
    ("fixture", "network"),
    [("bag_bundle", "make_bag"), ("text_bundle", "make_bert"), ("text_and_table_bundle", "make_beside")],
)
def test_predictions_are_those_of_each_text_alone(
    fixture: str, network: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle = request.getfixturevalue(fixture)
    rows = made.rows_of(made.reviews(20, 3), 3)
    outputs = Session(bundle).predict(rows)["logits"]
    np.testing.assert_allclose(outputs, logits_alone(bundle, network, rows), atol=1e-5)
    source = tmp_path / "rows.parquet"
    pq.write_table(rows, source)
    whyport.run(bundle, source, tmp_path / "out", batch_rows=7)
    table = table_of(tmp_path / "out")
    logits = outputs.astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = np.column_stack([table["probability.bad"], table["probability.good"]])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    whyport.verify(bundle)
    whyport.audit(tmp_path / "out")


def test_texts_that_are_cut_off_are_counted(bag_bundle: Path, tmp_path: Path) -> None:
    rows = made.write_rows(tmp_path / "rows.parquet", 34)
    report = whyport.run(bag_bundle, rows, tmp_path / "out")
    longer = sum(len(text.split()) + 2 > made.LENGTH for text in made.reviews(34, 1))
    assert report.cut == {"review": longer}
    assert f"cut       {longer} texts of column 'review' at the most tokens" in report.lines(Session(bag_bundle).task)
    assert not report.unseen
    (page, *_) = whyport.report(tmp_path / "out", tmp_path / "page.html")
    assert "Texts cut off at the most tokens" in page.read_text()


def test_rows_without_a_text_are_rejected_with_their_reasons(bag_bundle: Path, tmp_path: Path) -> None:
    broken = pa.StringArray.from_buffers(4, pa.py_buffer(np.int32([0, 3, 3, 5, 6])), pa.py_buffer(b"the\xff\xfeA"))
    rows = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"review": broken, "id": range(4)}), rows)
    more = tmp_path / "more.parquet"
    pq.write_table(pa.table({"review": ["the", None], "id": [4, 5]}), more)
    out = tmp_path / "out"
    whyport.run(bag_bundle, [rows, more], out, keep=["id"])
    assert table_of(out)["id"].to_pylist() == [0, 1, 3, 4]
    rejected = pa.concat_tables(map(pq.read_table, sorted((out / REJECTED_FOLDER).glob("*.parquet"))))
    assert dict(zip(rejected["id"].to_pylist(), rejected["reason"].to_pylist(), strict=True)) == {
        2: "column 'review': expected text in UTF-8, got other bytes",
        5: "column 'review': expected a text, got null",
    }


def test_a_killed_run_resumes_to_the_same_bytes(bag_bundle: Path, tmp_path: Path) -> None:
    rows = made.write_rows(tmp_path / "rows.parquet")
    check_resumed_bytes(bag_bundle, rows, tmp_path, killed_after=10, batch_rows=8, part_rows=8)


def test_a_csv_files_texts_are_texts_whatever_they_look_like(bag_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("review\n01\n2024-01-01\n")
    predicted = whyport.predict(bag_bundle, tmp_path / "rows.csv")
    expected = Session(bag_bundle).predict({"review": ["01", "2024-01-01"]})["probabilities"]
    np.testing.assert_allclose(predicted["probability.good"], expected[:, 1], atol=1e-6)


def test_a_bundle_is_read_only_with_its_own_tokenizer(bag_bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bag_bundle, tmp_path / "bundle")
    file = copy / "tokenizer" / "tokenizer.json"
    file.write_text(file.read_text().replace('"film": 7', '"films": 7'))
    with pytest.raises(DigestError, match=r"tokenizer\.json' has changed"):
        Session(copy)


FAULTS: dict[str, tuple[str, str]] = {
    "no tokenizer": ("input_ids=text:review:max_length=9", "expected tokenizer=FILE"),
    "no file": ("input_ids=text:review:tokenizer=none.json,max_length=9", "cannot read the tokenizer 'none.json'"),
    "no length": ("input_ids=text:review:tokenizer={file}", "expected max_length=N"),
    "too long": ("input_ids=text:review:tokenizer={file},max_length=99999", "up to 8192, got 99999"),
    "too short": ("input_ids=text:review:tokenizer={file},max_length=2", "a max_length of more than 2"),
    "buckets": (
        "input_ids=text:review:tokenizer={file},max_length=9,buckets=12",
        "expected buckets up to max_length=9",
    ),
    "columns": ("input_ids=text:review,label:tokenizer={file},max_length=9", "expected one column of texts"),
    "no tokens": ("input_ids=text:review:tokenizer={rows},max_length=9", "cannot read|expected a tokenizer"),
    "steps": ("input_ids=text:review:steps=3", "unknown setting 'steps'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_input_that_does_not_fit_is_refused_by_name(fault: str, tmp_path: Path) -> None:
    rows = made.write_rows(tmp_path / "rows.parquet", 20)
    file = made.write_tokenizer(tmp_path / "tokenizer.json")
    given, message = FAULTS[fault]
    with pytest.raises(UsageError, match=f"--input input_ids: .*({message})"):
        whyport.export(
            "support.text_bundles:make_bag", rows, tmp_path / "bundle", input=[given.format(file=file, rows=rows)]
        )
    assert not (tmp_path / "bundle").exists()


def test_a_network_without_a_mask_is_refused(tmp_path: Path) -> None:
    rows = made.write_rows(tmp_path / "rows.parquet", 20)
    with pytest.raises(UsageError, match="told which tokens are padding, by an argument attention_mask"):
        whyport.export(
            "support.text_bundles:make_unmasked", rows, tmp_path / "bundle", input=[made.text_input("ids", tmp_path)]
        )


def test_whyport_train_takes_no_text(tmp_path: Path) -> None:
    frame = made.rows_of(["the"]).to_pandas()
    with pytest.raises(UsageError, match="texts are for whyport export"):
        InputReader.of(frame, parse_inputs([made.text_input("review", tmp_path)]))


def test_the_mask_of_a_text_is_ones_and_then_zeros(bag_bundle: Path) -> None:
    """Another mask has no score: it is an error, and never a number."""
    session = Session(bag_bundle)
    ids = np.full((1, made.LENGTH), 5, dtype=np.int64)
    mask = np.zeros_like(ids)
    mask[:, 1:3] = 1
    with pytest.raises(BundleError, match="indices element out of data bounds"):
        session.run({"input_ids": ids, "attention_mask": mask})
