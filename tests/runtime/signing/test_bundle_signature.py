"""Signatures of bundles: OpenSSF's own tool and this one believe each other, and no change is believed."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import whyport as library
from support.command import Whyport
from support.keys import Keys, make_keys
from whyport.runtime.errors import SignatureError, UsageError
from whyport.runtime.signing.envelope import Envelope
from whyport.runtime.signing.manifest import Manifest
from whyport.runtime.store import client


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"), "other")


@pytest.fixture
def bundle(tree_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tree_bundle, tmp_path / "bundle"))


def model_signing(*arguments: object) -> str:
    """The command of OpenSSF's model-signing."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_model_signing_believes_our_signature_and_we_believe_its_own(
    whyport: Whyport, bundle: Path, keys: Keys
) -> None:
    signature = bundle / "model.sig"
    made = whyport("sign", bundle, "--key", keys.private).output.splitlines()
    files = len(library.Bundle.read(bundle).sidecar.files) + 1
    assert made[0].startswith(f"{files} files signed by the key ")
    assert made[1] == f"signature {signature}"
    checked = ("verify", "key", bundle, "--signature", signature, "--public_key", keys.public)
    assert "Verification succeeded" in model_signing(*checked)
    assert whyport("verify", bundle, "--key", keys.public).output.splitlines()[0] == made[0].replace(
        f"{files} files signed", "signed"
    )
    signature.unlink()
    model_signing("sign", "key", bundle, "--signature", signature, "--private_key", keys.private)
    assert library.verify(bundle, key=keys.public).signed_by == made[0].split()[-1]


def test_nothing_that_was_changed_is_believed(bundle: Path, keys: Keys, others: Keys) -> None:
    library.sign(bundle, keys.private)
    signature = bundle / "model.sig"
    with pytest.raises(SignatureError, match=r"expected a signature by the key \w+, got one by \w+, in .*model.sig"):
        library.verify(bundle, key=others.public)
    signed = signature.read_bytes()
    # What is claimed of the key is no proof: the other key's fingerprint beside this key's signature.
    other = Envelope.read(_signed_by(bundle, others, signature, signed)).key
    signature.write_text(
        json.dumps(_changed(signed, lambda d: d["verificationMaterial"]["publicKey"].update(hint=other)))
    )
    with pytest.raises(SignatureError, match="got one that is not its own"):
        library.verify(bundle, key=others.public)
    # Another digest in the statement, and the signature left as it is.
    signature.write_text(json.dumps(_changed(signed, _other_digest)))
    with pytest.raises(SignatureError, match="got one that is not its own"):
        library.verify(bundle, key=keys.public)
    signature.write_bytes(signed)
    assert library.verify(bundle, key=keys.public).signed_by
    # A bundle that fits itself, but is another one.
    sidecar = bundle / "bundle.json"
    content = sidecar.read_text()
    sidecar.write_text(content.replace('"name": ', '"name":  ', 1))
    library.Bundle.read(bundle)
    with pytest.raises(SignatureError, match=r"expected sha256 \w+, which was signed, got \w+, in .*bundle.json"):
        library.verify(bundle, key=keys.public)
    sidecar.write_text(content)
    (bundle / "more.txt").write_text("?")
    with pytest.raises(
        SignatureError, match="expected the files that were signed alone, got others or fewer: 'more.txt'"
    ):
        library.verify(bundle, key=keys.public)
    signature.unlink()
    (bundle / "more.txt").unlink()
    with pytest.raises(SignatureError, match="expected a signature, got none, in .*model.sig"):
        library.verify(bundle, key=keys.public)


def _signed_by(bundle: Path, keys: Keys, signature: Path, kept: bytes) -> bytes:
    library.sign(bundle, keys.private, overwrite=True)
    content = signature.read_bytes()
    signature.write_bytes(kept)
    return content


def _changed(content: bytes, change: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(content)
    change(document)
    return document


def _other_digest(document: dict[str, Any]) -> None:
    statement = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    name = statement["subject"][0]["name"]
    digests = {each["name"]: each["digest"] for each in statement["predicate"]["resources"]}
    changed = Manifest(name, digests | {"bundle.json": "0" * 64}).payload()
    document["dsseEnvelope"]["payload"] = base64.b64encode(changed).decode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        json.dumps({"mediaType": "x"}).encode(),
        json.dumps({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": None}).encode(),
    ],
)
def test_other_content_is_no_signature(content: bytes) -> None:
    with pytest.raises(SignatureError, match="^expected a signature by a key, got "):
        Envelope.read(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(_type="x"),
        lambda d: d.update(predicateType="https://model_signing/Digests/v0.1"),
        lambda d: d.update(subject=[]),
        lambda d: d["subject"][0].update(digest={"sha256": "0" * 64}),
        lambda d: d["predicate"]["serialization"].update(method="shards"),
        lambda d: d["predicate"]["serialization"].update(hash_type="blake3"),
        lambda d: d["predicate"]["resources"][0].update(algorithm="blake3"),
        lambda d: d["predicate"]["resources"][0].update(digest="00"),
        lambda d: d["predicate"]["resources"].append(d["predicate"]["resources"][0]),
        lambda d: d["predicate"].pop("resources"),
    ],
)
def test_other_statements_are_refused(change: Any) -> None:
    statement = json.loads(Manifest("x", {"a": "0" * 64, "b/c": "1" * 64}).payload())
    assert Manifest.read(json.dumps(statement).encode()).digests == {"a": "0" * 64, "b/c": "1" * 64}
    change(statement)
    with pytest.raises(SignatureError, match="^expected a statement of model-signing, got "):
        Manifest.read(json.dumps(statement).encode())


def test_a_signature_is_replaced_only_where_it_is_asked_for(whyport: Whyport, bundle: Path, keys: Keys) -> None:
    library.sign(bundle, str(keys.private))
    assert "--overwrite replaces the signature" in whyport("sign", bundle, "--key", keys.private, exit_code=2).output
    assert library.sign(bundle, keys.private, overwrite=True).place == bundle / "model.sig"
    (bundle / "model.sig").unlink()
    (bundle / "notes.txt").write_text("?")
    with pytest.raises(UsageError, match="expected the bundle's own files alone, got 'notes.txt'"):
        library.sign(bundle, keys.private)
    with pytest.raises(UsageError, match=r"expected a bundle or a run, got a folder without bundle.json or _job.json"):
        library.sign(bundle.parent, keys.private)


def test_a_bundle_in_a_store_is_signed_and_verified_there(bundle: Path, keys: Keys, others: Keys, root: str) -> None:
    for path in bundle.rglob("*"):
        if path.is_file():
            client.put(root, f"b/{path.relative_to(bundle).as_posix()}", path.read_bytes())
    made = library.sign(f"{root}/b", keys.private)
    assert str(made.place) == f"{root}/b/model.sig"
    assert library.verify(f"{root}/b", key=keys.public).signed_by == made.key
    with pytest.raises(SignatureError, match="expected a signature by the key"):
        library.verify(f"{root}/b", key=others.public)


def test_no_file_of_a_bundle_names_the_key_s_file(bundle: Path, keys: Keys) -> None:
    library.sign(bundle, keys.private)
    secrets = (keys.private.read_bytes().splitlines()[1], str(keys.private.parent).encode())
    payload = Envelope.read((bundle / "model.sig").read_bytes()).payload
    for content in (payload, (bundle / "model.sig").read_bytes()):
        assert not any(secret in content for secret in secrets)
