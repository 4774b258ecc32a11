"""The function `faithfulness`: whether the explanations of a finished run are sound."""

from whyport.batch.review.document import check_format, rendered
from whyport.runtime.arguments import at_least, typed
from whyport.runtime.extras import needs
from whyport.runtime.store.path import Place, as_place


@needs("batch", "trees", "explain")
@typed
def faithfulness(
    run: str | Place,
    *,
    sample: int = 50,
    seed: int = 0,
    bundle: str | Place | None = None,
    device: str = "auto",
    format: str = "text",
) -> list[str]:
    """Measure on a sample whether the explanations of a finished run are themselves sound.

    Args:
        run: the run's output folder.
        sample: explained rows to look at, drawn by `seed`.
        seed: the seed of all draws.
        bundle: the bundle's path, if it was moved since the run.
        device: "auto", "cpu" or "cuda".
        format: "text", "json" for one line with an object, or "markdown".

    Returns:
        The lines of the document.

    Raises:
        UsageError: the run explains nothing, or an option is not valid. JobError: the run is not finished.
        AuditError, DataError, BundleError: the bundle or an input is gone, or another one.
    """
    at_least("sample", sample, 1)
    at_least("seed", seed, 0)
    check_format(format)
    from whyport.batch.faithfulness.document import soundness_document
    from whyport.batch.faithfulness.faithfulness import measure_soundness

    place = None if bundle is None else as_place(bundle)
    found = measure_soundness(as_place(run), sample=sample, seed=seed, bundle=place, device=device)
    return rendered(soundness_document(found), format)
