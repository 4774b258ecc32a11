"""Signatures beside what is signed: written, read, and compared with a key."""

import hashlib
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from whyport.runtime.errors import SignatureError, StoreError, UsageError, message_line
from whyport.runtime.files import whole_file
from whyport.runtime.signing.envelope import Envelope, seal
from whyport.runtime.signing.manifest import OF_GIT, Manifest
from whyport.runtime.store import client
from whyport.runtime.store.path import Place, StorePath, is_there

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

MOST_BYTES = 1 << 28
"""The longest file of a signature: a million files take 180 MB."""


@dataclass(frozen=True)
class SignatureMark:
    """A signature as reports name it."""

    sha256: str
    """The digest of the signature's file."""
    key: str | None
    """The fingerprint of the key that it names: sha256 of the public key as PEM. None where it names no key."""
    verified: bool
    """Whether it was compared with a key, and the files with it."""

    @classmethod
    def claimed(cls, place: Place) -> Self | None:
        """The claims of a signature's file; None where there is no such file."""
        try:
            content = _content(place)
        except FileNotFoundError:
            return None
        key = None
        with suppress(SignatureError):  # there are signatures of other kinds, which no key of one's own made
            key = Envelope.read(content).key
        return cls(hashlib.sha256(content).hexdigest(), key, verified=False)


@dataclass(frozen=True)
class Signed:
    """The statement that a key has signed: the files are yet to be compared with it."""

    manifest: Manifest
    mark: SignatureMark

    @property
    def key(self) -> str:
        """The key's fingerprint."""
        assert self.mark.key is not None
        return self.mark.key


def read_signed(place: Place, key: "EllipticCurvePublicKey") -> Signed:
    """The statement that a key has signed.

    Args:
        place: the file of the signature.
        key: the public key.

    Raises:
        SignatureError: there is no signature, or another key made it, or it was changed.
    """
    try:
        envelope = Envelope.read(_content(place))
        envelope.check(key)
        return Signed(Manifest.read(envelope.payload), SignatureMark(envelope.sha256, envelope.key, verified=True))
    except FileNotFoundError:
        raise SignatureError(f"expected a signature, got none, in {place}") from None
    except SignatureError as error:
        raise error.at(str(place)) from None


def write_signature(place: Place, manifest: Manifest, key: "EllipticCurvePrivateKey") -> None:
    """Write the file of a signature, whole or not at all; raises OSError where it cannot be written."""
    content = seal(manifest.payload(), key)
    if isinstance(place, StorePath):
        client.put(place.root_url, place.key, content)
        return
    with whole_file(place) as file:
        file.write(content)


def check_unsigned(place: Place, *, overwrite: bool) -> None:
    """Raise UsageError where a signature would be replaced."""
    if is_there(place) and not overwrite:
        raise UsageError(f"{str(place)!r} exists: it is signed already; --overwrite replaces the signature")


def files_in(folder: Place) -> set[str]:
    """The files in a folder and below, but for what belongs to git."""
    return {name for name in _names(folder) if not any(is_within(name, each) for each in OF_GIT)}


def is_within(name: str, folder: str) -> bool:
    """Whether a path is this one, or inside of it."""
    return name == folder or name.startswith(f"{folder}/")


def _names(folder: Place) -> Iterator[str]:
    if isinstance(folder, StorePath):
        paths: Iterator[Place] = (path for path, _ in folder.walk_files())
    else:
        paths = (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    return (path.relative_to(folder).as_posix() for path in paths)


def _content(place: Place) -> bytes:
    """The content of a signature's file; raises SignatureError, and FileNotFoundError where there is none."""
    try:
        if isinstance(place, StorePath):
            return client.read(place.root_url, place.key, MOST_BYTES)
        return _regular(place)
    except (FileNotFoundError, StoreError):
        raise
    except OSError as error:
        raise SignatureError(f"cannot read the signature: {error.strerror or message_line(error)}") from None


def _regular(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would keep the reader waiting
        raise SignatureError("expected a signature, got a folder, a pipe or a device")
    if status.st_size > MOST_BYTES:
        raise SignatureError(f"expected a signature of at most {MOST_BYTES} bytes, got {status.st_size}")
    return path.read_bytes()
