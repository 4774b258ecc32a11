"""Small networks over texts, alone and beside a table, their tokenizer, rows and bundles."""

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

import whyport

LENGTH, BUCKETS = 16, (8, 16)
WORDS = (
    *("the", "a", "film", "story", "actor", "scene", "music", "was", "is", "and"),
    *("good", "great", "fine", "lovely", "bad", "dull", "awful", "weak", "not", "never", "very", "so"),
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = (*SPECIAL, *WORDS, "##ly", "##s", "##er", ".", ",", "!")
GOOD, BAD = {"good", "great", "fine", "lovely"}, {"bad", "dull", "awful", "weak"}


def write_tokenizer(path: Path) -> Path:
    """A WordPiece tokenizer with [CLS] and [SEP], whose file asks for padding and a truncation that no bundle heeds."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    ids = {token: i for i, token in enumerate(VOCABULARY)}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    made.add_special_tokens(list(SPECIAL))
    made.enable_padding(length=5, pad_id=0, pad_token="[PAD]")
    made.enable_truncation(3)
    made.save(str(path))
    return path


def reviews(count: int, seed: int = 0) -> list[str]:
    """Texts of 1 to 17 words."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=1 + i % 17)) for i in range(count)]


def labels(texts: Iterable[str]) -> list[str]:
    """What a text is: good where it has more good words than bad ones."""
    counts = [[word in GOOD for word in text.split()].count(True) for text in texts]
    return ["good" if count else "bad" for count in counts]


class Bag(nn.Module):
    """The mean of the tokens' embeddings, and a linear layer: attributions have a closed form."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.words = nn.Embedding(len(VOCABULARY), width, padding_idx=0)
        self.out = nn.Linear(width, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[N, T] and [N, T] to [N, 2]."""
        mask = attention_mask.unsqueeze(-1).to(torch.float32)
        scores: Tensor = self.out((self.words(input_ids) * mask).sum(1) / mask.sum(1))
        return scores


class Beside(nn.Module):
    """A text and six columns, which a layer without a closed form joins."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.words = nn.Embedding(len(VOCABULARY), width)
        self.steps = nn.Linear(width, width)
        self.out = nn.Sequential(nn.Linear(width + 6, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, note: Tensor, note_mask: Tensor, token_type_ids: Tensor, static: Tensor) -> Tensor:
        """[N, T], [N, T], [N, T] and [N, 6] to [N, 2]."""
        mask = note_mask.unsqueeze(-1).to(torch.float32)
        each = torch.tanh(self.steps(self.words(note) + token_type_ids.unsqueeze(-1)))
        scores: Tensor = self.out(torch.cat([(each * mask).sum(1) / mask.sum(1), static], 1))
        return scores


class Unmasked(nn.Module):
    """A network that is not told what is padding."""

    def forward(self, ids: Tensor) -> Tensor:
        """[N, T] to [N, 2]."""
        return torch.stack([ids.sum(1), -ids.sum(1)], 1).to(torch.float32)


def make_unmasked() -> nn.Module:
    return Unmasked()


def make_bag() -> nn.Module:
    torch.manual_seed(0)
    return Bag().eval()


def make_beside() -> nn.Module:
    torch.manual_seed(0)
    return Beside().eval()


def make_bert() -> nn.Module:
    """transformers' own classifier of texts, small, with random weights."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=LENGTH,
        initializer_range=0.4,
    )
    model: nn.Module = BertForSequenceClassification(config).eval()
    return model


COLUMNS = tuple(f"c{i}" for i in range(6))


def rows_of(texts: list[str], seed: int = 0) -> pa.Table:
    """Texts beside six columns of numbers, and an id."""
    numbers = np.random.default_rng(seed).normal(size=(len(texts), 6)).round(3)
    columns = {name: numbers[:, i] for i, name in enumerate(COLUMNS)}
    return pa.table({"id": np.arange(len(texts)), "review": texts, "label": labels(texts), **columns})


def write_rows(path: Path, count: int = 40, seed: int = 1) -> Path:
    """Rows of texts of every length."""
    pq.write_table(rows_of(reviews(count, seed), seed), path)
    return path


def text_input(name: str, folder: Path, buckets: bool = True) -> str:
    """The `--input` of the texts, with the tokenizer in a folder."""
    file = folder / "tokenizer.json"
    if not file.exists():
        write_tokenizer(file)
    some = f",buckets={'|'.join(map(str, BUCKETS))}" if buckets else ""
    return f"{name}=text:review:tokenizer={file},max_length={LENGTH}{some}"


def export(network: str, folder: Path, *, name: str = "input_ids", table: bool = False, buckets: bool = True) -> Path:
    """A network of this module as a bundle, in a folder that is there."""
    sample = write_rows(folder / "sample.parquet", 60, 0)
    inputs = [text_input(name, folder, buckets), *(["static=table:" + ",".join(COLUMNS)] if table else [])]
    made = whyport.export(
        f"support.text_bundles:{network}",
        sample,
        folder / "bundle",
        input=inputs,
        background="6",
        classes=["bad", "good"],
    )
    return made.path
