"""The function `shrink`: the options of `whyport shrink` as keywords."""

from collections.abc import Iterable
from pathlib import Path

from whyport.runtime.arguments import typed
from whyport.runtime.bundle.folder import Bundle, as_bundle
from whyport.runtime.errors import UsageError
from whyport.runtime.extras import needs
from whyport.runtime.signing.bundle import SIGNATURE_FILE


@needs("export")
@typed
def shrink(
    bundle: Bundle | str | Path,
    *,
    out: str | Path | None = None,
    variants: str | Iterable[str] = (),
    rows: str | Path | None = None,
    max_changed: int | str = "0.5%",
    max_drift: str = "10%",
    keep_slower: bool = False,
    overwrite: bool = False,
) -> Bundle:
    """Add smaller, faster variants to a bundle, and measure what each costs in accuracy and in reasons.

    A variant that is not smaller, or is slower at one row a call, is left out, which the log says. So is a graph of
    reasons that drifts too far; the one in full size then serves.

    Args:
        bundle: the bundle of a network, or its path.
        out: the folder of a copy that gets the variants; by default they are added to the bundle itself.
        variants: one or several of float16, weights-int8, dynamic-int8 and int8; by default those that are worth it.
        rows: a CSV or Parquet file with rows to measure with; by default the rows of the test vectors.
        max_changed: the rows whose prediction may change, a count or a share. A variant beyond it is left out, or, if
            it was named, refused with its figures.
        max_drift: the share by which attributions may move: the sum of |difference| over the sum of magnitudes.
        keep_slower: whether variants that are slower, or not smaller, are kept.
        overwrite: whether a bundle at `out` is replaced.

    Returns:
        The bundle, read again; the figures of a variant are those of its graphs.

    Raises:
        UsageError: an unknown variant, a bundle of trees, or a signed one without `out`. ParityError: a variant that
        was named changes too much; nothing is written then. MissingPackageError: the extra `export` is not installed.
    """
    from whyport.exporter.shrink.choice import VariantChoice
    from whyport.exporter.shrink.copy import shrunk_copy

    choice = VariantChoice.parse(variants, max_changed, max_drift, keep_slower=keep_slower)
    source = as_bundle(bundle)
    if not isinstance(source.place, Path):
        raise UsageError(f"bundle: expected a folder of this machine, got {str(source.path)!r}")
    if out is None and (source.place / SIGNATURE_FILE).exists():
        raise UsageError(f"{str(source.path)!r} is signed: its signature would not fit; --out makes a copy without it")
    target = source.place if out is None else Path(out)
    return shrunk_copy(source, target, choice, None if rows is None else Path(rows), overwrite=overwrite or out is None)
