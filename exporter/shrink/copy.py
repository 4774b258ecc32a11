"""A copy of a bundle with smaller variants, which takes its place whole or not at all."""

import shutil
from collections.abc import Collection
from pathlib import Path

from whyport.exporter.bundle.target import check_target
from whyport.exporter.bundle.write import unfinished_folder
from whyport.exporter.shrink.choice import VariantChoice
from whyport.exporter.shrink.held_out import read_rows
from whyport.exporter.shrink.shrink import add_variants, check_has_weights
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import SIDECAR
from whyport.runtime.session import Session


def shrunk_copy(bundle: Bundle, target: Path, choice: VariantChoice, rows: Path | None, *, overwrite: bool) -> Bundle:
    """Copy a bundle's own files, add variants, and put the copy in its place.

    Args:
        bundle: the bundle in full size.
        target: the folder of the copy, which may be the bundle's own.
        choice: the variants, and what they may cost.
        rows: a file of held-out rows; None for those of the test vectors.
        overwrite: whether a bundle at the target is replaced.

    Raises:
        The errors of `add_variants`, and of reading the rows; nothing is written then.
    """
    check_target(target, overwrite=overwrite)
    check_has_weights(bundle.sidecar)
    held_out = None if rows is None else read_rows(Session(bundle, "cpu"), rows)
    with unfinished_folder(target, overwrite=overwrite) as folder:
        for name in (SIDECAR, *bundle.sidecar.files):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(bundle.place) / name, folder / name)
        add_variants(folder, choice, held_out)
        if Path(bundle.place).absolute() == target.absolute():
            _keep_foreign(Path(bundle.place), folder, {SIDECAR, *bundle.sidecar.files})
    return Bundle.read(target)


def _keep_foreign(source: Path, folder: Path, own: Collection[str]) -> None:
    """Copy what lies in the bundle's folder and is not the bundle's: somebody's notes outlive the replacement."""
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if name.as_posix() in own or (folder / name).exists() or (path.is_dir() and not path.is_symlink()):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, folder / name, follow_symlinks=False)
