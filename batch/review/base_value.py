"""The base values of a run, in words: by the method, and by what scores are measured against."""

from whyport.batch.methods.baselines import BLUR, MEAN, ROWS, SEGMENT_MEAN, ZERO, chosen_baseline
from whyport.batch.methods.catalogue import engine_of
from whyport.batch.methods.method import ONNX
from whyport.batch.methods.token_references import MASK, PAD
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.inputs import TextPreparation
from whyport.runtime.bundle.sidecar import BACKGROUND_NAME, SUMMARY_NAME, Sidecar
from whyport.runtime.errors import WhyportError

WORDS = {
    "input-x-gradient": "the score where every number is 0{categories}",
    "integrated-gradients": "the score of the mean of {references}",
    "deepshap": "the mean score of {references}",
    "treeshap": "the mean score of {references}",
    "expected-gradients": "the mean score of {references}",
    "shapley": "the mean score of {references}",
    "cam": "the bias of the last layer",
    "occlusion": "the score of the mean of {references}",
}
"""By method; every method whose shares add up to a score has an entry."""

PATH_DEPENDENT = "the mean score of the training rows, as the trees counted them"

MADE = {
    ZERO: "the picture in black",
    MEAN: "the picture in the mean colour of the training pictures",
    BLUR: "the row's own picture, blurred",
    SEGMENT_MEAN: "the row's own picture, each segment in its mean colour",
    PAD: "a text of padding",
    MASK: "a text of masks",
}
"""The words for no picture, or no text, by the kind of baseline."""


def base_words(run: FinishedRun, method: str) -> str:
    """The base value of a method in words, as "the mean score of the 100 reference rows".

    Args:
        run: the run; where its bundle is gone, the number of reference rows is left out.
        method: a method whose shares add up.
    """
    settings = run.settings.explain_settings
    if settings.of_method(method).options.get("path_dependent"):
        return PATH_DEPENDENT
    name = settings.baseline
    if method == "deepshap" and engine_of(method, settings.engine) == ONNX:
        name = SUMMARY_NAME
    sidecar = _sidecar(run)
    has_categories = sidecar is None or any(column.categories is not None for column in sidecar.features)
    commonest = ", and every category the commonest" if has_categories else ""
    return WORDS[method].format(references=_references(sidecar, name), categories=commonest)


def _sidecar(run: FinishedRun) -> Sidecar | None:
    try:
        return run.open_bundle().sidecar
    except WhyportError:
        return None


def _references(sidecar: Sidecar | None, name: str | None) -> str:
    """The words for a baseline of that name; None names the bundle's first."""
    if sidecar is None:
        return "the reference rows" if name in (None, BACKGROUND_NAME) else f"the baseline {name!r}"
    if name is None:
        name = chosen_baseline(None, sidecar) or BACKGROUND_NAME
    found = sidecar.baseline(name)
    if found is not None and found.kind != ROWS:
        has_texts = any(isinstance(each.prepare, TextPreparation) for each in sidecar.inputs)
        return "a text of zeros" if found.kind == ZERO and has_texts else MADE[found.kind]
    rows = None if found is None else found.rows
    count = "" if rows is None else f"{rows} "
    kind = "weighted reference rows" if found is not None and found.weighted else "reference rows"
    return f"the {count}{kind} inside explain.onnx" if name == SUMMARY_NAME else f"the {count}{kind}"
