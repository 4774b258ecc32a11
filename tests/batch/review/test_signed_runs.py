"""Signed runs: nothing is read of a bundle that is not signed; every later change is seen; the chain leads to a row."""

import hashlib
import json
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport as library
from support.command import Whyport
from support.keys import Keys, make_keys
from whyport.runtime.errors import AuditError, JobError, SignatureError, UsageError
from whyport.runtime.store.path import StorePath

Write = Callable[..., Path]
OPTIONS: dict[str, Any] = {"explain": "gradient", "batch_rows": 10, "part_rows": 20, "device": "cpu"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"), "operations")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"), "models")


@pytest.fixture(scope="module")
def signed_bundle(bundle: Path, models: Keys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linear model, signed."""
    copy = Path(shutil.copytree(bundle, tmp_path_factory.mktemp("signed") / "bundle"))
    library.sign(copy, models.private)
    return copy


@pytest.fixture
def rows_file(table: pa.Table, write: Write) -> Path:
    """Fifty rows, of which two are rejected."""
    bad = pa.array([None if i in (3, 44) else 0.5 for i in range(50)])
    return write(table.slice(0, 50).set_column(1, "a", bad), "day.parquet")


@pytest.fixture
def run(signed_bundle: Path, models: Keys, keys: Keys, rows_file: Path, tmp_path: Path) -> Path:
    """A signed run of a signed bundle."""
    out = tmp_path / "out"
    library.run(signed_bundle, rows_file, out, require_signature=models.public, **OPTIONS)
    library.sign(out, keys.private)
    return out


def test_a_run_refuses_a_bundle_that_is_not_signed_before_anything_is_read(
    whyport: Whyport, bundle: Path, signed_bundle: Path, models: Keys, keys: Keys, tmp_path: Path
) -> None:
    """Not even that there are no inputs is told."""
    nothing = tmp_path / "nothing.parquet"
    for unsigned in (bundle, library.Bundle.read(bundle)):
        for call in (library.run, library.plan):
            with pytest.raises(SignatureError, match=r"^expected a signature, got none, in .*model.sig$"):
                call(unsigned, nothing, tmp_path / "out", require_signature=models.public)
    with pytest.raises(SignatureError, match="expected a signature by the key"):
        library.run_shard(signed_bundle, nothing, tmp_path / "out", "1/2", require_signature=keys.public)
    option = ("--require-signature", models.public)
    refused = whyport("run", bundle, nothing, "--out", "o", *option, exit_code=1)
    assert "expected a signature, got none" in refused.output
    signed = whyport("run", signed_bundle, nothing, "--out", "o", *option, exit_code=2)
    assert "which names none" in signed.output
    private = whyport("run", bundle, nothing, "--out", "o", "--require-signature", models.private, exit_code=2)
    assert private.output.startswith("error: require_signature: expected a public key as PEM, got a private key")
    assert not (tmp_path / "out").exists()


def test_the_report_names_the_bundle_s_signature(
    bundle: Path, signed_bundle: Path, models: Keys, rows_file: Path, tmp_path: Path
) -> None:
    digest = hashlib.sha256((signed_bundle / "model.sig").read_bytes()).hexdigest()
    key = hashlib.sha256(models.public.read_bytes()).hexdigest()
    for given, verified in ((models.public, True), (None, False)):
        out = tmp_path / str(verified)
        report = library.run(signed_bundle, rows_file, out, require_signature=given, **OPTIONS)
        named = json.loads((out / "_report.json").read_text())["bundle_signature"]
        assert named == {"sha256": digest, "key": key, "verified": verified}
        assert report.bundle_signature is not None
        assert report.bundle_signature.verified is verified
        written = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
        assert str(models.public.parent).encode() not in written
    library.run(bundle, rows_file, tmp_path / "unsigned", **OPTIONS)
    assert json.loads((tmp_path / "unsigned" / "_report.json").read_text())["bundle_signature"] is None


def test_a_shard_and_a_later_attempt_require_the_signature_too(
    signed_bundle: Path, models: Keys, rows_file: Path, tmp_path: Path
) -> None:
    out, required = tmp_path / "out", {"require_signature": models.public}
    library.run_shard(signed_bundle, rows_file, out, "1/2", **required, **OPTIONS)
    copy = Path(shutil.copytree(signed_bundle, tmp_path / "copy"))
    (copy / "model.sig").unlink()
    with pytest.raises(SignatureError, match="got none"):
        library.run(copy, rows_file, out, **required, **OPTIONS)
    assert library.run(signed_bundle, rows_file, out, **required, **OPTIONS).rows_out == 48


def test_model_signing_believes_our_signature_of_a_run_and_we_believe_its_own(run: Path, keys: Keys) -> None:
    signature, tool = run / "_report.json.sig", [sys.executable, "-m", "model_signing"]
    verify = [*tool, "verify", "key", run, "--signature", signature, "--public_key", keys.public]
    subprocess.run(verify, check=True, capture_output=True)
    signature.unlink()
    subprocess.run(
        [*tool, "sign", "key", run, "--signature", signature, "--private_key", keys.private],
        check=True,
        capture_output=True,
    )
    assert library.audit(run, key=keys.public)[0].startswith("signature 8 files are as the key ")


def performance(document: dict[str, Any]) -> None:
    document["performance"]["peak_memory_bytes"] += 1


def signature_of_the_bundle(document: dict[str, Any]) -> None:
    document["bundle_signature"]["verified"] = False


def time_of_an_input(document: dict[str, Any]) -> None:
    document["inputs"][0]["modified_ns"] += 1


EDITS: dict[str, tuple[str, Any]] = {
    "performance": ("_report.json", performance),
    "the bundle's signature": ("_report.json", signature_of_the_bundle),
    "the time of an input": ("_job.json", time_of_an_input),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_nothing_else_can_tell_is_told_by_the_signature(edit: str, run: Path, keys: Keys) -> None:
    name, change = EDITS[edit]
    document = json.loads((run / name).read_text())
    change(document)
    (run / name).write_text(json.dumps(document))
    library.audit(run, sample=2)
    with pytest.raises(SignatureError, match=rf"expected sha256 \w+, which was signed, got \w+, in .*{name}$"):
        library.audit(run, sample=2, key=keys.public)


def test_files_that_come_or_go_are_told(run: Path, keys: Keys, models: Keys) -> None:
    audited = library.audit(run, key=keys.public)
    assert audited[0].startswith("signature 8 files are as the key")
    (run / "_lock").write_text("")  # a lock comes and goes
    assert library.audit(run, key=keys.public) == audited
    (run / "_page.html").write_text("")
    with pytest.raises(SignatureError, match="missing: none; added: '_page.html'"):
        library.audit(run, key=keys.public)
    (run / "_page.html").unlink()
    part = sorted(run.glob("part*"))[0]
    content = part.read_bytes()
    part.write_bytes(content[:200] + b"?" + content[201:])
    with pytest.raises(AuditError, match="expected sha256"):
        library.audit(run, key=keys.public)
    part.unlink()
    with pytest.raises(SignatureError, match="missing: 'part-"):
        library.audit(run, key=keys.public)
    with pytest.raises(SignatureError, match="expected a signature by the key"):
        library.audit(run, key=models.public)
    (run / "_report.json.sig").unlink()
    with pytest.raises(SignatureError, match="expected a signature, got none"):
        library.audit(run, key=keys.public)


def test_only_a_whole_finished_run_is_signed(
    bundle: Path, keys: Keys, rows_file: Path, tmp_path: Path, whyport: Whyport
) -> None:
    out = tmp_path / "out"
    library.run_shard(bundle, rows_file, out, "1/2", **OPTIONS)
    with pytest.raises(JobError, match="expected a finished run"):
        library.sign(out, keys.private)
    library.run(bundle, rows_file, out, **OPTIONS)
    (out / "more.parquet").write_bytes(b"?")
    with pytest.raises(UsageError, match=r"expected the run's own files alone, got 'more.parquet'"):
        library.sign(out, keys.private)
    (out / "more.parquet").unlink()
    part = sorted(out.glob("part*"))[0]
    content = part.read_bytes()
    part.write_bytes(content + b"?")
    with pytest.raises(AuditError, match=r"expected sha256 \w+, got \w+, in"):
        library.sign(out, keys.private)
    part.write_bytes(content)
    assert whyport("sign", out, "--key", keys.private).output.splitlines()[1] == f"signature {out}/_report.json.sig"
    # A run that replaces this one takes its signature away.
    library.run(bundle, rows_file, out, overwrite=True, **OPTIONS)
    assert not (out / "_report.json.sig").exists()


def test_a_run_in_a_store_is_signed_and_audited_there(
    bundle: Path, keys: Keys, models: Keys, rows_file: Path, root: str
) -> None:
    out = f"{root}/out"
    library.run(bundle, rows_file, out, **OPTIONS)
    assert str(library.sign(out, keys.private).place) == f"{out}/_report.json.sig"
    assert library.audit(out, key=keys.public)[0].startswith("signature 8 files")
    assert any("verified now" in line for line in library.lineage(out, row=4, key=keys.public))
    with pytest.raises(SignatureError, match="expected a signature by the key"):
        library.audit(out, key=models.public)
    assert (StorePath(out) / "_SUCCESS").is_file()


def links(lines: list[str]) -> dict[str, list[str]]:
    """The lines of a chain by their titles, in order."""
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(line[:11].strip(), []).append(line[12:])
    return found


def test_the_chain_has_every_digest(
    whyport: Whyport, run: Path, signed_bundle: Path, keys: Keys, models: Keys, rows_file: Path
) -> None:
    lines = library.lineage(run, key=[keys.public, models.public])
    options = ("--key", keys.public, "--key", models.public)
    assert whyport("lineage", run, *options).output.splitlines() == lines
    chain = links(lines)
    assert [*chain] == ["training", "bundle", "signature", "input", "job", "part", "report"]

    def sha256(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert sha256(signed_bundle / "bundle.json") in chain["bundle"][0]
    of_bundle, of_run = chain["signature"]
    assert sha256(signed_bundle / "model.sig") in of_bundle
    assert sha256(models.public) in of_bundle
    assert of_bundle.endswith("verified by the run; verified now")
    assert sha256(run / "_report.json.sig") in of_run
    assert sha256(keys.public) in of_run
    assert of_run.endswith("; verified now")
    content = rows_file.read_bytes()
    footer = hashlib.sha256(content[-8 - int.from_bytes(content[-8:-4], "little") :]).hexdigest()
    assert chain["input"] == [f"{rows_file}  50 rows, footer sha256 {footer}, which is still there"]
    assert chain["job"] == [f"_job.json  sha256 {sha256(run / '_job.json')}"]
    assert chain["report"] == [f"_report.json  sha256 {sha256(run / '_report.json')}"]
    parts = [*sorted(run.glob("part*")), *sorted(run.glob("_rejected/part*"))]
    assert sorted(chain["part"]) == sorted(f"{path.relative_to(run)}  sha256 {sha256(path)}" for path in parts)
    without = links(library.lineage(run))["signature"]
    assert all(line.endswith("not compared: no key with this fingerprint was given") for line in without)


def test_a_program_reads_the_chain_as_json(run: Path, keys: Keys, whyport: Whyport) -> None:
    options = ("--row", 27, "--key", keys.public, "--format", "json")
    chain = json.loads(whyport("lineage", run, *options).output)
    assert [*chain] == [
        "training", "bundle", "bundle_signature", "inputs", "job", "parts", "row_group", "row", "report",
        "run_signature",
    ]  # fmt: skip
    assert chain["row"] == {"number": 27, "rejected": False, "in_part": 7, "in_row_group": 7}
    assert chain["bundle_signature"]["verified"] is True  # by the run
    assert chain["run_signature"]["verified"] is True
    assert len(chain["parts"]) == 1
    assert library.lineage(run, format="markdown")[0].startswith("- training: ")


@pytest.mark.parametrize(("row", "part", "rejected"), [(27, 1, False), (44, 2, True)])
def test_the_chain_leads_to_a_row(row: int, part: int, rejected: bool, run: Path) -> None:
    chain = links(library.lineage(run, row=row))
    name = ("_rejected/" if rejected else "") + f"part-00000-{part * 20:012d}-{min(part * 20 + 20, 50):012d}.parquet"
    (line,) = chain["part"]
    assert line.split()[0] == name
    found = re.fullmatch(r"(\d+)  sha256 (\w+) of bytes (\d+) to (\d+)", chain["row group"][0])
    assert found is not None
    content = (run / name).read_bytes()
    assert hashlib.sha256(content[int(found[3]) : int(found[4]) + 1]).hexdigest() == found[2]
    numbers = pq.ParquetFile(run / name).read_row_group(int(found[1]))["source_row"].to_pylist()
    place = re.search(r"row (\d+) of the part, (\d+) of the row group$", chain["row"][0])
    assert place is not None
    assert numbers[int(place[2])] == row
    assert pq.read_table(run / name)["source_row"].to_pylist()[int(place[1])] == row
    assert ("rejected" in chain["row"][0]) is rejected


def test_links_that_do_not_hold_are_named(
    run: Path, signed_bundle: Path, keys: Keys, models: Keys, rows_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="row: expected less than 50, got 50"):
        library.lineage(run, row=50)
    rows_file.write_bytes(rows_file.read_bytes()[:-1])
    assert links(library.lineage(run))["input"][0].endswith("which has changed")
    rows_file.unlink()
    assert links(library.lineage(run))["input"][0].endswith("which is not there any more")
    gone = links(library.lineage(run, bundle=tmp_path / secrets.token_hex(4)))
    assert "which is not there any more" in gone["bundle"][0]
    assert gone["training"][0].startswith("not known without the bundle")
    copy = Path(shutil.copytree(signed_bundle, tmp_path / "copy"))
    (copy / "model.sig").unlink()
    assert links(library.lineage(run, bundle=copy, key=models.public))["signature"][0].endswith("; none is there now")
    library.sign(copy, keys.private)
    assert links(library.lineage(run, bundle=copy))["signature"][0].endswith("; another one is there now")
    part = sorted(run.glob("part*"))[0]
    part.write_bytes(part.read_bytes() + b"?")
    with pytest.raises(AuditError, match="expected sha256"):
        library.lineage(run, row=0)
