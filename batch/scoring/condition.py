"""A condition on columns written as text, such as `probability.yes > 0.5 and region in ('north', 'south')`.

Python's own parser reads the text, and Arrow computes its value. Nothing is ever executed, and a node outside the
tables below is refused. Types and nulls are Arrow's.

No library fits: most that read such texts are whole query engines (DuckDB, polars) or SQL parsers (sqlglot), which
would be one more thing to install. numexpr evaluates NumPy arrays, which know neither nulls nor dates.
"""

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.runtime.errors import UsageError, message_line, unknown

Column = Callable[[str], pa.Array]

EXAMPLE = "probability.yes > 0.5 and region in ('north', 'south')"
OPTION = "explain_where"
"""The option that a condition is of, unless another is named."""

# Texts are kept. A name in backticks or double quotes is a column, and is replaced by a name that Python can parse.
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|`([^`]+)`|\"([^\"]+)\"")
STAND_IN = re.compile(r"\b__column_(\d+)__\b")

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: pc.add,
    ast.Sub: pc.subtract,
    ast.Mult: pc.multiply,
    ast.Div: pc.divide,
}


@dataclass(frozen=True)
class Condition:
    """A parsed condition."""

    text: str
    tree: ast.expr
    quoted: tuple[str, ...]
    """The quoted columns; the tree has stand-ins for them."""
    option: str = OPTION
    """The option's name in messages."""

    @classmethod
    def parse(cls, text: str, option: str = OPTION) -> Self:
        """Parse a text; raises UsageError naming the option where it is no expression."""
        quoted: list[str] = []

        def stand_in(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name is None:
                return match[0]
            quoted.append(name)
            return f"__column_{len(quoted) - 1}__"

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about escapes in texts, which Python may refuse one day
                tree = ast.parse(QUOTED.sub(stand_in, text.strip()), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise UsageError(f"{option}: expected a condition such as {EXAMPLE!r}, got {text!r}: {reason}") from None
        return cls(text, tree, tuple(quoted), option)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the condition names, each once."""
        return tuple(dict.fromkeys(self._names(self.tree)))

    def check(self, known: pa.Schema, origin: str, no_probabilities: str = "") -> None:
        """Check that this is a condition on the columns; otherwise raise UsageError naming the columns and the file.

        Args:
            known: the columns.
            origin: the file.
            no_probabilities: why no column is a probability; empty where some are.
        """

        def empty(name: str) -> pa.Array:
            if name not in known.names:
                why = f": {no_probabilities}" if no_probabilities and name.startswith("probability.") else ""
                raise UsageError(f"{self.option}: {unknown('column', name, known.names)}; others need --keep{why}")
            return pa.array([], known.field(name).type)

        try:
            result = self._value(self.tree, empty)
        except RecursionError:
            raise UsageError(f"{self.option}: nested too deeply: {self.text!r}") from None
        except UsageError as error:
            raise error.at(origin) from None
        if not isinstance(result, pa.Array) or result.type != pa.bool_():
            kind = result.type if isinstance(result, pa.Array) else "a constant"
            raise UsageError(f"{self.option}: expected a condition on columns, got {kind}: {self.text!r}, in {origin}")

    def holds(self, column: Column) -> NDArray[np.bool_]:
        """Whether the condition is true for each row, [N]; a null is not true.

        Args:
            column: gives the N values of a column by its name.
        """
        result: NDArray[np.bool_] = pc.fill_null(self._value(self.tree, column), False).to_numpy(zero_copy_only=False)
        return result

    def _value(self, node: ast.expr, column: Column) -> Any:
        """The value of a node: an Arrow array, or a scalar for a constant."""

        def value(inner: ast.expr) -> Any:
            return self._value(inner, column)

        try:
            match node:
                case ast.BoolOp():
                    combine = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
                    return reduce(combine, map(value, node.values))
                case ast.UnaryOp(op=ast.Not()):
                    return pc.invert(value(node.operand))
                case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                    return pa.scalar(-number)
                case ast.UnaryOp(op=ast.USub()):
                    return pc.negate(_number(value(node.operand)))
                case ast.BinOp() if type(node.op) in ARITHMETIC:
                    return ARITHMETIC[type(node.op)](_number(value(node.left)), _number(value(node.right)))
                case ast.Compare():
                    lefts = [node.left, *node.comparators]
                    pairs = zip(lefts, node.ops, node.comparators, strict=False)
                    return reduce(pc.and_kleene, (self._compared(a, op, b, value) for a, op, b in pairs))
                case ast.Constant(value=bool() | int() | float() | str()):
                    return pa.scalar(node.value)
                case ast.Name() | ast.Attribute():
                    return _plain(column(self.name_of(node)))
        except (pa.ArrowException, OverflowError) as error:
            reason = message_line(error)
            raise UsageError(f"{self.option}: cannot compute {self._shown(node)!r}: {reason}") from None
        raise UsageError(f"{self.option}: expected a condition such as {EXAMPLE!r}, got {self._shown(node)!r} in it")

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr, value: Callable[[ast.expr], Any]) -> Any:
        match op, right:
            case ((ast.Is() | ast.IsNot()), ast.Constant(value=None)):
                return (pc.is_null if isinstance(op, ast.Is) else pc.is_valid)(value(left))
            case ((ast.In() | ast.NotIn()), (ast.Tuple() | ast.List() | ast.Set())) if right.elts:
                # Compared as equalities: a null is then neither in a list nor outside it, and texts can be dates too.
                one = value(left)
                found = reduce(pc.or_kleene, (pc.equal(*_alike(one, value(element))) for element in right.elts))
                return found if isinstance(op, ast.In) else pc.invert(found)
        if type(op) not in COMPARISONS:
            raise UsageError(
                f"{self.option}: expected a comparison, in (a, b), or is None, got {self._shown(right)!r} after "
                f"{self._shown(left)!r}"
            )
        return COMPARISONS[type(op)](*_alike(value(left), value(right)))

    def _names(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Name | ast.Attribute):
            yield self.name_of(node)
            return
        for inner in ast.iter_child_nodes(node):
            yield from self._names(inner)

    def name_of(self, node: ast.expr) -> str:
        """The column behind a name, a name with dots, or a quoted name."""
        match node:
            case ast.Name():
                return STAND_IN.sub(self._unquoted, node.id)
            case ast.Attribute():
                return f"{self.name_of(node.value)}.{STAND_IN.sub(self._unquoted, node.attr)}"
        raise UsageError(f"{self.option}: expected a column's name, got {self._shown(node)!r}")

    def _shown(self, node: ast.expr) -> str:
        return STAND_IN.sub(lambda match: f"`{self._unquoted(match)}`", ast.unparse(node))

    def _unquoted(self, match: re.Match[str]) -> str:
        return self.quoted[int(match[1])] if int(match[1]) < len(self.quoted) else match[0]


def _plain(array: pa.Array) -> pa.Array:
    """An array with the same values in a type that Arrow can compute with."""
    if isinstance(array, pa.ExtensionArray):
        return _plain(array.storage)
    if pa.types.is_dictionary(array.type):
        return _plain(array.dictionary_decode())
    views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return pc.cast(array, views[array.type]) if array.type in views else array


def _number(value: Any) -> Any:
    """A value in float64: integers would overflow, and would divide to integers."""
    if _holds_text(value.type):
        raise pa.ArrowTypeError(f"expected numbers, got {value.type}")  # a cast would parse the text
    return pc.cast(value, pa.float64())


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Both sides of a comparison in types that compare: a text beside another type, such as a date, is cast to it."""
    if _is_text(right) and not _holds_text(left.type):
        return left, right.cast(left.type)
    if _is_text(left) and not _holds_text(right.type):
        return left.cast(right.type), right
    return left, right


def _is_text(value: Any) -> bool:
    return isinstance(value, pa.StringScalar)


def _holds_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string())
