"""Small files written whole: under a temporary name first, and safe from a power cut."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name only when the block ends well; until then, an existing file stays.

    Raises OSError if it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.tmp")
    # What has that name may be a link or a pipe: it is removed, not written to.
    unfinished.unlink(missing_ok=True)
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
