"""The bundle: a folder with a sidecar, bundle.json. The only place where the sidecar's schema is read or written.

models/README.md specifies the format for consumers in any language.
"""

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from whyport.runtime.bundle.codec import encode
from whyport.runtime.bundle.sidecar import SIDECAR, Sidecar, check_consistency, decode_sidecar
from whyport.runtime.errors import BundleError, BundleFormatError, DigestError, listing


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every file has been checked against its digest."""

    path: Path
    sidecar: Sidecar
    digest: str
    """sha256 of bundle.json, which pins every other file."""
    place: Path = field(init=False, repr=False, compare=False)
    """The absolute path: files are found after a change of the working folder, too."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", self.path.absolute())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read and check a bundle.

        Raises BundleFormatError if bundle.json is missing, malformed, of another format version or contradicts
        itself, and DigestError if a file is missing or changed.
        """
        path = Path(path)
        sidecar_path = path / SIDECAR
        try:
            content = sidecar_path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise BundleFormatError(f"expected a bundle, a folder with {SIDECAR}, got {str(path)!r}") from None
        try:
            sidecar = decode_sidecar(_text(content))
            check_consistency(sidecar)
        except BundleFormatError as error:
            raise error.at(str(sidecar_path)) from None
        bundle = cls(path=path, sidecar=sidecar, digest=hashlib.sha256(content).hexdigest())
        for name in sidecar.files:
            bundle.read_bytes(name)
        return bundle

    def read_bytes(self, name: str) -> bytes:
        """The content of a file of the bundle, checked as it is read, so that the bytes used are the bytes checked."""
        if name not in self.sidecar.files:
            raise BundleError(f"bundle {str(self.path)!r} has no {name!r}; it has {listing(self.sidecar.files)}")
        file = self.path / name
        try:
            content = (self.place / name).read_bytes()
        except FileNotFoundError:
            raise DigestError(f"file {name!r} of bundle {str(self.path)!r} is missing") from None
        got, expected = hashlib.sha256(content).hexdigest(), self.sidecar.files[name]
        if got != expected:
            raise DigestError(f"file {str(file)!r} has changed: expected sha256 {expected}, got {got}")
        return content


def as_bundle(bundle: Bundle | str | Path) -> Bundle:
    """The bundle itself, or the bundle at a path; raises as `Bundle.read` does."""
    return bundle if isinstance(bundle, Bundle) else Bundle.read(bundle)


def write_sidecar(folder: Path, sidecar: Sidecar) -> None:
    """Write bundle.json with the digests of all files in `folder`."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / SIDECAR)
    digests = {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    sidecar = dataclasses.replace(sidecar, files=digests)
    check_consistency(sidecar)
    (folder / SIDECAR).write_text(encode(sidecar), encoding="utf-8")


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleFormatError(f"expected UTF-8, got {error}") from None
