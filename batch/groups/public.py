"""The function `compare_groups`: the groups of a finished run beside each other."""

from whyport.batch.review.document import check_format, rendered
from whyport.runtime.arguments import at_least, typed
from whyport.runtime.extras import needs
from whyport.runtime.store.path import Place, as_place


@needs("batch", "groups")
@typed
def compare_groups(
    run: str | Place,
    by: str,
    *,
    label: str | None = None,
    labels: str | Place | None = None,
    key: str | None = None,
    favourable: str | None = None,
    small_group: int = 30,
    bundle: str | Place | None = None,
    format: str = "text",
) -> list[str]:
    """Put the groups of a finished run's rows beside each other: rates, calibration, figures of fairness, mean shares.

    Args:
        run: the run's output folder.
        by: a kept column, or one of the inputs; "COLUMN:EDGE,EDGE,..." makes intervals of numbers or dates.
        label: the column with the truth, a kept one or one of `labels`; by default the one that the model was trained
            on, or the only one of the labels.
        labels: truth that arrived later: Parquet or CSV, a file or a folder.
        key: the column that the run and the labels have in common.
        favourable: the class to look at; by default the last of two, and each of several.
        small_group: groups of fewer rows are marked.
        bundle: the bundle's path, if it was moved since the run.
        format: "text", "json" for one line with an object, or "markdown".

    Returns:
        The lines of the document.

    Raises:
        UsageError: a column is not known or holds no groups, or an option is not valid. JobError: there is no
            finished run.
        DataError, AuditError: a part, an input or the labels cannot be read, or a key is there twice.
    """
    at_least("small_group", small_group, 1)
    check_format(format)
    from whyport.batch.groups.document import group_document
    from whyport.batch.groups.groups import GroupSettings, group_rows
    from whyport.batch.review.finished_run import FinishedRun

    place = None if labels is None else as_place(labels)
    settings = GroupSettings(by, label, place, key, favourable, small_group)
    found = group_rows(FinishedRun.read(as_place(run)), settings, None if bundle is None else as_place(bundle))
    return rendered(group_document(found), format)
