"""The functions `audit` and `show` give what the commands print."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import whyport as library
from support.bundles import linear_bundle
from support.command import Whyport

Write = Callable[..., Path]


def test_audit_and_show_give_what_the_commands_print(
    whyport: Whyport, bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    library.run(bundle, write(table), out, explain="gradient", device="cpu")
    assert library.audit(out, sample=5, seed=1) == whyport("audit", out, "--sample", 5, "--seed", 1).output.splitlines()
    assert library.show(str(out), 7, top=2) == whyport("show", out, "--row", 7, "--top", 2).output.splitlines()
    assert library.audit(out, sample=0, bundle=str(bundle))[-1].startswith("sample    0 rows")
    with pytest.raises(library.UsageError, match="row: expected less than 1000, got 1000"):
        library.show(out, 1000)
    with pytest.raises(library.AuditError, match="expected the bundle with digest"):
        library.audit(out, bundle=linear_bundle(tmp_path / "another", classes=("left", "right")))
