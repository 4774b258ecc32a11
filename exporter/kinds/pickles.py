"""Files whose loading runs the code inside them: read only where the user trusts them."""

import importlib
import logging
import warnings
from pathlib import Path
from typing import Any

from whyport.runtime.errors import ExportError, UsageError, first_line

logger = logging.getLogger(__name__)

PICKLES = (".pkl", ".pickle", ".joblib")
"""Their suffixes."""

DANGER = "loading it runs whatever code is inside, with your rights"


def is_pickle(source: str) -> bool:
    """Whether a source is a file of that kind, by its suffix."""
    return Path(source).suffix.lower() in PICKLES and ":" not in source


def read_pickle(path: Path, *, trusted: bool) -> Any:
    """The object in a file of pickle or joblib.

    Args:
        path: the file.
        trusted: whether the user said that its code may run.

    Raises:
        UsageError: nobody trusts it, or there is no such file. ExportError: it cannot be loaded.
    """
    if not trusted:
        raise UsageError(
            f"source {str(path)!r}: a pickle is a program: {DANGER}; --trust-pickle loads it, if you made the file or "
            f"know who did"
        )
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}")
    logger.warning("%s is trusted: %s", path.name, DANGER)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            model = importlib.import_module("joblib").load(path)
        except Exception as error:  # the code in the file fails in any way
            raise ExportError(f"source {str(path)!r}: cannot be loaded: {first_line(error)}") from error
    # Such as that another version of the library wrote it; once, however many parts say so.
    for text in dict.fromkeys(first_line(each.message) for each in said if isinstance(each.message, Warning)):
        logger.warning("%s: %s", path.name, text)
    return model
