"""The size of a run's output, known from its columns' types before a row is read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.methods.per import CELL, PATCH, PIXEL
from whyport.batch.output.label_maps import MAP_BYTES
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.errors import UsageError
from whyport.runtime.paths import open_file

if TYPE_CHECKING:
    from whyport.batch.run.plan import Plan

NAME_BYTES = 4
"""Bytes of a name: Parquet keeps each of the few different ones once."""
STEPS = (1000, "B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class OutputSize:
    """The size of a run's output before it is compressed."""

    rows: int
    own: float
    """Bytes of a row that is not explained, with its kept columns."""
    explanation: float
    """Bytes of a row's explanations; where rows are of varying length, of the longest."""
    explained: float
    """The share of the rows that are explained; of a condition, which only the rows tell, 1."""

    @classmethod
    def of(cls, plan: "Plan") -> "OutputSize":
        """The size of the output of a plan."""
        shares, settings = plan.reduction.positions, plan.settings
        most = max([block.stop - block.start for block in shares.varying], default=0)
        most = most if settings.top_k is None else min(settings.top_k, most)
        explanations = plan.output.explanation_schema
        own = [field for field in plan.part_schema if field.name not in explanations.names and field not in plan.kept]
        first = next(iter(plan.sources.values()))
        return cls(
            plan.rows,
            sum(_width(field.type, 0) for field in own) + sum(_kept(first, field) for field in plan.kept),
            sum(_width(field.type, most) for field in explanations) + MAP_BYTES * len(plan.output.segments.inputs),
            1.0 if settings.explain_fraction is None else settings.explain_fraction,
        )

    @property
    def total(self) -> float:
        """Bytes of all rows."""
        return self.rows * (self.own + self.explained * self.explanation)

    @property
    def text(self) -> str:
        """The size in words."""
        explained = f" ({size_text(self.explanation)} of them explanations)" if self.explanation else ""
        a_row = f"{size_text(self.own + self.explanation)} a row{explained}"
        return f"about {size_text(self.total)} before compression, {a_row}"

    def check(self, plan: "Plan") -> None:
        """Raise UsageError with what to do where the output would be larger than the settings allow."""
        most = plan.settings.max_output
        if self.total > most:
            raise UsageError(
                f"max_output: expected at most {size_text(most)} of output, got {self.rows} rows, {self.text}: "
                f"{', '.join(_ways(plan))}, or a larger max_output"
            )


def size_text(size: float) -> str:
    """A number of bytes with a unit: 1.5 GB; units are powers of 1000."""
    base, *units = STEPS
    for unit in units[:-1]:
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= float(base)
    return f"{size:.4g} {units[-1]}"


def _ways(plan: "Plan") -> list[str]:
    """The options that make the output of a plan smaller."""
    settings = plan.settings
    is_picture = any(axis.name in ("y", "x") for block in plan.reduction.positions.blocks for axis in block.axes)
    ways = {
        f"per {PATCH!r} in place of {settings.per!r}": is_picture and settings.per in (CELL, PIXEL),
        "top_k": bool(settings.methods) and settings.top_k is None,
        "fewer targets": any(len(each) > 1 for each in plan.output.by_method.values()),
        "fewer methods": len(settings.methods) > 1,
        "explain_where or explain_fraction": bool(settings.methods) and plan.selection.is_all,
        "fewer kept columns": bool(plan.kept),
        "fewer inputs": len(plan.sources) > 1,
    }
    return [way for way, helps in ways.items() if helps]


def _width(kind: pa.DataType, most: int) -> float:
    """Bytes of a value; of a list of any length, with `most` values."""
    if isinstance(kind, pa.BaseExtensionType):
        return _width(kind.storage_type, most)
    if pa.types.is_fixed_size_list(kind):
        return float(kind.list_size * _width(kind.value_type, most))
    if hasattr(kind, "value_field"):
        while hasattr(kind, "value_field"):
            kind = kind.value_type
        return most * _width(kind, most)
    try:
        return float(kind.bit_width) / 8
    except ValueError:
        return NAME_BYTES


def _kept(source: SourceFile, field: pa.Field) -> float:
    """Bytes of a kept column's value: the type's or, where its values differ, the mean of an input's first rows."""
    try:
        return float(field.type.bit_width) / 8
    except (ValueError, AttributeError):
        pass
    if not source.rows or not source.footer.windows:
        return 0.0
    with open_file(source.place) as file:
        metadata: pq.FileMetaData = source.footer.metadata(file, source.footer.windows[0])
    group = metadata.row_group(0)
    leaves = [group.column(i) for i in range(group.num_columns)]
    own = [leaf for leaf in leaves if leaf.path_in_schema.split(".")[0] == field.name]
    size = float(sum(leaf.total_uncompressed_size for leaf in own))
    return size / max(int(group.num_rows), 1)
