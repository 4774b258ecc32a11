"""Explanations of an encoder of texts beside captum, and what its tokenizer takes: parts of inputs_speed.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from captum.attr import LayerIntegratedGradients
from numpy.typing import NDArray

import text_models
import whyport
from as_run import AsRun, added_memory, exported, opened
from timing import fastest, in_turn
from whyport.runtime.bundle.folder import Bundle

LENGTH, TARGET = 32, "good"
STEPS, AT_ONCE = 50, (8, 16, 32, 64, 128, 256)
"""Steps of a path, and how many of them captum computes at once."""
SAMPLE = 64

Shares = NDArray[np.floating[Any]]


def encoder(folder: Path) -> Bundle:
    """The bundle of the encoder, with texts of at most 32 tokens."""
    return exported(
        "text_models:make",
        write(folder / "sample.parquet", text_models.texts(SAMPLE)),
        folder / "bundle",
        input=f"input_ids=text:review:tokenizer={text_models.tokenizer(folder)},max_length={LENGTH}",
        classes=text_models.CLASSES,
        background="4",
        explain_references=0,
    )


def write(path: Path, texts: list[str]) -> Path:
    """A Parquet file with a column `review`."""
    pq.write_table(pa.table({"review": texts}), path)
    return path


def deepshap(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """DeepSHAP from the embeddings of 32 tokens, against embeddings of zeros, beside captum's integrated gradients."""
    bundle = encoder(folder)
    texts = text_models.texts(100 * rows)
    session = opened(bundle)
    long = np.flatnonzero(session.matrix({"review": texts})[:, -1] == LENGTH)[:rows]
    file = write(folder / "long.parquet", [texts[i] for i in long])
    options = {"explain": "deepshap", "explain_target": TARGET, "baseline": "zero"}
    run, network = AsRun.of(session, file, options), text_models.make()
    words = network.encoder.embeddings.word_embeddings
    with torch.no_grad():  # captum takes references as ids: that of padding, which no text here has, becomes the zeros
        words.weight[0] = 0
    ids = torch.from_numpy(run.matrix[:, :LENGTH]).long()
    references, mask = torch.zeros_like(ids), torch.ones_like(ids)
    references[:, [0, -1]] = ids[:, [0, -1]]
    target, peer = text_models.CLASSES.index(TARGET), LayerIntegratedGradients(network, words)

    def explain(at_once: int, count: int) -> Shares:
        found = peer.attribute(
            *(ids[:count], references[:count], target),
            additional_forward_args=(mask[:count],),
            n_steps=STEPS,
            internal_batch_size=at_once,
        )
        return found.sum(2).detach().numpy()

    best = fastest({at_once: lambda at_once=at_once: explain(at_once, min(rows, 6)) for at_once in AT_ONCE})
    name = f"captum.LayerIntegratedGradients, {STEPS} steps"
    calls: dict[str, Callable[[], Shares]] = {
        "whyport deepshap": lambda: run().attributions["deepshap"].values,
        name: lambda: explain(best, rows),
    }
    seconds, shares = in_turn(calls, repeats)
    ours, theirs = seconds.values()
    with torch.no_grad():
        scores, base = (network(each, mask)[:, target].double().numpy() for each in (ids, references))
    off = {name: np.abs(each.sum(1, dtype=np.float64) - (scores - base)) for name, each in shares.items()}
    return {
        "weights": text_models.weights(),
        "tokens": LENGTH,
        "cpu_seconds_per_row": {name: round(spent / rows, 4) for name, spent in seconds.items()},
        "times": round(theirs / ours, 2),
        f"{name}, best setting": best,
        "largest error of a sum, of its own difference": {
            name: float(f"{(each / np.abs(scores - base)).max():.2g}") for name, each in off.items()
        },
        "MB that explaining adds": added_memory(bundle, file, options),
    }


def tokeniser(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """The tokenizer's share of a run without explanations, over texts of every length."""
    bundle = encoder(folder)
    texts = text_models.texts(rows)
    file = write(folder / "texts.parquet", texts)
    session = opened(bundle)
    options = {"device": "cpu", "threads": 1, "overwrite": True}
    seconds, _ = in_turn(
        {
            "whyport run": lambda: whyport.run(bundle, file, folder / "scored", **options),
            "its tokenizer": lambda: session.matrix({"review": texts}),
        },
        repeats,
    )
    run, own = seconds.values()
    return {
        "weights": text_models.weights(),
        "most tokens": LENGTH,
        "cpu_seconds_per_row": {name: round(spent / rows, 6) for name, spent in seconds.items()},
        "share": round(own / run, 4),
    }
