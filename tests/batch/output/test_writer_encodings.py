import io

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.output.writer import float_leaves, other_leaves

PLAIN = pa.schema(
    [
        ("a", pa.float32()),
        ("b.c", pa.float64()),
        ("half", pa.float16()),
        ("text", pa.string()),
        ("kind", pa.dictionary(pa.int8(), pa.float64())),
        ("list", pa.list_(pa.float32())),
        ("large", pa.large_list(pa.int8())),
        ("fixed", pa.list_(pa.float64(), 3)),
        ("tags", pa.list_(pa.list_(pa.string()))),
        ("map", pa.map_(pa.string(), pa.list_(pa.float32()))),
        (
            "point",
            pa.struct([("x", pa.float64()), ("inner", pa.list_(pa.struct([("y", pa.float32()), ("n", pa.int8())])))]),
        ),
        ("uuid", pa.uuid()),
        ("tensor", pa.fixed_shape_tensor(pa.float32(), [2])),
    ]
)


def test_leaves_have_the_paths_that_parquet_gives_them() -> None:
    file = io.BytesIO()
    pq.write_table(PLAIN.empty_table(), file)
    schema = pq.ParquetFile(file).schema
    columns = [schema.column(i) for i in range(len(schema))]
    assert sorted([*float_leaves(PLAIN), *other_leaves(PLAIN)]) == sorted(column.path for column in columns)
    floats = {column.path for column in columns if column.physical_type in ("FLOAT", "DOUBLE")}
    # A dictionary's own type is no float: it is written as a dictionary.
    assert set(float_leaves(PLAIN)) == (floats - {"kind"}) | {"half"}
