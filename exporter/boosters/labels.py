"""The names of a classifier's classes."""

from typing import Any

import numpy as np


def class_names(labels: Any) -> tuple[str, ...]:
    """The names of the labels that a classifier was trained with; none where they are mere numbers from 0."""
    given = np.asarray(labels)
    if given.dtype.kind in "iuf" and (given == np.arange(len(given))).all():
        return ()
    return tuple(str(label) for label in given.tolist())
