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


def test_a_run_is_looked_at_by_a_relative_name(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(table.slice(0, 50).set_column(1, "a", pa.array([None, *[0.5] * 49])), "in.parquet")
    monkeypatch.chdir(tmp_path)
    library.run(bundle, "in.parquet", "out", explain="occlusion", device="cpu")
    assert library.audit("out")[0] == "digests   2 files are the ones that were written"
    assert library.show("out", 0)[:1] == library.show(Path("out"), 0)[:1] == ["in.parquet, row 0"]
    assert len(library.to_shap("out")) > 0


def test_numbers_that_are_too_small_are_refused(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    out = tmp_path / "out"
    library.run(bundle, write(table), out, explain="gradient", device="cpu")
    with pytest.raises(library.UsageError, match="^row: expected at least 0, got -1$"):
        library.show(out, -1)
    with pytest.raises(library.UsageError, match="^top: expected at least 1, got 0$"):
        library.show(out, 3, top=0)
    with pytest.raises(library.UsageError, match="^sample: expected at least 0, got -1$"):
        library.audit(out, sample=-1)
    with pytest.raises(library.UsageError, match="^row: expected at least 0, got -2$"):
        library.report(out, tmp_path / "page.html", row=[-2])
    with pytest.raises(library.UsageError, match="^row: expected a whole number, got 3.0$"):
        library.report(out, tmp_path / "page.html", row=[3.0])  # type: ignore[list-item]


def test_a_run_that_skipped_every_input_has_nothing_to_show(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    bad = write(table)
    content = bytearray(bad.read_bytes())
    content[200:-4000] = bytes(len(content) - 4200)
    bad.write_bytes(content)
    out = tmp_path / "out"
    library.run(bundle, bad, out, explain="gradient", device="cpu", on_bad_file="skip")
    assert library.audit(out)
    for function in (lambda: library.report(out, tmp_path / "page.html"), lambda: library.to_shap(out)):
        with pytest.raises(
            library.JobError, match="expected a run that scored an input, got one that skipped them all"
        ):
            function()
