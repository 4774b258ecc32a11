"""The sidecars of format 3 that were written by hand, and bundles of them whose files hold nothing."""

import dataclasses
import zipfile
from pathlib import Path

from whyport.runtime.bundle.folder import write_sidecar
from whyport.runtime.bundle.sidecar import decode_sidecar

GOLDEN = {path.stem: path for path in (Path(__file__).parents[1] / "golden" / "format_3").glob("*.json")}
"""The sidecars by their names."""


def bundle_of(name: str, folder: Path) -> Path:
    """A bundle with a golden sidecar, and empty files with the digests of such."""
    sidecar = decode_sidecar(GOLDEN[name].read_text(encoding="utf-8"))
    for file in sidecar.files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"")
        if file.endswith(".pt"):
            zipfile.ZipFile(folder / file, "w").close()
    write_sidecar(folder, dataclasses.replace(sidecar, files={}))
    return folder
