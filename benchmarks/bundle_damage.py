"""Seeded damage to bundles: a file of the reference bundle changed, with a digest that fits the change."""

import copy
import hashlib
import io
import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq

from whyport.runtime.bundle.sidecar import SIDECAR

REFERENCE = Path(__file__).parents[1] / "models" / "breast_cancer"
GRAPHS = ("model.onnx", "explain.onnx", "gradient.onnx")
PROGRAMS = ("model.pt", "deepshap.pt")
TABLES = ("background.parquet", "summary.parquet", "conformance.parquet")

NUMBERS = (0, -1, 1, 7, 30, 2**31, 2**63, -(10**400), 0.5, -1e-300, 1e308, float("inf"))
TEXTS = ("HUGE", "", "N", "object", "float64", "float32", "a\0b", "\ud800", "../x", "/dev/zero", "x" * 100_000)
VALUES: tuple[Any, ...] = (*NUMBERS, *TEXTS, None, True, [], [[]], {}, {"": None}, [None], [1.5, 0.5], ["N", 2])
"""The values that replace one of the sidecar; "HUGE" stands for an integer of 5001 digits."""


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
            new.writestr(zipfile.ZipInfo(entry.filename), record)  # of no date
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


def kind_of(number: int) -> str:
    """How a mutant is changed."""
    return list(KINDS)[number % len(KINDS)]


def make_mutant(number: int, folder: Path) -> str:
    """Write a mutant of the reference bundle; the same number always gives the same one.

    Args:
        number: the mutant.
        folder: an empty folder.

    Returns:
        Its kind: how it was changed.
    """
    draw = random.Random(number)
    kind = kind_of(number)
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
