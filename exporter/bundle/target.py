"""The place for a bundle, checked before anything costly begins."""

import os
from dataclasses import dataclass
from pathlib import Path

from whyport.runtime.bundle.sidecar import SIDECAR
from whyport.runtime.errors import UsageError


@dataclass(frozen=True)
class Target:
    """The bundle to write."""

    path: Path
    name: str | None = None
    """By default the folder's."""
    overwrite: bool = False

    def bundle_name(self) -> str:
        """What the sidecar calls the bundle."""
        return self.name or self.path.absolute().name


def check_target(path: Path, *, overwrite: bool) -> None:
    """Raise UsageError where no bundle can be written, before anything costly begins."""
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise UsageError(f"{str(path)!r} exists; --overwrite replaces it")
    if path.is_symlink() or not (path / SIDECAR).is_file():
        raise UsageError(f"{str(path)!r} is not a bundle and is not replaced: it is no folder with {SIDECAR}")
