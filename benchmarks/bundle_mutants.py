"""Damaged bundles, seeded, through every command's code: each ends in an answer or in one of whyport's own errors.

    python benchmarks/bundle_mutants.py [--mutants N] [--processes N] [--out JSON]

Each mutant is the reference bundle with one file changed; the digests are made anew, as a forger would, so that the
change is read. It is opened, asked for predictions and reasons, verified, and given to a small run. Counted are errors
of other kinds, ends of the process, more than 30 seconds, and more than 1.5 GB.
"""

import argparse
import contextlib
import copy
import functools
import hashlib
import io
import json
import multiprocessing
import random
import re
import resource
import shutil
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.run.run import run
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import SIDECAR
from whyport.runtime.conformance import replay
from whyport.runtime.errors import WhyportError
from whyport.runtime.session import Session

REFERENCE = Path(__file__).parents[1] / "models" / "breast_cancer"
GRAPHS = ("model.onnx", "explain.onnx", "gradient.onnx")
PROGRAMS = ("model.pt", "deepshap.pt")
TABLES = ("background.parquet", "summary.parquet", "conformance.parquet")
METHODS = (
    ("torchscript", "deepshap"),
    ("onnx", "deepshap"),
    ("torchscript", "gradient"),
    ("onnx", "gradient"),
    ("torchscript", "grad-cam"),
    ("onnx", "attention"),
)
"""The engines and methods of the runs, in turn."""

MOST_SECONDS, MOST_BYTES = 30, 1_500_000_000
PATIENCE = 240
"""Seconds by the clock after which a process is taken to hang; beside other processes, all takes longer."""
ROWS = 5

NUMBERS = (0, -1, 1, 7, 30, 2**31, 2**63, -(10**400), 0.5, -1e-300, 1e308, float("inf"))
TEXTS = ("HUGE", "", "N", "object", "float64", "float32", "a\0b", "\ud800", "../x", "/dev/zero", "x" * 100_000)
VALUES: tuple[Any, ...] = (*NUMBERS, *TEXTS, None, True, [], [[]], {}, {"": None}, [None], [1.5, 0.5], ["N", 2])
"""What a value of the sidecar is replaced with; "HUGE" stands for an integer of 5001 digits."""


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant."""

    mutant: int
    kind: str
    end: str
    """The step that refused it, "answered" where none did, or "traceback", "killed", "hang"."""
    seconds: float
    """Of the processor."""
    most_bytes: int
    message: str = ""


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _places(item, (*path, key))


def _sidecar_value(draw: random.Random, content: bytes) -> bytes:
    document = json.loads(content)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        # A first step at random: otherwise nearly all places would be in the features' statistics.
        top = draw.choice(list(document))
        *path, key = draw.choice([(top,), *((top, *rest) for rest in _places(document[top]))])
        inner = document
        for step in path:
            inner = inner[step]
        match draw.randrange(6):
            case 0 if isinstance(inner, dict):
                inner[draw.choice(("x", "\ud800", "a\0", "", "../x"))] = inner.pop(key)
            case 1:
                del inner[key]
                if not document:
                    break
            case 2 if isinstance(inner[key], int | float):
                inner[key] = inner[key] * draw.choice((-1, 0, 2, 1e9, 10**30))
            case _:
                inner[key] = copy.deepcopy(draw.choice(VALUES))
    return re.sub(r"\bInfinity\b", "1e999", json.dumps(document)).encode().replace(b'"HUGE"', b"9" * 5001)


def _bytes(draw: random.Random, content: bytes) -> bytes:
    """Bytes flipped, cut off, taken out, doubled, or made zero."""
    changed = bytearray(content)
    start = draw.randrange(len(changed))
    stop = min(len(changed), start + draw.choice((1, 4, 64, 1024)))
    match draw.randrange(6):
        case 0:
            del changed[start:]
        case 1:
            del changed[start:stop]
        case 2:
            changed[start:start] = changed[start:stop]
        case 3:
            changed[start:stop] = bytes(stop - start)
        case _:
            for _ in range(draw.choice((1, 2, 8, 64))):
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _graph(draw: random.Random, content: bytes) -> bytes:
    """An ONNX file that is well formed, and computes something else."""
    model = onnx.load_from_string(content)
    graph = model.graph
    node, tensor = draw.choice(graph.node), draw.choice(graph.initializer)
    match draw.randrange(12):
        case 0:
            graph.node.remove(node)
        case 1:
            del tensor.dims[:]
            tensor.dims.extend(draw.choice(([1], [0], [2, 3], [1 << 40], [-1])))
        case 2:
            tensor.data_type = draw.choice((0, 6, 7, 8, 11, 99))
        case 3:
            tensor.external_data.add(key="location", value="elsewhere.bin")
            tensor.data_location = onnx.TensorProto.EXTERNAL
        case 4:
            tensor.raw_data = tensor.raw_data[: draw.randrange(len(tensor.raw_data) + 1)]
        case 5:
            model.ir_version = draw.choice((0, 2, 99, 1 << 40))
        case 6:
            model.opset_import[0].version = draw.choice((0, 1, 7, 99))
        case 7:
            node.op_type = draw.choice(("Add", "Relu", "Identity", "Loop", "NoSuchOperator", "ReduceSum"))
        case 8:
            output = draw.choice(graph.output)
            output.name = draw.choice(("other", "", "logits"))
        case 9:
            values = np.full(list(tensor.dims), draw.choice((np.nan, np.inf, 0.0, 1e30)), dtype=np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        case 10:
            draw.choice(model.metadata_props).value = draw.choice(("", "{}", "9" * 5000, "NaN", "٣"))
        case _:
            for attribute in node.attribute:
                attribute.i = draw.choice((-1, 0, 2, 1 << 40))
                attribute.ints.extend([draw.choice((-1, 0, 5))])
    return model.SerializeToString()


def _program(draw: random.Random, content: bytes) -> bytes:
    """A TorchScript archive with one record changed, and its checksum right."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        records = [entry for entry in old.infolist() if entry.file_size]
        endings = (".py", ".pkl", "parts.json", "")
        ending = draw.choice(endings)
        changed = draw.choice([entry for entry in records if entry.filename.endswith(ending)] or records)
        dropped = draw.random() < 0.1
        for entry in old.infolist():
            record = old.read(entry)
            if entry is changed:
                if dropped:
                    continue
                record = _bytes(draw, record)
            new.writestr(entry.filename, record)
    return made.getvalue()


