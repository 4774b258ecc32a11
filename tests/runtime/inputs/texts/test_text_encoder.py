"""Texts to ids: the tokenizer's own ids, cut and padded as the sidecar says, in every type of column."""

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer as Plain

from support.text_bundles import SPECIAL, VOCABULARY, write_tokenizer
from whyport.runtime.bundle.columns import REFUSE, TEXT, Column
from whyport.runtime.bundle.inputs import Axis, Input, TextPreparation
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleError, BundleFormatError, ColumnError, MissingValueError
from whyport.runtime.inputs.table import Columns
from whyport.runtime.inputs.texts.tokenizer import Tokenizer

MOST = 6
TEXTS = ["the film was good", "", "badly awful and so very dull, never fine", "the [SEP] film"]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json").read_bytes()


def preparation(most: int = MOST, special: bool = True) -> TextPreparation:
    return TextPreparation("text", "t.json", most, special, "max_length")


def columns_of(content: bytes, special: bool = True) -> Columns:
    described = Column("note", TEXT, None, REFUSE, None, 0.0, None, None, ())
    tensors = tuple(TensorSpec(name, "int64", ("N", MOST)) for name in ("ids", "mask"))
    text = Input("ids", (described,), preparation(special=special), tensors, (Axis("token", MOST, None),))
    return Columns.of_inputs((text,), {"t.json": content}.__getitem__)


def expected_rows(content: bytes, special: bool = True) -> list[list[float]]:
    """The ids by the package's own truncation, padded by hand."""
    plain = Plain.from_str(content.decode())
    plain.no_padding()
    plain.enable_truncation(MOST)
    ids = [plain.encode(text, add_special_tokens=special).ids for text in TEXTS]
    return [[*own, *[0] * (MOST - len(own)), len(own)] for own in ids]


COLUMNS: dict[str, Any] = {
    "string": pa.array(TEXTS),
    "large_string": pa.array(TEXTS, pa.large_string()),
    "string_view": pa.array(TEXTS, pa.string_view()),
    "dictionary": pa.array(TEXTS).dictionary_encode(),
    "large dictionary": pa.chunked_array([pa.array(["x", *TEXTS, "y"]).dictionary_encode()[1:-1]]),
    "chunks": pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    "slice": pa.array(["x", *TEXTS])[1:],
    "list": TEXTS,
    "numpy": np.array(TEXTS),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_type_of_column_has_the_tokenizers_ids(content: bytes, kind: str) -> None:
    encoded = columns_of(content).encode({"note": COLUMNS[kind]})
    assert encoded.matrix.tolist() == expected_rows(content)
    assert {name: rows.tolist() for name, rows in encoded.unseen.cut.items()} == {"note": [2]}
    assert not encoded.unseen.rows


def test_without_special_tokens_an_empty_text_has_no_token(content: bytes) -> None:
    matrix = columns_of(content, special=False).encode({"note": TEXTS}).matrix
    assert np.isnan(matrix[1]).all()
    kept = [0, 2, 3]
    assert matrix[kept].tolist() == [expected_rows(content, special=False)[row] for row in kept]


def test_a_null_and_what_is_not_utf8_have_no_ids(content: bytes) -> None:
    columns = columns_of(content)
    broken = pa.StringArray.from_buffers(3, pa.py_buffer(np.int32([0, 3, 5, 6])), pa.py_buffer(b"the\xff\xfeA"))
    faults = {
        "expected a text, got null": pa.array(["the", None]),
        "expected text in UTF-8, got other bytes": broken,
    }
    for kind, column in (*faults.items(), *((kind, column.cast(pa.string_view())) for kind, column in ())):
        matrix = columns.encode({"note": column}).matrix
        assert np.isnan(matrix).all(axis=1).tolist()[:2] == [False, True]
        with pytest.raises(MissingValueError, match=f"column 'note', row 1: {kind}"):
            columns.check_cells({"note": column}, matrix)
    assert np.isnan(columns.encode({"note": pa.array([None, "the"]).dictionary_encode()}).matrix[0]).all()
    assert np.isnan(columns.encode({"note": [None, float("nan"), "a\ud800"]}).matrix).all()


@pytest.mark.parametrize("column", [pa.array([1, 2]), pa.array([b"a"]), [1], [b"a"], pa.array([["a"]])], ids=str)
def test_columns_of_other_values_are_refused(content: bytes, column: Any) -> None:
    with pytest.raises(ColumnError, match="columns that are not a text a row"):
        columns_of(content).encode({"note": column})


def test_many_texts_have_the_ids_that_each_has_alone(content: bytes) -> None:
    texts = [" ".join(VOCABULARY[len(SPECIAL) :][i % 20 : i % 20 + i % 7]) for i in range(2500)]
    tokenizer = Tokenizer.of(content, preparation())
    matrix = columns_of(content).encode({"note": texts}).matrix
    for row in range(0, 2500, 97):
        ((ids, _),) = tokenizer.encode([texts[row]])
        assert matrix[row, : len(ids)].tolist() == ids
        assert matrix[row, -1] == len(ids)


def test_a_tokenizer_that_cannot_serve_is_refused(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleFormatError, match=r"expected a tokenizer\.json, got other content"):
        Tokenizer.of(b"{}", preparation())
    with pytest.raises(BundleFormatError, match="expected a max_length of more than 2, .* got 2"):
        Tokenizer.of(content, preparation(most=2))
    monkeypatch.setattr("whyport.runtime.inputs.texts.tokenizer.MOST_IDS", 10)
    with pytest.raises(BundleFormatError, match=f"at most 10 ids, got {len(VOCABULARY)}"):
        Tokenizer.of(content, preparation())
    with pytest.raises(BundleError, match="there is no file"):
        Columns.of_inputs(INPUTS_WITHOUT_FILES)


INPUTS_WITHOUT_FILES = (
    Input(
        "ids",
        (Column("note", TEXT, None, REFUSE, None, 0.0, None, None, ()),),
        preparation(),
        (TensorSpec("ids", "int64", ("N", MOST)), TensorSpec("mask", "int64", ("N", MOST))),
        (Axis("token", MOST, None),),
    ),
)

FORK = """
import os, sys, multiprocessing
from whyport.runtime.bundle.inputs import TextPreparation
from whyport.runtime.inputs.texts.tokenizer import Tokenizer
tokenizer = Tokenizer.of(open(sys.argv[1], 'rb').read(), TextPreparation('text', 't', 9, True, 'max_length'))
texts = ['the film was good'] * 3000
expected = tokenizer.encode(texts)
child = os.fork()
if not child:
    os._exit(tokenizer.encode(texts) != expected)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_fork_after_threads_were_used_is_silent_and_ends(content: bytes, tmp_path: Any) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content)
    done = subprocess.run([sys.executable, "-c", FORK, file], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
