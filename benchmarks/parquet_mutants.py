"""Damaged Parquet files given to `whyport run` and `whyport predict`: tracebacks, hangs and memory.

    python benchmarks/parquet_mutants.py [--mutants N] [--seed N] [--out JSON]

Legal files of many types, encodings and codecs are damaged at random: bytes, runs of bytes, lengths, the footer, page
headers, the end. Each command runs in a process of its own, on Linux. It may end well, or with one line that says what
is wrong. The files and the damage depend on the seed alone.
"""

import argparse
import contextlib
import datetime
import importlib
import io
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whyport.cli import main as whyport
from whyport.runtime.bundle.folder import Bundle

BUNDLE = Path(__file__).parents[1] / "models" / "breast_cancer"
HANG_SECONDS = 30
MOST_BYTES = 1_500_000_000
ROWS = 300

NOON = datetime.datetime(2026, 1, 31, 12)
POINT = pa.struct([("x", pa.float64()), ("y", pa.list_(pa.string()))])
TEXTS = ["", "a", None, "a longer text, again and again", "日付"]


def _cycled(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array([values[i % len(values)] for i in range(ROWS)], kind)


def kept_columns() -> dict[str, pa.Array]:
    """Columns of many types, [ROWS] each."""
    numbers = np.random.default_rng(0).integers(0, 1 << 40, ROWS)
    return {
        "number": pa.array(numbers),
        "step": pa.array(np.arange(ROWS, dtype=np.int32)),
        "text": _cycled(TEXTS, pa.string()),
        "unique": pa.array([f"customer {number}" for number in numbers]),
        "bytes": _cycled([b"\0\xff", None, b""], pa.binary()),
        "flag": _cycled([True, None, False], pa.bool_()),
        "decimal": _cycled([Decimal("1.10"), None], pa.decimal128(30, 2)),
        "at": _cycled([NOON, None], pa.timestamp("us", tz="UTC")),
        "days": _cycled([NOON.date(), None], pa.date32()),
        "half": _cycled([np.float16(1.5), None], pa.float16()),
        "texts": _cycled([["a", None], None, [], ["b"] * 9], pa.list_(pa.string())),
        "deep": _cycled([[[1, 2], None], None, [[]]], pa.list_(pa.list_(pa.int16()))),
        "point": _cycled([{"x": 1.5, "y": ["z"]}, None], POINT),
        "map": _cycled([[("k", 1.5), ("l", None)], None, []], pa.map_(pa.string(), pa.float32())),
        "nothing": pa.nulls(ROWS),
        "category": _cycled(TEXTS, pa.string()).dictionary_encode(),
    }


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"compression": "none", "use_dictionary": False},
    "snappy": {"compression": "snappy"},
    "zstd, version 2": {"compression": "zstd", "data_page_version": "2.0", "row_group_size": 64},
    "gzip, checksums": {"compression": "gzip", "write_page_checksum": True},
    "lz4, page index": {"compression": "lz4", "write_page_index": True, "data_page_size": 500},
    "brotli, old times": {"compression": "brotli", "use_deprecated_int96_timestamps": True},
    "delta": {
        "compression": "none",
        "use_dictionary": False,
        "column_encoding": {
            "number": "DELTA_BINARY_PACKED",
            "step": "DELTA_BINARY_PACKED",
            "unique": "DELTA_BYTE_ARRAY",
            "text": "DELTA_LENGTH_BYTE_ARRAY",
            "bytes": "DELTA_BYTE_ARRAY",
            "flag": "RLE",
            "half": "BYTE_STREAM_SPLIT",
        },
    },
    "small groups": {"compression": "zstd", "row_group_size": 20, "store_schema": False},
}


@dataclass(frozen=True)
class LegalFile:
    """A Parquet file that is damaged later."""

    name: str
    keep: tuple[str, ...]
    content: bytes


