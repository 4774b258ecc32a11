"""Whether memory grows with the rows of a run, over pictures and texts, predicted and explained.

    python benchmarks/input_memory.py [--only CASE,CASE] [--out JSON]

Each case is a run in its own process, on Linux. Meanwhile its resident memory is read every 20 ms. What counts is the
most between one finished part of the output and the next. The first fifth of the parts is the warm-up. Behind it the
slope is Theil and Sen's, the median over all pairs of parts, with its 95 % interval; and the medians of the first and
of the last third are compared.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch read it

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import whyport

SIZE, TOKENS, DIFFERENT = 64, 32, 2000
"""Pixels of a side, tokens of a text, and how many rows differ: the others are these again, in random order."""
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te")
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *(a + b for a in SYLLABLES for b in SYLLABLES))
SAMPLED = 0.02
"""Seconds between two readings."""
WARM_UP = 0.2
ROW_GROUP_ROWS = 2000


def pictures(count: int) -> list[bytes]:
    """JPEG files of about 2 kB, of smooth colours and noise."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float64)
        noisy = np.clip(smooth + random.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(noisy).save(file, "JPEG", quality=80)
        found.append(file.getvalue())
    return found


def texts(count: int) -> list[str]:
    """Texts of 5 to 40 words, of which the longest are cut."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(VOCABULARY[4:], random.integers(5, 41))) for _ in range(count)]


class Cnn(nn.Module):
    """Three convolutions, a mean over the maps and a dense layer: [N, 3, 64, 64] to [N, 5]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 32)
        blocks = (nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)) for a, b in pairwise(widths))
        self.body, self.head = nn.Sequential(*blocks), nn.Linear(widths[-1], 5)

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.head(self.body(image).mean((2, 3)))
        return scores


def make_cnn() -> nn.Module:
    torch.manual_seed(0)
    return Cnn().eval()


def make_encoder() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=TOKENS,
        num_labels=2,
    )
    encoder: nn.Module = BertForSequenceClassification(config).eval()
    return encoder


def write_tokenizer(path: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    ids = {word: i for i, word in enumerate(VOCABULARY)}
    made = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [(name, ids[name]) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    made.add_special_tokens(list(VOCABULARY[:4]))
    made.save(str(path))
    return path


@dataclass(frozen=True)
class Input:
    """A column of rows, and the bundle that reads it."""

    rows: Callable[[int], list[Any]]
    factory: str
    option: str
    """`--input`, with a place for the tokenizer."""


@dataclass(frozen=True)
class Case:
    """A run: its input and its method, and how many rows it, a part and a batch have."""

    input: str
    method: str | None
    rows: int
    part_rows: int
    batch_rows: int | None
    """None for a run's own choice; a part has no fewer rows than a batch."""


INPUTS = {
    "pictures": Input(pictures, "make_cnn", f"image=image:row:size={SIZE}x{SIZE},channels=3"),
    "texts": Input(texts, "make_encoder", "input_ids=text:row:tokenizer={tokenizer},max_length=" + str(TOKENS)),
}
CASES = {
    "pictures predicted": Case("pictures", None, 100_000, 2000, None),
    "pictures by deepshap": Case("pictures", "deepshap", 2000, 50, 50),
    "pictures by grad-cam": Case("pictures", "grad-cam", 2000, 50, 50),
    "texts predicted": Case("texts", None, 100_000, 2000, 2000),
    "texts by deepshap": Case("texts", "deepshap", 60_000, 200, 200),
}


def write_rows(path: Path, values: list[Any], count: int) -> None:
    """A Parquet file of so many rows, drawn from some values, each stored as often as it is drawn."""
    column = pa.array(values)
    drawn = np.random.default_rng(1).integers(len(values), size=count)
    with pq.ParquetWriter(path, pa.schema({"row": column.type}), use_dictionary=False) as writer:
        for start in range(0, count, ROW_GROUP_ROWS):
            writer.write_table(pa.table({"row": column.take(pa.array(drawn[start : start + ROW_GROUP_ROWS]))}))


def export(name: str, folder: Path) -> None:
    """The bundle of an input in a folder, and the rows of its cases."""
    source, values = INPUTS[name], INPUTS[name].rows(DIFFERENT)
    for count in {case.rows for case in CASES.values()}:
        write_rows(folder / f"{count}.parquet", values, count)
    sample = folder / "sample.parquet"
    write_rows(sample, values[:100], 100)
    tokenizer = write_tokenizer(folder / "tokenizer.json")
    option = source.option.format(tokenizer=tokenizer)
    whyport.export(f"input_memory:{source.factory}", sample, folder / "bundle", input=option, explain_references=0)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run_case(case: Case, folder: Path) -> dict[str, Any]:
    """Make a run in this process, and read its memory meanwhile."""
    rows, out = folder / f"{case.rows}.parquet", folder / (case.method or "predicted")
    peaks: dict[int, int] = {}
    over = threading.Event()

    def read() -> None:
        while not over.wait(SAMPLED):
            done = max((int(part.stem.split("-")[-1]) for part in out.glob("part-*.parquet")), default=0)
            peaks[done] = max(peaks.get(done, 0), resident_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    started = time.perf_counter()
    sizes = {"part_rows": case.part_rows, "batch_rows": case.batch_rows}
    options = {} if case.method is None else {"explain": case.method}
    try:
        whyport.run(folder / "bundle", rows, out, **sizes, **options)
    finally:
        over.set()
        reader.join()
    seconds = time.perf_counter() - started
    steps = [done for done in sorted(peaks) if WARM_UP * case.rows <= done < case.rows]
    values = np.array([peaks[done] for done in steps], dtype=np.float64)
    return {"seconds": round(seconds), "rows": case.rows} | figures(np.array(steps), values)


def figures(rows: NDArray[np.int64], peaks: NDArray[np.float64]) -> dict[str, Any]:
    """The slope of the memory [bytes] over the rows, and the medians of its first and of its last third."""
    from scipy.stats import theilslopes

    slope = theilslopes(peaks, rows)
    third = len(rows) // 3
    first, last = (float(np.median(part)) / 1e6 for part in (peaks[:third], peaks[-third:]))
    return {
        "steps": len(rows),
        "bytes_per_row": round(float(slope.slope), 1),
        "interval": [round(float(slope.low_slope), 1), round(float(slope.high_slope), 1)],
        "first_third_mb": round(first, 1),
        "last_third_mb": round(last, 1),
    }


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Measure a case in a process of its own."""
    command = [sys.executable, __file__, "--case", name, str(folder)]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    print(
        f"{name:24}{result['rows']:9}{result['bytes_per_row']:9} B/row {result['interval']!s:18}"
        f"{result['first_third_mb']:9} {result['last_third_mb']:9} MB {result['seconds']:5} s",
        flush=True,
    )
    return result


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(CASES), help="Cases, by commas.")
    parser.add_argument("--out", type=Path, default=here / "results" / "input_memory.json")
    parser.add_argument("--case", nargs=2, metavar=("CASE", "FOLDER"), help="One case, as JSON.")
    parser.add_argument("--export", nargs=2, metavar=("INPUT", "FOLDER"), help="The bundle of an input.")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(run_case(CASES[arguments.case[0]], Path(arguments.case[1]))))
        return
    if arguments.export:
        export(arguments.export[0], Path(arguments.export[1]))
        return
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        for case in arguments.only.split(","):
            source = CASES[case].input
            folder = Path(name) / source
            if not folder.exists():
                folder.mkdir()
                subprocess.run([sys.executable, __file__, "--export", source, str(folder)], check=True)
            results[case] = measure(case, folder)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
