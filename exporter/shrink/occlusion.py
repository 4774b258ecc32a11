"""Reasons that any model has: how its score falls where a part of a row is replaced by a reference's."""

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.inputs import TextPreparation
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.row import row_size
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.session import Session

MOST_ROWS, MOST_PARTS = 16, 32
"""The most rows that are taken, and the most parts that a row is cut into."""

Matrix = NDArray[np.float32]


def occlusion(session: Session, rows: Matrix, targets: NDArray[np.int64], reference: Matrix) -> NDArray[np.float64]:
    """The score of each row less its score without a part, [N, parts].

    Args:
        session: the model.
        rows: [N, F]; the first few are taken.
        targets: the target of each, [N].
        reference: what replaces a part, [F].
    """
    rows, targets = rows[:MOST_ROWS], targets[:MOST_ROWS]
    parts = np.array_split(np.array(session.bundle.sidecar.shared_places), MOST_PARTS)
    each = np.arange(len(rows)), targets
    score = session.task.score
    whole = session.run(rows, [score])[score][each].astype(np.float64)
    shares = []
    for part in filter(len, parts):
        without = rows.copy()
        without[:, part] = reference[part]
        shares.append(whole - session.run(without, [score])[score][each])
    return np.stack(shares, axis=1)


def plain_reference(session: Session) -> Matrix:
    """The first reference row [F], in which texts are padding."""
    reference = References.read(session.bundle).rows[0].copy()
    return np.where(_is_token(session.bundle.sidecar), np.float32(0), reference)


def _is_token(sidecar: Sidecar) -> NDArray[np.bool_]:
    texts = [(row_size(each), isinstance(each.prepare, TextPreparation)) for each in sidecar.inputs]
    return np.repeat([is_text for _, is_text in texts], [size for size, _ in texts])
