"""The bundle: a folder with a sidecar, bundle.json. The only place where the sidecar's schema is read or written.

models/README.md specifies the format for consumers in any language.
"""

import dataclasses
import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from whyport.runtime.bundle.codec import encode
from whyport.runtime.bundle.consistency import check_consistency
from whyport.runtime.bundle.self_contained import check_self_contained
from whyport.runtime.bundle.sidecar import SIDECAR, Sidecar, decode_sidecar
from whyport.runtime.errors import BundleError, BundleFormatError, DigestError, listing, message_line
from whyport.runtime.store import client
from whyport.runtime.store.path import Place, StorePath, as_place
from whyport.runtime.store.side_by_side import mapped

MOST_BYTES = 1 << 25
"""The longest bundle.json: 50 000 features take 30 MB."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every file has been checked against its digest."""

    path: Place
    sidecar: Sidecar
    digest: str
    """sha256 of bundle.json, which pins every other file."""
    stored: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The file that holds the content of a name, where it is another: of a bucket, its variant."""
    whole: "Bundle | None" = field(default=None, repr=False, compare=False)
    """The bundle with the longest rows, of which this is a bucket."""
    places: tuple[int, ...] = field(default=(), repr=False, compare=False)
    """Where the numbers of a bucket's row stand in the longest."""
    source: "Bundle | None" = field(default=None, repr=False, compare=False)
    """The bundle of which this is a view, with other inputs or in another precision."""
    precision: str | None = field(default=None, repr=False, compare=False)
    """The smaller variant whose graphs stand in place of the bundle's own; None in full size."""
    place: Place = field(init=False, repr=False, compare=False)
    """The absolute path: files are found after a change of the working folder, too."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", self.path.absolute())

    @classmethod
    def read(cls, path: str | Place) -> Self:
        """Read and check a bundle.

        Raises BundleFormatError if bundle.json is missing, malformed, of another format version or contradicts
        itself, or if a graph needs files outside the bundle, and DigestError if a file is missing or changed.
        """
        path = as_place(path)
        try:
            content = _content(path / SIDECAR, MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            raise BundleFormatError(f"expected a bundle, a folder with {SIDECAR}, got {str(path)!r}") from None
        try:
            sidecar = decode_sidecar(_text(content))
            check_consistency(sidecar)
        except BundleFormatError as error:
            raise error.at(str(path / SIDECAR)) from None
        bundle = cls(path=path, sidecar=sidecar, digest=hashlib.sha256(content).hexdigest())
        for _ in mapped(bundle._check, sidecar.files, side_by_side=isinstance(path, StorePath)):
            pass
        return bundle

    @property
    def as_stored(self) -> "Bundle":
        """The bundle as its folder has it, of which this may be a bucket or a view."""
        outer = self.source or self.whole
        return self if outer is None else outer.as_stored

    def read_bytes(self, name: str) -> bytes:
        """The content of a file of the bundle, checked as it is read, so that the bytes used are the bytes checked."""
        if name not in self.sidecar.files:
            raise BundleError(f"bundle {str(self.path)!r} has no {name!r}; it has {listing(self.sidecar.files)}")
        file = self.path / self.stored.get(name, name)
        try:
            content = _content(self.place / self.stored.get(name, name))
        except (FileNotFoundError, NotADirectoryError):
            raise DigestError(f"file {name!r} of bundle {str(self.path)!r} is missing") from None
        got, expected = hashlib.sha256(content).hexdigest(), self.sidecar.files[name]
        if got != expected:
            raise DigestError(f"file {str(file)!r} has changed: expected sha256 {expected}, got {got}")
        return content

    def _check(self, name: str) -> None:
        content = self.read_bytes(name)
        try:
            check_self_contained(name, content)
        except BundleFormatError as error:
            raise error.at(str(self.path / name)) from None


def as_bundle(bundle: Bundle | str | Place) -> Bundle:
    """The bundle itself, or the bundle at a path; raises as `Bundle.read` does."""
    return bundle if isinstance(bundle, Bundle) else Bundle.read(bundle)


def write_sidecar(folder: Path, sidecar: Sidecar) -> None:
    """Write bundle.json with the digests of all files in `folder`; raises BundleFormatError if none could read it."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / SIDECAR)
    digests = {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    sidecar = dataclasses.replace(sidecar, files=digests)
    text = encode(sidecar)
    check_consistency(decode_sidecar(text))
    (folder / SIDECAR).write_text(text, encoding="utf-8")


def _content(path: Place, most_bytes: int | None = None) -> bytes:
    """The content of a regular file: a pipe would wait for ever, and a device need not end.

    Raises FileNotFoundError and NotADirectoryError, and BundleFormatError for any other entry or a longer file.
    """
    if isinstance(path, StorePath):
        try:
            return client.read(path.root_url, path.key, most_bytes)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise BundleFormatError(f"cannot read {str(path)!r}: {error.strerror}") from None
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BundleFormatError(f"expected a file, got a folder, pipe or device, in {str(path)!r}")
        if most_bytes is not None and status.st_size > most_bytes:
            raise BundleFormatError(f"expected at most {most_bytes} bytes, got {status.st_size}, in {str(path)!r}")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:  # ValueError: no path can hold a NUL
        raise BundleFormatError(f"cannot read {str(path)!r}: {message_line(error)}") from None


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleFormatError(f"expected UTF-8, got {error}") from None