def legal_files(features: tuple[str, ...], seed: int) -> list[LegalFile]:
    """A file for each way to write, with every feature and half of the columns of other types."""
    generator, kept, files = random.Random(seed), kept_columns(), []
    values = np.random.default_rng(seed).normal(10, 3, (len(features), ROWS))
    for name, options in OPTIONS.items():
        chosen = tuple(sorted(generator.sample(sorted(kept), len(kept) // 2)))
        columns = {column: kept[column] for column in chosen} | dict(zip(features, values, strict=True))
        encodings = {path: each for path, each in options.get("column_encoding", {}).items() if path in chosen}
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), sink, **options | ({"column_encoding": encodings} if encodings else {}))
        files.append(LegalFile(name, chosen, sink.getvalue().to_pybytes()))
    return files


# Numbers at which lengths and counts break: as Thrift writes them, each seven bits of a number in a byte.
VARINTS = [bytes.fromhex(text) for text in ("00", "01", "7f", "ff7f", "ffff03", "ffffff07", "feffffff0f", "ffffffff1f")]
VARINTS += [bytes.fromhex(text) for text in ("ffffffffff7f", "feffffffffffffffff01", "80808010", "8080808008")]
LENGTHS = [number.to_bytes(4, "little") for number in (0, 1, 255, 1 << 16, 1 << 24, (1 << 31) - 1, (1 << 32) - 1)]


@dataclass(frozen=True)
class Places:
    """Byte ranges of a Parquet file."""

    footer: range
    headers: tuple[int, ...]
    """Where a page header begins."""

    @classmethod
    def of(cls, content: bytes) -> "Places":
        """The places, as the footer tells them."""
        metadata = pq.read_metadata(pa.BufferReader(content))
        length = int.from_bytes(content[-8:-4], "little")
        headers = set()
        for group in range(metadata.num_row_groups):
            for column in range(metadata.num_columns):
                chunk = metadata.row_group(group).column(column)
                headers |= {chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset}
        return cls(range(len(content) - 8 - length, len(content) - 8), tuple(sorted(headers)))


def flip_bytes(content: bytearray, places: Places, generator: random.Random) -> None:
    """A few bytes anywhere."""
    for _ in range(generator.choice((1, 1, 2, 4, 16))):
        content[generator.randrange(len(content))] = generator.randrange(256)


def flip_bit(content: bytearray, places: Places, generator: random.Random) -> None:
    """One bit anywhere."""
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)


def truncate(content: bytearray, places: Places, generator: random.Random) -> None:
    """The end is missing; or a piece in the middle is."""
    at = generator.randrange(len(content))
    if generator.random() < 0.5:
        del content[at:]
    else:
        del content[at : at + generator.choice((1, 4, 64, 4096))]


def fill(content: bytearray, places: Places, generator: random.Random) -> None:
    """A block of one byte, as a disk leaves it."""
    at, size = generator.randrange(len(content)), generator.choice((4, 16, 512, 4096))
    size = min(size, len(content) - at)
    content[at : at + size] = bytes([generator.choice((0, 255, generator.randrange(256)))]) * size


def edit_footer(content: bytearray, places: Places, generator: random.Random) -> None:
    """Bytes of the footer alone."""
    for _ in range(generator.choice((1, 1, 2, 3))):
        content[generator.choice(places.footer)] = generator.choice((0, 1, 127, 128, 255, generator.randrange(256)))


def edit_footer_number(content: bytearray, places: Places, generator: random.Random) -> None:
    """A number in the footer, whose length is set right again."""
    at, number = generator.choice(places.footer), generator.choice(VARINTS)
    content[at : at + generator.randrange(1, 6)] = number
    length = len(content) - 8 - places.footer.start
    content[-8:-4] = length.to_bytes(4, "little")


def edit_page(content: bytearray, places: Places, generator: random.Random) -> None:
    """A number or a byte in a page header or just after it, where levels and encodings begin."""
    at = generator.choice(places.headers) + generator.randrange(60)
    new = generator.choice((*VARINTS, *LENGTHS, bytes([generator.randrange(256)])))
    content[at : at + len(new)] = new


def insert_in_page(content: bytearray, places: Places, generator: random.Random) -> None:
    """A longer number in place of one byte of a page header."""
    at = generator.choice(places.headers) + generator.randrange(40)
    content[at : at + 1] = generator.choice(VARINTS)


def swap(content: bytearray, places: Places, generator: random.Random) -> None:
    """A piece of the file over another one."""
    size = generator.choice((8, 64, 1024))
    source, target = (generator.randrange(max(len(content) - size, 1)) for _ in range(2))
    content[target : target + size] = content[source : source + size]


Damage = Callable[[bytearray, Places, random.Random], None]
DAMAGES: tuple[Damage, ...] = (
    flip_bytes,
    flip_bit,
    truncate,
    fill,
    edit_footer,
    edit_footer,
    edit_footer_number,
    edit_footer_number,
    edit_page,
    edit_page,
    insert_in_page,
    swap,
)


