"""Keys in PEM files: of the curve P-256, and of no other kind. No message names a key's file."""

import hashlib
import logging
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyport.runtime.errors import UsageError, listing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

PASSWORD_VARIABLE = "WHYPORT_KEY_PASSWORD"
"""The variable of the environment with the password of an encrypted key."""

CURVE = "secp256r1"
"""The name of P-256 in OpenSSL's terms."""
MOST_BYTES = 1 << 20
"""The longest file of a key."""

PUBLIC = ("PUBLIC KEY",)
PRIVATE = ("PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY")
OTHERS = {
    "CERTIFICATE": "a certificate",
    "RSA PUBLIC KEY": "an RSA key",
    "OPENSSH PRIVATE KEY": "a key in OpenSSH's own format: ssh-keygen -p -m PKCS8 rewrites it",
}
"""Files that are no such keys, by the label of their blocks."""

BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)

logger = logging.getLogger(__name__)


def read_private(name: str, path: Path, password: Callable[[], str]) -> "EllipticCurvePrivateKey":
    """The private key in a file.

    Args:
        name: the option's name, for messages.
        path: the file, with one private key as PEM.
        password: asked for an encrypted key's password.

    Raises:
        UsageError: the file cannot be read, or has another kind of key; or the password is not the key's.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _content(name, path)
    block, label = _block(name, content, PRIVATE, "a private key", {"PUBLIC KEY": "a public key"})
    is_encrypted = label == "ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in block
    secret = password().encode() if is_encrypted else None
    try:
        key = load_pem_private_key(block, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        got = "another password, or a damaged key" if is_encrypted else "a damaged key, or one of an unknown kind"
        raise UsageError(f"{name}: expected a private key, got {got}") from None
    _check_curve(name, key, EllipticCurvePrivateKey)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        logger.warning("%s: others than you can read this private key: chmod 600 ends that", name)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key


def read_public(name: str, path: Path) -> "EllipticCurvePublicKey":
    """The public key in a file.

    Args:
        name: the option's name, for messages.
        path: the file, with one public key as PEM.

    Raises:
        UsageError: the file cannot be read, or has another kind of key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    private = "a private key: whoever checks needs none (openssl pkey -in KEY -pubout)"
    block, _ = _block(name, _content(name, path), PUBLIC, "a public key", dict.fromkeys(PRIVATE, private))
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{name}: expected a public key, got a damaged key, or one of an unknown kind") from None
    _check_curve(name, key, EllipticCurvePublicKey)
    assert isinstance(key, EllipticCurvePublicKey)
    return key


def fingerprint(key: "EllipticCurvePublicKey") -> str:
    """sha256 of the public key as PEM, in hexadecimal: what model-signing names a key by."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def password_of_environment() -> str:
    """The password of an encrypted key; raises UsageError where no variable has it."""
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None:
        raise UsageError(f"key: expected the password of an encrypted key in {PASSWORD_VARIABLE}, got none")
    return password


def _content(name: str, path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would keep the reader waiting
            raise UsageError(f"{name}: expected the file of a key, got a folder, a pipe or a device")
        if status.st_size > MOST_BYTES:
            raise UsageError(f"{name}: expected the file of a key, got one of {status.st_size} bytes")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{name}: cannot read the key's file: {error.strerror}") from None


def _block(
    name: str, content: bytes, labels: tuple[str, ...], expected: str, others: dict[str, str]
) -> tuple[bytes, str]:
    """The one block of PEM with one of these labels, and its label; raises UsageError where there is none."""
    found = [(match[0] + b"\n", match[1].decode()) for match in BLOCK.finditer(content)]
    fitting = [each for each in found if each[1] in labels]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(f"{name}: expected {expected}, got {len(fitting)} in one file")
    known = [others.get(label) or OTHERS.get(label) for _, label in found]
    got = next(filter(None, known), None) or (
        f"PEM of {listing(label for _, label in found)}" if found else "a file without PEM"
    )
    raise UsageError(f"{name}: expected {expected} as PEM, got {got}")


def _check_curve(name: str, key: Any, kind: type) -> None:
    """Raise UsageError for another algorithm or curve."""
    got = re.sub("(Private|Public)Key$", "", type(key).__name__).strip("_")
    if isinstance(key, kind):
        got = f"one of {key.curve.name}"  # type: ignore[attr-defined]
        if key.curve.name == CURVE:  # type: ignore[attr-defined]
            return
    raise UsageError(f"{name}: expected an EC key of the curve P-256, got {got}")
