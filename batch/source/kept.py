"""The type of a kept column over all inputs, and values brought to it unchanged."""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

import pyarrow as pa
import pyarrow.compute as pc

from whyport.batch.source.parquet import SourceFile
from whyport.runtime.errors import ColumnError, DataError, message_line

TEXTS = (pa.string(), pa.large_string(), pa.string_view())
BYTES = (pa.binary(), pa.large_binary(), pa.binary_view())
SIGNED = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
FLOATS = (pa.float16(), pa.float32(), pa.float64())

EXACT_BITS = 32
"""The integers that double holds: 53 bits, so that all integers of 32 bits fit and not all of 64."""

DIGITS, WIDE_DIGITS = 38, 76
"""The most digits of Arrow's decimal128 and decimal256."""


def common_field(fields: Sequence[pa.Field]) -> pa.Field | None:
    """The field that holds the values of all fields unchanged; None where no type does, as the types alone tell.

    - null widens to any type;
    - integers to the smallest type that holds both, floats to the widest, integers of up to 32 bits to double;
    - decimals to more digits; texts, bytes and lists to the forms with 64-bit offsets; dictionaries to their values;
    - lists, maps and structs with the same fields by what is in them.
    """
    first = fields[0]
    fields = [first, *(field for field in fields[1:] if not field.equals(first, check_metadata=True))]
    if len(fields) == 1:
        return first
    kind = common_type(field.type for field in fields)
    if kind is None:
        return None
    items = set.intersection(*(set((field.metadata or {}).items()) for field in fields))
    return pa.field(first.name, kind, any(field.nullable for field in fields), dict(sorted(items)) or None)


def common_type(kinds: Iterable[pa.DataType]) -> pa.DataType | None:
    """The type that holds the values of all types unchanged; None where no type does."""
    distinct: list[pa.DataType] = []  # some types cannot be looked up in a set
    for kind in kinds:
        if not any(kind == known for known in distinct):
            distinct.append(kind)
    values = [kind for kind in distinct if not pa.types.is_null(kind)]
    if not values:
        return pa.null()
    found = values if len(values) == 1 else [kind for rule in RULES if (kind := rule(values)) is not None]
    return found[0] if found and all(_is_castable(kind, found[0]) for kind in distinct) else None


def is_widened(kind: pa.DataType, to: pa.DataType) -> bool:
    """Whether a type holds the values of another one unchanged, and is the one that they have in common."""
    return bool(common_type([kind, to]) == to)


def kept_fields(sources: Sequence[SourceFile], names: Sequence[str]) -> tuple[pa.Field, ...]:
    """The kept columns, each with one type for all files; raises ColumnError naming two files that have none."""
    kept = []
    for name in names:
        fields = {source.name: source.schema.field(name) for source in sources}
        field = common_field(list(fields.values()))
        if field is None:
            raise ColumnError(_disagreement(name, fields))
        kept.append(field)
    return tuple(kept)


def _disagreement(name: str, fields: dict[str, pa.Field]) -> str:
    distinct: list[tuple[str, pa.Field]] = []
    for one in fields.items():
        if all(one[1].type != known.type for _, known in distinct):
            distinct.append(one)
    pairs = list(combinations(distinct, 2))
    (file, field), (other_file, other) = next(
        ((one, other) for one, other in pairs if common_field([one[1], other[1]]) is None), pairs[-1]
    )
    return (
        f"kept column {name!r}: expected types that one type holds unchanged, got {field.type} in {file} and "
        f"{other.type} in {other_file}: keep it in runs of their own, or write it with one type"
    )


def widened(batch: pa.RecordBatch, fields: Sequence[pa.Field]) -> pa.RecordBatch:
    """The columns of these names, with the types of the fields; raises DataError if a value is not of its own type."""
    selected = batch.select([field.name for field in fields])
    for i, field in enumerate(fields):
        column = selected.column(i)
        if column.type != field.type:
            try:
                selected = selected.set_column(i, field, _cast(column, field.type))
            except pa.ArrowException as error:
                raise DataError(f"kept column {field.name!r}: {message_line(error)}") from None
    return selected


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    # Arrow's cast of nulls does not know every type.
    return pa.nulls(len(array), kind) if pa.types.is_null(array.type) else pc.cast(array, kind)


