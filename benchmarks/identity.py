"""The same parts, whoever made them: the digests of a job's parts, made in each way, beside those of one run.

    python benchmarks/identity.py [WAY ...] [--out JSON]

The demo model predicts 100 000 rows, and explains 2 000 by `deepshap`. In each way other processes make the parts, and
a run that makes nothing finishes the job. Every file must be the run's own, and the audit must pass.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import whyport
from demo_model import resample
from ways import WAYS, WHYPORT, Command, carry_out, contents, differences, parts_of
from whyport.runtime.store.path import StorePath

BUNDLE = Path(__file__).resolve().parents[1] / "models" / "breast_cancer"
"""The demo model as it is committed: the bytes of a bundle that is trained anew are others."""

CASES = {
    "predict": (100_000, ("--part-rows", "8192", "--batch-rows", "8192")),
    "deepshap": (2_000, ("--explain", "deepshap", "--part-rows", "128", "--batch-rows", "128")),
}


BUCKET = "s3://bucket-of-tests"
STORE = "store"
"""One process, whose output is in an object store."""


def make(name: str, command: Command, out: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """Have a job made in one way; returns what it took, and which files are not those that were expected."""
    place = f"{BUCKET}/{out}" if name == STORE else str(out)
    way = WAYS["run" if name == STORE else name]
    began = time.perf_counter()
    carry_out(way.attempt((*command, "--out", place)))
    carry_out([(*command, "--out", place, "--finish-only")])
    seconds = time.perf_counter() - began
    whyport.audit(place)
    if name == STORE:
        bring(StorePath(place), out)
    found = contents(out)
    return {
        "seconds": round(seconds, 1),
        "equal_parts": len(parts_of(found).items() & parts_of(expected).items()),
        "other_files": differences(found, expected),
    }


def bring(place: StorePath, out: Path) -> None:
    """Copy what is in a store to a folder."""
    for path, _ in place.walk_files():
        copy = out / path.relative_to(place).as_posix()
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


@contextmanager
def server_for(ways: Sequence[str]) -> Iterator[None]:
    """A server that speaks S3, where one is needed."""
    if STORE not in ways:
        yield
        return
    from stores import started

    with started():
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join([*WAYS, STORE])}; by default all")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "identity.json")
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    results = json.loads(out.read_text()) if out.exists() else {}
    # Names within a folder, since a part names its input as the command does.
    ways = arguments.ways or [*WAYS, STORE]
    with tempfile.TemporaryDirectory() as folder, chdir(folder), server_for(ways):
        for case, (rows, options) in CASES.items():
            resample(rows).to_parquet(f"{case}.parquet", index=False)
            command = (*WHYPORT, "run", str(BUNDLE), f"{case}.parquet", "--threads", "1", *options)
            carry_out([(*command, "--out", case)])
            expected = contents(Path(case))
            made = {name: make(name, command, Path(f"{case}-{name}"), expected) for name in ways}
            print(case, json.dumps(made, indent=2))
            # What other calls have found stays where it was found of the same parts.
            before = results.get(case, {})
            kept = before["ways"] if before.get("parts") == parts_of(expected) else {}
            facts = {"rows": rows, "options": " ".join(options), "parts": parts_of(expected)}
            results[case] = facts | {"ways": kept | made}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(any(way["other_files"] for result in results.values() for way in result["ways"].values()))


if __name__ == "__main__":
    main()
