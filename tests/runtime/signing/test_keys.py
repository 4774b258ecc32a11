"""Keys: of one kind, in PEM files; everything else is refused by name, and no message names a file."""

import logging
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from support.command import Whyport
from support.keys import make_keys
from whyport.runtime.errors import UsageError
from whyport.runtime.signing.keys import fingerprint, read_private, read_public


def no_password() -> str:
    raise AssertionError("a password was asked for")


def test_a_pair_is_read_and_its_fingerprint_is_the_digest_of_the_public_file(tmp_path: Path) -> None:
    pair = make_keys(tmp_path)
    public = read_public("key", pair.public)
    assert read_private("key", pair.private, no_password).public_key() == public
    digest = subprocess.run(["sha256sum", pair.public], capture_output=True, text=True, check=True).stdout.split()[0]
    assert fingerprint(public) == digest


def test_openssl_s_own_older_files_are_read_too(tmp_path: Path) -> None:
    """As `openssl ecparam -genkey` writes them: the curve first, and then the key."""
    key: Any = ec.generate_private_key(ec.SECP256R1())
    block = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert block.startswith(b"-----BEGIN EC PRIVATE KEY-----")
    curve = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    (tmp_path / "key.pem").write_bytes(curve + block)
    assert read_private("key", tmp_path / "key.pem", no_password).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("made", "got"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), "RSA"),
        (ed25519.Ed25519PrivateKey.generate, "Ed25519"),
        (lambda: dsa.generate_private_key(1024), "DSA"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "one of secp384r1"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "one of secp256k1"),
    ],
)
def test_other_kinds_of_keys_are_named(made: Any, got: str, tmp_path: Path) -> None:
    pair = make_keys(tmp_path, key=made())
    expected = f"^key: expected an EC key of the curve P-256, got {got}$"
    with pytest.raises(UsageError, match=expected):
        read_private("key", pair.private, no_password)
    with pytest.raises(UsageError, match=expected):
        read_public("key", pair.public)


def test_keys_of_the_wrong_side_and_other_files_are_named(tmp_path: Path) -> None:
    pair, other = make_keys(tmp_path), tmp_path / "other.pem"
    with pytest.raises(UsageError, match="^key: expected a private key as PEM, got a public key$"):
        read_private("key", pair.public, no_password)
    with pytest.raises(UsageError, match="^key: expected a public key as PEM, got a private key: whoever checks"):
        read_public("key", pair.private)
    key = ed25519.Ed25519PrivateKey.generate()
    contents = {
        b"": "a file without PEM",
        b"\x30\x82\xff": "a file without PEM",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "a certificate",
        b"-----BEGIN X-----\nAAAA\n-----END X-----\n": "PEM of 'X'",
        key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()): "a key in OpenSSH's own format",
        key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH): "a file without PEM",
    }
    for content, got in contents.items():
        other.write_bytes(content)
        with pytest.raises(UsageError, match=f"^key: expected a private key as PEM, got {got}"):
            read_private("key", other, no_password)
    other.write_bytes(pair.private.read_bytes() * 2)
    with pytest.raises(UsageError, match="^key: expected a private key, got 2 in one file$"):
        read_private("key", other, no_password)
    other.write_bytes(pair.private.read_bytes().replace(b"M", b"N"))
    with pytest.raises(UsageError, match="^key: expected a private key, got a damaged key"):
        read_private("key", other, no_password)


def test_files_that_are_none_and_missing_ones_are_refused_without_their_names(tmp_path: Path) -> None:
    secret = tmp_path / "secret-name"
    with pytest.raises(UsageError) as missing:
        read_public("require_signature", secret)
    assert str(missing.value) == "require_signature: cannot read the key's file: No such file or directory"
    os.mkfifo(secret)
    for path in (secret, tmp_path):
        with pytest.raises(UsageError, match="^key: expected the file of a key, got a folder, a pipe or a device$"):
            read_public("key", path)
    (tmp_path / "long").write_bytes(bytes(1 << 21))
    with pytest.raises(UsageError, match="^key: expected the file of a key, got one of 2097152 bytes$"):
        read_public("key", tmp_path / "long")


def test_an_encrypted_key_takes_its_own_password_alone(tmp_path: Path) -> None:
    pair = make_keys(tmp_path, password=b"right")
    assert read_private("key", pair.private, lambda: "right")
    for wrong in ("wrong", ""):
        with pytest.raises(UsageError, match="^key: expected a private key, got another password, or a damaged key$"):
            read_private("key", pair.private, lambda wrong=wrong: wrong)  # type: ignore[misc]


def test_a_key_that_others_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pair = make_keys(tmp_path)
    with caplog.at_level(logging.WARNING):
        read_private("key", pair.private, no_password)
        assert not caplog.messages
        pair.private.chmod(0o640)
        read_private("key", pair.private, no_password)
    assert caplog.messages == ["key: others than you can read this private key: chmod 600 ends that"]


def test_the_command_takes_the_password_from_the_environment(
    whyport: Whyport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = make_keys(tmp_path, password=b"right")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text("{}")
    without = whyport("sign", tmp_path / "bundle", "--key", pair.private, exit_code=2)
    assert without.output == (
        "error: key: expected the password of an encrypted key in WHYPORT_KEY_PASSWORD, got none\n"
    )
    monkeypatch.setenv("WHYPORT_KEY_PASSWORD", "right")
    assert "bundle.json" in whyport("sign", tmp_path / "bundle", "--key", pair.private, exit_code=1).output
