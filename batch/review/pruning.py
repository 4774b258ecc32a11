"""Row groups that cannot hold a row that meets a condition, by the smallest and largest values in a file's footer."""

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.scoring.condition import Condition

MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}


@dataclass(frozen=True)
class Bound:
    """A comparison of a column with constants, which every row that meets the condition meets."""

    column: str
    op: type[ast.cmpop]
    values: tuple[Any, ...]
    """The constant; of `in`, several."""

    def may_hold(self, smallest: Any, largest: Any) -> bool:
        """Whether a value from the smallest to the largest may meet it."""
        return any(self._may_hold(smallest, largest, value) for value in self.values)

    def _may_hold(self, smallest: Any, largest: Any, value: Any) -> bool:
        if isinstance(value, float) and isinstance(smallest, int):
            smallest, largest = float(smallest), float(largest)  # as Arrow compares them
        if isinstance(value, str) != isinstance(smallest, str):
            return True
        tests: dict[type[ast.cmpop], Callable[[], bool]] = {
            ast.Eq: lambda: bool(smallest <= value <= largest),
            ast.In: lambda: bool(smallest <= value <= largest),
            ast.Lt: lambda: bool(operator.lt(smallest, value)),
            ast.LtE: lambda: bool(operator.le(smallest, value)),
            ast.Gt: lambda: bool(operator.gt(largest, value)),
            ast.GtE: lambda: bool(operator.ge(largest, value)),
        }
        return tests[self.op]() if self.op in tests else True


@dataclass(frozen=True)
class Pruning:
    """The bounds that a condition sets, for columns whose statistics compare as their values do."""

    bounds: tuple[Bound, ...]

    @classmethod
    def of(cls, condition: Condition, schema: pa.Schema) -> Self:
        """The bounds of a condition on columns of that schema."""
        return cls(tuple(each for each in _bounds(condition, condition.tree) if _is_plain(schema, each.column)))

    def may_hold(self, group: pq.RowGroupMetaData, places: dict[str, int]) -> bool:
        """Whether a row group may hold a row that meets the condition.

        Args:
            group: the row group.
            places: the place of a column among the file's leaves, where it is known.
        """
        for bound in self.bounds:
            place = places.get(bound.column)
            statistics = None if place is None else group.column(place).statistics
            if statistics is None or not statistics.has_min_max:
                continue
            if not bound.may_hold(statistics.min, statistics.max):
                return False
        return True


def _is_plain(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_integer(kind)
        or kind in (pa.float32(), pa.float64())
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
    )


def _bounds(condition: Condition, node: ast.expr) -> Iterator[Bound]:
    """The comparisons that all must hold; whatever else is in the condition sets no bound."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for inner in node.values:
            yield from _bounds(condition, inner)
    if not isinstance(node, ast.Compare):
        return
    lefts = [node.left, *node.comparators]
    for left, op, right in zip(lefts, node.ops, node.comparators, strict=False):
        if isinstance(left, ast.Name | ast.Attribute):
            values = _constants(right)
            if values is not None:
                yield Bound(condition.name_of(left), type(op), values)
        elif isinstance(right, ast.Name | ast.Attribute) and not isinstance(op, ast.In):
            values = _constants(left)
            if values is not None:
                yield Bound(condition.name_of(right), MIRRORED.get(type(op), type(op)), values)


def _constants(node: ast.expr) -> tuple[Any, ...] | None:
    """The values of a constant, or of a list of constants; None for anything else."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        found = [_constants(each) for each in node.elts]
        return None if None in found else tuple(value for each in found if each is not None for value in each)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _constants(node.operand)
        is_number = inner is not None and len(inner) == 1 and not isinstance(inner[0], str)
        return (-inner[0],) if inner is not None and is_number else None
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float | str)
        and not isinstance(node.value, bool)
    ):
        return (node.value,)
    return None
