"""What a forger does to a finished run: a part is rewritten, and its digest in the report as well."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Forge = Callable[[pa.Table], pa.Table]


def forge(out: Path, change: Forge, name: str = "part-00000-000000000300-000000000600.parquet") -> None:
    """Rewrite a part, with its metadata, and put its new digest into the report."""
    path = out / name
    table = pq.read_table(path)
    metadata = {k: v for k, v in pq.read_metadata(path).metadata.items() if k != b"ARROW:schema"}
    pq.write_table(change(table).replace_schema_metadata(metadata), path)
    report = json.loads((out / "_report.json").read_text())
    report["parts"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (out / "_report.json").write_text(json.dumps(report))


def with_column(name: str, change: Callable[[Any], Any]) -> Forge:
    """The table with a column changed by a function of its values."""

    def changed(table: pa.Table) -> pa.Table:
        i = table.column_names.index(name)
        values = pa.array(change(table[name].to_pylist()), table.schema.field(name).type)
        return table.set_column(i, table.schema.field(name), values)

    return changed


def elements(change: Callable[[list[Any]], list[Any]]) -> Callable[[Any], Any]:
    """A change of every list that is there."""
    return lambda lists: [None if v is None else change(v) for v in lists]
