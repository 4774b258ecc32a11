"""The functions `report` and `to_shap`: a finished run as a page with pictures, and as objects of the package shap."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from whyport.runtime.arguments import as_type, typed
from whyport.runtime.extras import needs
from whyport.runtime.options import as_names
from whyport.runtime.store.path import Place, as_place

if TYPE_CHECKING:
    from shap import Explanation


@needs("batch", "report", "explain")
@typed
def report(
    run: str | Place,
    out: str | Path = "report.html",
    *,
    bundle: str | Place | None = None,
    label: str | None = None,
    row: int | Iterable[int] = (),
    file: str | None = None,
    images: str | Path | None = None,
    format: str | Iterable[str] = "png",
    max_features: int = 20,
    device: str = "auto",
    by: str | None = None,
    labels: str | Place | None = None,
    key: str | None = None,
    faithfulness: int = 0,
    no_rows: bool = False,
    against: str | Place | None = None,
) -> list[Path]:
    """Write a page with pictures of a finished run: the model, the reasons, single rows, errors and drift.

    Args:
        run: the run's output folder.
        out: the page; everything is in this one file.
        bundle: the bundle's path, if it was moved since the run.
        label: the kept column with the true classes or the measured values; by default the training target, if it was
            kept.
        row: one or several rows to show, from 0; by default those that stand out.
        file: the input of `row`, if the run has several.
        images: a folder for the pictures as files.
        format: one or several of "png", "svg" and "eps", for these files.
        max_features: features per figure.
        device: "auto", "cpu" or "cuda".
        by: the column whose groups of rows stand beside each other in a section of their own, or "COLUMN:EDGE,EDGE"
            for intervals; without it there is none.
        labels: truth of these rows that arrived later, Parquet or CSV, a file or a folder; `label` is then its column.
        key: the column that the run and these labels have in common.
        faithfulness: explained rows on which to measure whether the explanations are sound; 0 for no such section.
        no_rows: whether single rows, and figures with something of them, are left out.
        against: another run, or a bundle for its training, that the run is compared with in a section of its own.

    Returns:
        The files that were written, the page first.

    Raises:
        UsageError: an option is not valid, or the page would be among the run's parts.
        JobError, AuditError, BundleError: the run is not finished, or its bundle is missing or another one.
    """
    from whyport.batch.report.gather.view import ReportSettings
    from whyport.batch.report.page import ReportTarget, write_report

    settings = ReportSettings(
        out=as_place(run),
        bundle=None if bundle is None else as_place(bundle),
        label=label,
        rows=tuple(as_type("row", each, (int,)) for each in (row if isinstance(row, Iterable) else (row,))),
        file=file,
        max_features=max_features,
        device=device,
        by=by,
        labels=None if labels is None else as_place(labels),
        key=key,
        faithfulness=faithfulness,
        no_rows=no_rows,
        against=None if against is None else as_place(against),
    )
    formats = tuple(dict.fromkeys(as_names(format)))
    with _no_window():
        return write_report(settings, ReportTarget(Path(out), None if images is None else Path(images), formats))


@needs("batch", "report")
@typed
def to_shap(out: str | Path, rows: int | None = 1000) -> "dict[tuple[str, str], Explanation]":
    """The attributions of a finished run as `shap.Explanation` objects, by method and class.

    `shap.plots.beeswarm(to_shap("scored")["deepshap", "malignant"])` draws them. An object has

    - `values` [N, F], in the method's unit, such as the score's, or for `gradient` the score's per unit of the feature.
    - `base_values` [N], in the score's unit; NaN for a method that measures against nothing.
    - `data` [N, F], the feature values as they are in the input; NaN if one is missing or its file is gone. Dates are
      days since 1970-01-01. Categories are codes; their names are in `display_data`.
    - `feature_names`, and as `output_names` the class.

    Rows without explanation are left out. If a run explains one class per row, an object has the rows whose explained
    class it is. With `--explain-class all`, every row is in every class's object.

    In a run with `--top-k`, a dropped attribution is 0 in `values`, which then do not add up.

    Args:
        out: the run's output folder.
        rows: how many rows of each class, drawn by a hash of their place, the same in every call; None for all of them.

    Raises:
        UsageError: the folder holds no run, or one without explanations. JobError: the run is not finished.
    """
    from whyport.batch.report import to_shap as home

    return home.to_shap(out, rows)


@contextmanager
def _no_window() -> Iterator[None]:
    """Keep the drawing state of a notebook or a screen as it was."""
    import matplotlib
    from matplotlib import pyplot

    backend = matplotlib.get_backend()
    pyplot.switch_backend("agg")
    try:
        yield
    finally:
        pyplot.switch_backend(backend)
