"""Which leaves of a schema are floats: Parquet encodes leaves, and names them by their paths."""

from collections.abc import Iterator

import pyarrow as pa

DICTIONARIES = ("source_file", "prediction")


def float_leaves(schema: pa.Schema) -> list[str]:
    """The paths of the leaves that hold floats."""
    return [path for path, kind in _leaves_of(schema) if pa.types.is_floating(kind)]


def other_leaves(schema: pa.Schema) -> list[str]:
    """The paths of all other leaves."""
    return [path for path, kind in _leaves_of(schema) if not pa.types.is_floating(kind)]


def encoded_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with the columns of few distinct texts as dictionaries, as a part's writer takes them.

    Parquet makes a dictionary of such a column in any case, and takes ours without looking at every row's text.
    """
    kind = pa.dictionary(pa.int64(), pa.string())
    return pa.schema([field.with_type(kind) if field.name in DICTIONARIES else field for field in schema])


def _leaves_of(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    for field in schema:
        yield from _leaves(field.name, field.type)


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """Named as the Parquet format names what is inside lists and maps."""
    if isinstance(kind, pa.BaseExtensionType):
        yield from _leaves(path, kind.storage_type)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.{kind.key_field.name}", kind.key_type)
        yield from _leaves(f"{path}.key_value.{kind.item_field.name}", kind.item_type)
    elif hasattr(kind, "value_field"):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    else:
        yield path, kind
