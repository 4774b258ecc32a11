"""Writes a bundle whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from whyport.exporter.bundle.package import Package
from whyport.exporter.bundle.target import check_target
from whyport.runtime.bundle.folder import Bundle, write_sidecar
from whyport.runtime.conformance import replay
from whyport.runtime.session import Session


def write_bundle(
    path: Path, package: Package, *, overwrite: bool = False, finish: Callable[[Path], object] = lambda folder: None
) -> Bundle:
    """Write into a folder beside the target, replay the test vectors from there, then rename.

    Args:
        path: the bundle's folder.
        package: what goes into it.
        overwrite: whether a bundle of that name may be replaced; it stays until the new one is complete.
        finish: what is done to the verified folder before it takes its place.

    Returns:
        The bundle, read again.

    Raises:
        UsageError: the target exists; ParityError: what was written does not give what it should.
    """
    with unfinished_folder(path, overwrite=overwrite) as folder:
        for name, content in package.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        write_sidecar(folder, package.sidecar)
        replay(Session(Bundle.read(folder), "cpu"))
        finish(folder)
    return Bundle.read(path)


@contextmanager
def unfinished_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A new folder beside the target, which takes its place at the end; where anything fails, nothing is left of it.

    Raises UsageError where the target exists and may not be replaced.
    """
    path = path.absolute()
    check_target(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.unfinished")
    try:
        unfinished.mkdir()
        yield unfinished
        _move(unfinished, path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _move(unfinished: Path, path: Path) -> None:
    """Put the folder in its place; where that fails, the bundle that was there is back."""
    if not path.exists():
        os.rename(unfinished, path)
        return
    replaced = unfinished.with_suffix(".replaced")
    os.rename(path, replaced)
    try:
        os.rename(unfinished, path)
    except OSError:
        os.rename(replaced, path)
        raise
    shutil.rmtree(replaced)