@dataclass(frozen=True)
class Mutant:
    """A damaged file."""

    number: int
    file: str
    damage: str
    keep: tuple[str, ...]
    content: bytes


def mutants(files: list[LegalFile], count: int, seed: int) -> Iterator[Mutant]:
    """Damaged files; the n-th is the same whatever their count."""
    places = [Places.of(file.content) for file in files]
    for number in range(count):
        generator = random.Random(f"{seed} {number}")
        which = generator.randrange(len(files))
        damage, content = generator.choice(DAMAGES), bytearray(files[which].content)
        damage(content, places[which], generator)
        yield Mutant(number, files[which].name, damage.__name__, files[which].keep, bytes(content))


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    mutant: int
    file: str
    damage: str
    command: str
    exit: str
    """An exit code, "traceback", "hang", or "signal N"."""
    seconds: float
    peak_bytes: int
    message: str

    @property
    def is_fault(self) -> bool:
        """Whether it must not be so."""
        is_told = self.exit in ("0", "1", "2", "3", "4")
        return not is_told or self.seconds > HANG_SECONDS or self.peak_bytes > MOST_BYTES


def attempt(mutant: Mutant, command: str, folder: Path) -> Outcome:
    """Give a mutant to a command in a process of its own."""
    path, out = folder / "mutant.parquet", folder / f"out-{mutant.number}-{command}"
    path.write_bytes(mutant.content)
    keep = [text for name in mutant.keep for text in ("--keep", name)]
    options = ["--out", out, "--device", "cpu", "--threads", "1"] if command == "run" else ["--device", "cpu"]
    arguments = [command, BUNDLE, path, *options, *keep]
    started = time.perf_counter()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _child(list(map(str, arguments)), writing)
    os.close(writing)
    is_over = bool(select.select([reading], [], [], 2 * HANG_SECONDS)[0])
    if not is_over:
        os.kill(child, signal.SIGKILL)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    end = "hang" if not is_over else f"signal {-code}" if code < 0 else "traceback" if code == TRACEBACK else str(code)
    seconds = time.perf_counter() - started
    return Outcome(
        mutant.number, mutant.file, mutant.damage, command, end, seconds, used.ru_maxrss * 1024, said.strip()[-300:]
    )


TRACEBACK = 99


def _child(arguments: list[str], writing: int) -> None:
    """Run a command, say its last words, and end this process."""
    said, code = io.StringIO(), TRACEBACK
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())), contextlib.redirect_stderr(said):
        try:
            whyport(arguments)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0
        except BaseException as error:
            said.write(f"{type(error).__name__}: {error}")
    os.write(writing, said.getvalue().encode(errors="replace")[-4000:])
    os._exit(code)


def load() -> tuple[str, ...]:
    """Import what the commands need, so that no child does; returns the bundle's features."""
    for module in ("batch.run.job", "batch.commands", "runtime.commands", "runtime.predict"):
        importlib.import_module(f"whyport.{module}")
    importlib.import_module("onnxruntime")
    return tuple(feature.name for feature in Bundle.read(BUNDLE).sidecar.columns)


def main() -> None:
    """Try the mutants, and write what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--predict-every", type=int, default=4, help="Give every such mutant to predict, too.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    files = legal_files(load(), options.seed)
    with tempfile.TemporaryDirectory() as folder:
        for mutant in mutants(files, options.mutants, options.seed):
            commands = ["run", "predict"] if mutant.number % options.predict_every == 0 else ["run"]
            outcomes += [attempt(mutant, command, Path(folder)) for command in commands]
            shutil.rmtree(Path(folder) / f"out-{mutant.number}-run", ignore_errors=True)
            if outcomes[-1].is_fault:
                print(outcomes[-1], flush=True)
    faults = [asdict(outcome) for outcome in outcomes if outcome.is_fault]
    figures = {
        "mutants": options.mutants,
        "seed": options.seed,
        "exits": dict(sorted(Counter(f"{outcome.command} {outcome.exit}" for outcome in outcomes).items())),
        "worst_peak_bytes": max(outcome.peak_bytes for outcome in outcomes),
        "worst_seconds": round(max(outcome.seconds for outcome in outcomes), 1),
        "faults": faults,
    }
    print(json.dumps(figures, indent=2))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
