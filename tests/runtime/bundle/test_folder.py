"""Every way in which a bundle can be broken is its own clear error."""

import dataclasses
import json
import math
import os
from pathlib import Path

import pytest

from support.bundles import edit_sidecar, linear_bundle
from whyport.runtime.bundle.folder import MOST_BYTES, Bundle, write_sidecar
from whyport.runtime.bundle.sidecar import SIDECAR
from whyport.runtime.errors import BundleError, BundleFormatError, DigestError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return linear_bundle(tmp_path / "bundle")


def test_a_whole_bundle_is_read(path: Path) -> None:
    bundle = Bundle.read(path)
    assert bundle.sidecar.targets == ("no", "yes")
    assert bundle.sidecar.column_names == ("a", "b", "c")
    assert bundle.read_bytes("model.onnx") == (path / "model.onnx").read_bytes()


def test_the_digest_is_that_of_the_sidecar(path: Path) -> None:
    before = Bundle.read(path).digest
    edit_sidecar(path, name="another")
    assert Bundle.read(path).digest != before


def test_a_folder_without_a_sidecar_is_no_bundle(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleFormatError, match="expected a bundle, a folder with bundle.json"):
            Bundle.read(path)


@pytest.mark.parametrize("version", [0, 4, 99, None, "1"])
def test_another_format_version_is_refused_whatever_its_keys(path: Path, version: object) -> None:
    edit_sidecar(path, format_version=version, key_of_the_future=1)
    with pytest.raises(BundleFormatError, match=rf"expected a format version from 1 to 3, got {version}.*bundle\.json"):
        Bundle.read(path)


def test_an_unknown_key_is_refused(path: Path) -> None:
    edit_sidecar(path, extra=1)
    with pytest.raises(BundleFormatError, match=r"unknown key 'extra'.*, in .*bundle\.json"):
        Bundle.read(path)


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    (path / SIDECAR).write_bytes(b"\xff\xfe")
    with pytest.raises(BundleFormatError, match="expected UTF-8"):
        Bundle.read(path)


def test_a_changed_file_is_refused(path: Path) -> None:
    content = bytearray((path / "model.onnx").read_bytes())
    content[-1] ^= 1
    (path / "model.onnx").write_bytes(content)
    with pytest.raises(DigestError, match=r"model\.onnx' has changed: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}"):
        Bundle.read(path)


def test_a_missing_file_is_refused(path: Path) -> None:
    (path / "model.pt").unlink()
    with pytest.raises(DigestError, match=r"'model\.pt' .* is missing"):
        Bundle.read(path)


def test_a_file_that_changes_after_the_bundle_was_read_is_refused(path: Path) -> None:
    bundle = Bundle.read(path)
    (path / "model.pt").write_bytes(b"something else")
    with pytest.raises(DigestError, match="has changed"):
        bundle.read_bytes("model.pt")


def test_a_file_without_a_digest_is_never_read(path: Path) -> None:
    (path / "stray.pt").write_bytes(b"stray")
    with pytest.raises(BundleError, match=r"has no 'stray\.pt'; it has"):
        Bundle.read(path).read_bytes("stray.pt")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../outside", "a\\b", "./model.pt"])
def test_a_file_name_cannot_leave_the_bundle(path: Path, name: str) -> None:
    files = json.loads((path / SIDECAR).read_text())["files"]
    edit_sidecar(path, files=files | {name: "0" * 64})
    with pytest.raises(BundleFormatError, match="expected file names inside the bundle"):
        Bundle.read(path)


@pytest.mark.parametrize("name", ["model.onnx", "conformance.parquet", "background.parquet"])
def test_every_required_file_needs_a_digest(path: Path, name: str) -> None:
    files = json.loads((path / SIDECAR).read_text())["files"]
    del files[name]
    edit_sidecar(path, files=files)
    with pytest.raises(BundleFormatError, match=f"expected a digest of '{name}'"):
        Bundle.read(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": [{"name": "yes", "unit": None}] * 2}, "expected targets to differ"),
        ({"targets": [{"name": n, "unit": None} for n in "abc"]}, r"expected an output 'logits' of shape \[N, 3\]"),
    ],
)
def test_a_sidecar_that_contradicts_itself_is_refused(path: Path, changes: dict[str, object], message: str) -> None:
    score = json.loads((path / SIDECAR).read_text())["score"]
    edit_sidecar(path, score=score | changes)
    with pytest.raises(BundleFormatError, match=message):
        Bundle.read(path)


def test_the_embedded_metadata_leaves_out_parity_and_digests_alone(path: Path) -> None:
    sidecar = Bundle.read(path).sidecar
    embedded = json.loads(sidecar.embedded())
    whole = json.loads((path / SIDECAR).read_text())
    assert {key for key in whole if embedded[key] != whole[key]} == {"parity", "files"}


def test_a_bundle_is_found_after_a_change_of_the_working_folder(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    opened = Bundle.read(path.name)
    assert opened.path == Path(path.name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert opened.read_bytes("model.onnx") == (path / "model.onnx").read_bytes()


def test_a_sidecar_that_is_too_long_is_refused_unread(path: Path) -> None:
    with (path / SIDECAR).open("ab") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(BundleFormatError, match=rf"expected at most {MOST_BYTES} bytes"):
        Bundle.read(path)


@pytest.mark.parametrize("name", [SIDECAR, "model.onnx", "model.pt"])
def test_what_is_no_file_is_refused_and_never_waited_for(path: Path, name: str) -> None:
    for make in (
        os.mkfifo,
        os.mkdir,
        lambda place: os.symlink("/dev/zero", place),
        lambda place: os.symlink(place, place),
    ):
        (path / name).rename(path / "aside")
        make(path / name)
        with pytest.raises(BundleError, match=name):
            Bundle.read(path)
        (path / name).rename(path.parent / f"{name} {len(list(path.parent.iterdir()))}")
        (path / "aside").rename(path / name)
    Bundle.read(path)


def test_no_sidecar_is_written_that_could_not_be_read(path: Path) -> None:
    sidecar = Bundle.read(path).sidecar
    before = (path / SIDECAR).read_bytes()
    for broken in (
        dataclasses.replace(sidecar, score=dataclasses.replace(sidecar.score, output="\ud800")),
        dataclasses.replace(sidecar, name="a\0b"),
        dataclasses.replace(sidecar, tolerances=sidecar.tolerances | {"outputs": math.inf}),
        dataclasses.replace(sidecar, opset=0),
    ):
        with pytest.raises(BundleFormatError, match=r"\$\.|finite numbers"):
            write_sidecar(path, broken)
    assert (path / SIDECAR).read_bytes() == before
