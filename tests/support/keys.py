"""Keys of tests, in PEM files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


@dataclass(frozen=True)
class Keys:
    """The files of a pair of keys."""

    private: Path
    public: Path


def make_keys(folder: Path, name: str = "key", key: Any = None, password: bytes | None = None) -> Keys:
    """Write a pair of keys; by default of the curve P-256."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    hidden: KeySerializationEncryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    pair = Keys(folder / f"{name}.pem", folder / f"{name}.pub")
    pair.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
    pair.private.chmod(0o600)
    pair.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return pair
