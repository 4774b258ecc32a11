"""Where the truth of a run's rows is: in kept columns, or in labels that arrived later."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from whyport.batch.groups.label_files import LabelFiles
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.truth import choose_label, measured_columns, trained_on
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError, listing, unknown


@dataclass(frozen=True)
class Truth:
    """The columns with the truth: one of classes, or one a target of quantities, None where it is not known."""

    columns: tuple[str | None, ...] = ()
    origin: str = ""
    """Where they are; empty without any."""
    key: str = ""
    """The key that joins labels; empty where the truth was kept."""

    @property
    def found(self) -> list[str]:
        """The columns that there are; of labels, all of them."""
        return [name for name in self.columns if name is not None]

    @property
    def is_known(self) -> bool:
        """Whether there is any."""
        return bool(self.found)

    @classmethod
    def of(
        cls, run: FinishedRun, bundle: Bundle | None, label: str | None, files: LabelFiles | None, key: str | None
    ) -> Self:
        """The truth of a run; raises UsageError for a column that is not there, or where there is no telling which."""
        if files is None or key is None:
            columns = (choose_label(run, bundle, label),) if run.task.predicts_targets else measured_columns(run, label)
            names = [name for name in columns if name is not None]
            return cls(columns, f"kept column {listing(names)}" if names else "")
        columns = labels_of(run, trained_on(bundle), label, files.names, key)
        return cls(columns, f"column {listing(name for name in columns if name)} of {files.place}", key)

    def columns_of(self, table: pa.Table) -> list[pa.Array]:
        """The truths of a table of the output, a column for each; nulls where a target has none."""
        return [
            pa.nulls(table.num_rows, pa.float64()) if name is None else table[name].combine_chunks()
            for name in self.columns
        ]


def labels_of(
    run: FinishedRun, trained: str | None, label: str | None, names: Sequence[str], key: str
) -> tuple[str | None, ...]:
    """The columns of the labels that hold the truth: that of `label`, of the target's name, or the only other one."""
    if key not in names:
        raise UsageError(f"key: {unknown('column of the labels', key, names)}")
    others = [name for name in names if name != key]
    targets = run.task.targets
    if not run.task.predicts_targets and len(targets) > 1:
        if label is not None:
            raise UsageError(
                f"label: the model has {len(targets)} targets, whose measured values are looked for in the labels' "
                f"columns of their names, got {label!r}"
            )
        if not set(targets) & set(others):
            raise UsageError(f"labels: expected columns of the targets' names, got {listing(others)}")
        return tuple(name if name in others else None for name in targets)
    if label is not None:
        if label not in others:
            raise UsageError(f"label: {unknown('column of the labels', label, others)}")
        return (label,)
    wanted = trained if run.task.predicts_targets else targets[0]
    if wanted in others:
        return (wanted,)
    if len(others) != 1:
        raise UsageError(f"labels: choose one of the columns {listing(others)} with label")
    return (others[0],)