def _is_castable(kind: pa.DataType, to: pa.DataType) -> bool:
    try:
        _cast(pa.nulls(0, kind), to)
    except pa.ArrowException:
        return False
    return True


def _numbers(kinds: list[pa.DataType]) -> pa.DataType | None:
    floats = [kind for kind in kinds if kind in FLOATS]
    signed = [kind.bit_width for kind in kinds if kind in SIGNED]
    unsigned = [kind.bit_width for kind in kinds if kind in UNSIGNED]
    if len(floats) + len(signed) + len(unsigned) < len(kinds):
        return None
    if not (signed or unsigned):
        return max(floats, key=lambda kind: kind.bit_width)
    if floats:
        return pa.float64() if max(*signed, *unsigned, 0) <= EXACT_BITS else None
    if not signed:
        return next(kind for kind in UNSIGNED if kind.bit_width == max(unsigned))
    bits = max(*signed, *(2 * width for width in unsigned), 0)
    return next((kind for kind in SIGNED if kind.bit_width == bits), None)


def _decimals(kinds: list[pa.DataType]) -> pa.DataType | None:
    if not all(map(pa.types.is_decimal, kinds)):
        return None
    scale = max(kind.scale for kind in kinds)
    precision = max(kind.precision - kind.scale for kind in kinds) + scale
    if precision > WIDE_DIGITS:
        return None
    is_wide = precision > DIGITS or any(map(pa.types.is_decimal256, kinds))
    return (pa.decimal256 if is_wide else pa.decimal128)(precision, scale)


def _texts(kinds: list[pa.DataType]) -> pa.DataType | None:
    return pa.large_string() if all(kind in TEXTS for kind in kinds) else None


def _bytes(kinds: list[pa.DataType]) -> pa.DataType | None:
    return pa.large_binary() if all(kind in BYTES for kind in kinds) else None


def _dictionaries(kinds: list[pa.DataType]) -> pa.DataType | None:
    dictionaries = [kind for kind in kinds if pa.types.is_dictionary(kind)]
    if not dictionaries:
        return None
    first = dictionaries[0]
    is_alike = all(kind.value_type == first.value_type and kind.ordered == first.ordered for kind in dictionaries)
    if len(dictionaries) == len(kinds) and is_alike:
        index = _numbers([kind.index_type for kind in dictionaries])
        return None if index is None else pa.dictionary(index, first.value_type, first.ordered)
    return common_type(kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds)


LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


def _lists(kinds: list[pa.DataType]) -> pa.DataType | None:
    if not all(any(test(kind) for test in LISTS) for kind in kinds):
        return None
    names = {kind.value_field.name for kind in kinds}
    name = names.pop() if len(names) == 1 else "element"
    value = common_field([kind.value_field.with_name(name) for kind in kinds])
    if value is None:
        return None
    sizes = {kind.list_size if pa.types.is_fixed_size_list(kind) else None for kind in kinds}
    (size,) = sizes if len(sizes) == 1 else (None,)
    if size is not None:
        return pa.list_(value, size)
    is_short = all(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) for kind in kinds)
    return pa.list_(value) if is_short else pa.large_list(value)


def _maps(kinds: list[pa.DataType]) -> pa.DataType | None:
    if not all(map(pa.types.is_map, kinds)):
        return None
    key = common_field([kind.key_field.with_name("key") for kind in kinds])
    item = common_field([kind.item_field.with_name("value") for kind in kinds])
    return None if key is None or item is None else pa.map_(key, item, all(kind.keys_sorted for kind in kinds))


def _structs(kinds: list[pa.DataType]) -> pa.DataType | None:
    if not all(map(pa.types.is_struct, kinds)):
        return None
    names = [[field.name for field in kind] for kind in kinds]
    if any(each != names[0] for each in names) or len(set(names[0])) < len(names[0]):  # a cast goes by name
        return None
    fields = [common_field(list(same)) for same in zip(*kinds, strict=True)]
    return None if any(field is None for field in fields) else pa.struct(fields)


Rule = Callable[[list[pa.DataType]], pa.DataType | None]
RULES: tuple[Rule, ...] = (_numbers, _decimals, _texts, _bytes, _dictionaries, _lists, _maps, _structs)