def _table(draw: random.Random, content: bytes) -> bytes:
    """A Parquet file that is well formed, and holds something else."""
    table = pq.read_table(pa.BufferReader(content))
    at = draw.randrange(table.num_columns)
    name, column = table.column_names[at], table.column(at)
    first = column[0].as_py()
    match draw.randrange(6):
        case 0:
            table = table.drop_columns(name)
        case 1:
            table = table.slice(0, draw.choice((0, 1, 7)))
        case 2:
            other = pa.array(draw.choice((["x"] * table.num_rows, [None] * table.num_rows, [1] * table.num_rows)))
            table = table.set_column(at, name, other)
        case 3:
            value = draw.choice((float("nan"), float("inf"), -1.0, 1e30))
            rows = column.to_pylist()
            hostile = [value] * len(first) if isinstance(first, list) else value
            rows[draw.randrange(len(rows))] = hostile if pa.types.is_floating(_element(column.type)) else -7
            table = table.set_column(at, name, pa.array(rows, column.type))
        case 4:
            rows = column.to_pylist()
            rows[-1] = None
            table = table.set_column(at, name, pa.array(rows, column.type))
        case _:
            table = table.append_column(name, column)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _element(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_fixed_size_list(kind) else kind


Change = Callable[[random.Random, bytes], bytes]

KINDS: dict[str, tuple[Change, tuple[str, ...]]] = {
    "sidecar value": (_sidecar_value, (SIDECAR,)),
    "sidecar bytes": (_bytes, (SIDECAR,)),
    "graph": (_graph, GRAPHS),
    "graph bytes": (_bytes, GRAPHS),
    "program": (_program, PROGRAMS),
    "program bytes": (_bytes, PROGRAMS),
    "table": (_table, TABLES),
    "table bytes": (_bytes, TABLES),
}


def make_mutant(number: int, folder: Path) -> str:
    """Write a mutant of the reference bundle; the same number always gives the same one.

    Args:
        number: the mutant.
        folder: an empty folder.

    Returns:
        Its kind: how it was changed.
    """
    draw = random.Random(number)
    kind = list(KINDS)[number % len(KINDS)]
    change, names = KINDS[kind]
    name = draw.choice(names)
    shutil.copytree(REFERENCE, folder, dirs_exist_ok=True)
    content = change(draw, (folder / name).read_bytes())
    (folder / name).write_bytes(content)
    if name != SIDECAR:
        document = json.loads((folder / SIDECAR).read_bytes())
        document["files"][name] = hashlib.sha256(content).hexdigest()
        (folder / SIDECAR).write_text(json.dumps(document))
    return f"{kind}: {name}" if len(names) > 1 else kind


@functools.cache
def rows_and_names() -> tuple[np.ndarray[Any, np.dtype[np.float32]], tuple[str, ...]]:
    """A few rows [N, F] for the reference bundle, and the names of their columns."""
    sidecar = Bundle.read(REFERENCE).sidecar
    means = np.array([feature.mean for feature in sidecar.features])
    rows = (means * np.linspace(0.8, 1.2, ROWS)[:, None]).astype(np.float32)
    return rows, sidecar.signature.features.columns


def attack(number: int, folder: Path) -> Outcome:
    """Take a mutant through everything that reads a bundle; an error that is not whyport's own is raised.

    Args:
        number: the mutant.
        folder: an empty folder.
    """
    started = time.process_time()
    kind = make_mutant(number, folder / "bundle")
    rows, names = rows_and_names()
    pq.write_table(pa.table(dict(zip(names, rows.T, strict=True))), folder / "rows.parquet")
    refused: list[tuple[str, str]] = []
    opened: list[Session] = []
    engine, method = METHODS[number // len(KINDS) % len(METHODS)]
    steps: list[tuple[str, Callable[[], object]]] = [
        ("open", lambda: opened.append(Session(Bundle.read(folder / "bundle"), "cpu", threads=2))),
        ("predict", lambda: opened[0].predict(rows)),
        ("explain", lambda: opened[0].explain(rows)),
        ("verify", lambda: replay(opened[0])),
        (
            "run",
            lambda: run(
                folder / "bundle",
                folder / "rows.parquet",
                folder / "out",
                explain=method,
                engine=engine,
                threads=2,
                device="cpu",
            ),
        ),
    ]
    for name, step in steps:
        try:
            step()
        except WhyportError as error:
            refused.append((name, str(error)))
            if name == "open":
                break
    end, message = refused[0] if refused else ("answered", "")
    return Outcome(number, kind, end, time.process_time() - started, 0, message)


def _work(numbers: list[int], pipe: Connection) -> None:
    """Attack mutants one after the other, and send how each ended."""
    for number in numbers:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the largest size is measured anew
        with tempfile.TemporaryDirectory() as text:
            started = time.process_time()
            try:
                outcome = asdict(attack(number, Path(text)))
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                message = f"{type(error).__name__}: {error} at {place.filename}:{place.lineno}"[:400]
                seconds = time.process_time() - started
                outcome = asdict(Outcome(number, _kind(number), "traceback", seconds, 0, message))
        pipe.send(outcome | {"most_bytes": _most_bytes()})
    pipe.send(None)


def _kind(number: int) -> str:
    return list(KINDS)[number % len(KINDS)]


def _most_bytes() -> int:
    """The largest resident size, in bytes."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(numbers: list[int]) -> Iterator[Outcome]:
    """The outcomes of mutants, attacked in a process that is replaced when it dies or hangs."""
    context = multiprocessing.get_context("spawn")
    while numbers:
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(numbers, there))
        process.start()
        there.close()
        while True:
            if not here.poll(PATIENCE):
                end = "hang"
                break
            try:
                message = here.recv()
            except EOFError:
                end = "killed"
                break
            if message is None:
                end = ""
                break
            numbers = numbers[1:]
            yield Outcome(**message)
        process.kill()
        process.join()
        if end:
            number = numbers[0]
            numbers = numbers[1:]
            yield Outcome(number, _kind(number), end, 0.0, 0, f"exit code {process.exitcode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "bundle_mutants.json")
    arguments = parser.parse_args()
    outcomes: list[Outcome] = []

    def attack_some(start: int) -> None:
        for outcome in measure(list(range(start, arguments.mutants, arguments.processes))):
            outcomes.append(outcome)
            if outcome.end in ("traceback", "killed", "hang") or outcome.most_bytes > MOST_BYTES:
                print(json.dumps(asdict(outcome)), flush=True)

    with ThreadPoolExecutor(arguments.processes) as pool:
        list(pool.map(attack_some, range(arguments.processes)))
    ends = Counter(outcome.end for outcome in outcomes)
    results = {
        "mutants": len(outcomes),
        "tracebacks": ends["traceback"],
        "killed": ends["killed"],
        "hangs": ends["hang"] + sum(outcome.seconds > MOST_SECONDS for outcome in outcomes),
        "over_1.5_GB": sum(outcome.most_bytes > MOST_BYTES for outcome in outcomes),
        "slowest_seconds": round(max(outcome.seconds for outcome in outcomes), 2),
        "most_bytes": max(outcome.most_bytes for outcome in outcomes),
        "ends": dict(ends.most_common()),
        "by_kind": {
            kind: dict(Counter(outcome.end for outcome in outcomes if outcome.kind == kind).most_common())
            for kind in sorted({outcome.kind for outcome in outcomes})
        },
    }
    print(json.dumps(results, indent=2))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
