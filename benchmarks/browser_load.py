"""What the first load of the page for browsers costs: bytes by kind, and the time to the first reason.

    python benchmarks/browser_load.py [--bundle BUNDLE] [--repeats N] [--out JSON] [--markdown]

Chromium opens the page with an empty profile each time, from this machine: no network's time is in the figures. The
host sends the headers that threads need.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import whyport

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.programs import serving  # noqa: E402
from support.screenshots import shoot  # noqa: E402

SIZES = ("full size", "float16", "weights-int8")
WAIT = ("--no-page", "--wait", "#conformance[data-failed]")
TOLD = """({ ...document.getElementById("load").dataset, threads: document.getElementById("engine").dataset.threads,
    failed: document.getElementById("conformance").dataset.failed })"""


def visit(address: str, folder: Path) -> dict[str, int]:
    """What the page says of one first load, in a profile of its own."""
    shot = shoot(address, folder / "page.png", *WAIT, "--eval", TOLD)
    if shot.errors or shot.result["failed"] != "0":
        raise SystemExit(f"error: expected a page that reproduces the test vectors, got {shot.errors or shot.result}")
    return {name: int(value) for name, value in shot.result.items()}


def measured(bundle: Path, repeats: int, folder: Path) -> list[dict[str, Any]]:
    """A row a size: bytes, threads, and the milliseconds of each visit. The sizes take turns, to meet the same load."""
    found: dict[str, list[dict[str, int]]] = {name: [] for name in SIZES}
    with serving(bundle) as address:
        for _ in range(repeats + 1):  # the first round warms the machine's own caches, and is not counted
            for name in SIZES:
                query = "" if name == "full size" else f"?variant={name}"
                found[name].append(visit(address + query, folder))
    rows = []
    for name, visits in found.items():
        milliseconds = sorted(each["milliseconds"] for each in visits[1:])
        own = {key: visits[1][key] for key in ("page", "engine", "bundle", "threads")}
        rows.append({"size": name, **own, "milliseconds": milliseconds, "median": statistics.median(milliseconds)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "breast_cancer")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        small = whyport.shrink(options.bundle, out=folder / "small", variants=SIZES[1:], keep_slower=True)
        rows = measured(Path(small.path), options.repeats, folder)
    report = {"machine": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg(), "rows": rows}
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(markdown(rows) if options.markdown else json.dumps(report, indent=1))


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| | page | engine | bundle | first reason |", "|---|---|---|---|---|"]
    for row in rows:
        sizes = " | ".join(f"{row[kind]:,}".replace(",", " ") for kind in ("page", "engine", "bundle"))
        lines.append(f"| {row['size']} | {sizes} | {row['median']:,.0f} ms |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
