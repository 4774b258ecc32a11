"""The columns in JavaScript read cells of a CSV file as Python does: the same values are known, missing and unseen."""

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support.columns import category_column, time_column
from whyport.runtime.bundle.columns import Column
from whyport.runtime.inputs.feeds import code_values
from whyport.runtime.inputs.table import Columns
from whyport.runtime.tables import read_table, text_columns, typed_columns

ROOT = Path(__file__).parents[2]
PROGRAM = """
import { readFileSync } from "node:fs";
import { columnOf } from "./examples/shared/columns.mjs";
const [column, cells] = JSON.parse(readFileSync(0));
console.log(JSON.stringify(cells.map((cell) => columnOf(column).read(cell))));
"""
CELLS = {
    "codes": (
        category_column("c", ("1", "20000001", "0.1"), "number"),
        [
            "1",
            "1.0",
            "1e0",
            "20000001",
            "20000000",
            "20000002",
            "0.1",
            "0.10000000149011612",
            "0.10000000001",
            "1_0",
            "x",
        ],
    ),
    "codes that were float32": (
        category_column("c", ("0.10000000149011612", "16777216"), "number"),
        ["0.1", "0.10000000149011612", "0.11", "16777216", "16777216.5", "16777217", "1e300"],
    ),
    "booleans": (category_column("c", ("false", "true"), "boolean"), ["1", "0", "2", "TRUE", "false", "yes"]),
    "texts": (category_column("c", ("NA", " a", "1")), ["NA", " a", "a", "1", "1.0", "nan"]),
    "times": (
        time_column("c"),
        [
            *("2024-02-29", "20240229", "0024-02-29", "9999-12-31", "2024-02-29T18", "2024-02-29T18:30:15,5"),
            *("20240229T183015.25", "2024-02-29 18:30:15.125 +02:00", "2024-02-29T18:30-0330", "2024-02-29T18:30+14"),
            *(
                "2024-02-30",
                "2024-W09-4",
                "0000-01-01",
                "2024-02-29T24:00",
                "2024-02-29T18:30+25",
                "202402-29",
                "29.2.24",
            ),
        ],
    ),
}

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")


def in_node(column: Column, cells: Sequence[str]) -> list[dict[str, Any]]:
    """What JavaScript reads in each cell; NaN is null."""
    done = subprocess.run(
        ["node", "--input-type=module", "-e", PROGRAM],
        input=json.dumps([dataclasses.asdict(column), cells]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    read: list[dict[str, Any]] = json.loads(done.stdout)
    return read


@pytest.mark.parametrize("kind", CELLS)
def test_cells_are_what_they_are_in_python(kind: str, tmp_path: Path) -> None:
    column, cells = CELLS[kind]
    cells = [*cells, "NA", "None", "<NA>", "null", "#N/A", ""]
    path = tmp_path / "rows.csv"
    pd.DataFrame({"c": cells, "row": range(len(cells))}).to_csv(path, index=False)
    encoded = Columns.of([column]).encode(typed_columns(read_table(path, texts=text_columns([column])), [column]))
    codes = encoded.matrix[:, 0]
    values = codes if column.categories is None else np.take(code_values(column.categories), codes.astype(np.int64))
    unseen = encoded.unseen.rows.get("c", [])
    found = in_node(column, cells)
    assert [i for i, each in enumerate(found) if each["unseen"]] == list(unseen)
    for i in np.setdiff1d(np.arange(len(cells)), unseen):
        is_missing = isinstance(values[i], np.floating) and np.isnan(values[i])
        assert found[i]["value"] == (None if is_missing else values[i]), cells[i]
