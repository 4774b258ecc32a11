"""The encoder of the benchmarks and its texts, where no real weights are there."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

import text_models


@pytest.fixture(autouse=True)
def _without_real_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(text_models.REAL, raising=False)


def test_texts_are_the_same_each_time_and_begin_again() -> None:
    assert text_models.weights() == "random"
    texts = text_models.texts(5000)
    assert texts[:50] == text_models.texts(50)
    again = texts.index(texts[0], 1)
    assert texts[again : again + 50] == texts[:50]


def test_the_tokenizer_knows_every_text(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(text_models.tokenizer(tmp_path)))
    encoded = tokenizer.encode_batch(text_models.texts(200))
    assert all(each.tokens[0] == "[CLS]" and "[UNK]" not in each.tokens for each in encoded)


def test_padding_does_not_change_a_score() -> None:
    network = text_models.make()
    ids = torch.tensor([[2, 5, 9, 3, 0, 0]])
    with torch.no_grad():
        whole, cut = (network(each, (each > 0).long()) for each in (ids, ids[:, :4]))
    torch.testing.assert_close(whole, cut, atol=1e-5, rtol=0)
