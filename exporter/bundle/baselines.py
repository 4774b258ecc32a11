"""The baselines of pictures that a run can be measured against in place of the reference rows."""

from collections.abc import Sequence

from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.row import row_shape
from whyport.runtime.bundle.sidecar import Baseline

BLUR_SHARE = 1 / 20
"""The standard deviation of a blur, as a share of a picture's longer side: objects go, light and colour stay."""


def baselines_of_pictures(inputs: Sequence[Input]) -> tuple[Baseline, ...]:
    """The mean colour, black, and the picture blurred, where a model has pictures; the blur fits the largest."""
    sides = [max(row_shape(each)[:2]) for each in inputs if isinstance(each.prepare, ImagePreparation)]
    if not sides:
        return ()
    return (
        _made("mean", "the mean colour of the sample's pictures", {}),
        _made("zero", "black", {}),
        _made("blur", "each picture itself, blurred", {"sigma": round(max(sides) * BLUR_SHARE, 2)}),
    )


def _made(kind: str, method: str, figures: dict[str, float]) -> Baseline:
    return Baseline(name=kind, kind=kind, file=None, rows=None, weighted=False, method=method, figures=figures)
