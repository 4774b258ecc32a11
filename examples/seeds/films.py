"""Simulated film reviews, their tokenizer, and a small BERT of transformers that tells the good ones from the bad.

    python films.py FOLDER

Writes train.parquet and reviews.parquet, tokenizer.json and weights.pt. Nobody wrote these reviews.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

LENGTH, WORDS = 32, 400
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PARTS = ("plot", "cast", "music", "ending", "dialogue", "camera work", "pace", "story")
GOOD = ("superb", "moving", "witty", "gripping", "lovely", "fresh")
BAD = ("dull", "tired", "clumsy", "hollow", "endless", "cheap")
OPENINGS = ("Honestly,", "Seen on a rainy evening:", "For once", "As so often", "My sister says", "In the end")


def reviews(count: int, seed: int) -> pd.DataFrame:
    """Texts of one to four judgements, of which some are negated, and `verdict`: which kind there is more of."""
    random = np.random.default_rng(seed)
    rows = []
    while len(rows) < count:
        clauses, balance = [], 0
        for _ in range(random.integers(1, 5)):
            is_good, negated = random.random() < 0.5, random.random() < 0.25
            word = random.choice(GOOD if is_good else BAD)
            clauses.append(f"the {random.choice(PARTS)} is {'not ' * negated}{word}")
            balance += 1 if is_good != negated else -1
        if balance:
            rows.append((f"{random.choice(OPENINGS)} {', and '.join(clauses)}.", "good" if balance > 0 else "bad"))
    return pd.DataFrame(rows, columns=["review", "verdict"])


def train_tokenizer(texts: pd.Series) -> Tokenizer:
    """A WordPiece tokenizer with [CLS] before and [SEP] behind each text."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=WORDS, special_tokens=SPECIAL))
    special = [(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    return made


def make() -> nn.Module:
    """The network, with weights that nobody has trained."""
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    network: nn.Module = BertForSequenceClassification(config)
    return network


def train(tokenizer: Tokenizer, table: pd.DataFrame) -> nn.Module:
    """The network after a few passes over the table."""
    torch.manual_seed(0)
    network = make().train()
    tokenizer.enable_padding(length=LENGTH)
    tokenizer.enable_truncation(LENGTH)
    encoded = tokenizer.encode_batch(list(table["review"]))
    ids = torch.tensor([each.ids for each in encoded])
    mask = torch.tensor([each.attention_mask for each in encoded])
    truth = torch.tensor((table["verdict"] == "good").to_numpy(dtype=np.int64))
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(8):
        for rows in torch.randperm(len(ids)).split(64):
            loss = nn.functional.cross_entropy(network(ids[rows], attention_mask=mask[rows]).logits, truth[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    table = reviews(2000, seed=1)
    table.to_parquet(folder / "train.parquet", index=False)
    reviews(200, seed=2).to_parquet(folder / "reviews.parquet", index=False)
    tokenizer = train_tokenizer(table["review"])
    torch.save(train(tokenizer, table).state_dict(), folder / "weights.pt")
    tokenizer.save(str(folder / "tokenizer.json"))


if __name__ == "__main__":
    main()
