"""Pictures from Parquet to a model's pixels: reading, decoding and preparing, with Pillow and with simplejpeg.

    python benchmarks/picture_speed.py [--out JSON]

JPEGs of 500 x 375 become 224 x 224. Rates are rows per second of processor time, Parquet included, the median of
several passes. Needs whyport[batch,export,images].
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from whyport.exporter.data.images import describe_image
from whyport.exporter.data.input_choice import parse_inputs
from whyport.runtime.bundle.row import sources_of
from whyport.runtime.inputs.cells import CellsEncoder
from whyport.runtime.inputs.encoders import cells_encoder

ROWS, BATCH, PASSES = 512, 128, 5
HEIGHT, WIDTH = 375, 500


def jpeg(random: np.random.Generator) -> bytes:
    """A picture with as much detail as a photograph: noise at several scales."""
    made = np.zeros((HEIGHT, WIDTH, 3))
    for step in (2, 8, 32, 128):
        coarse = random.normal(size=(HEIGHT // step + 1, WIDTH // step + 1, 3))
        made += coarse.repeat(step, 0).repeat(step, 1)[:HEIGHT, :WIDTH] * step**0.5 * 4
    file = BytesIO()
    Image.fromarray((made + 128).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


@contextmanager
def without_simplejpeg() -> Iterator[None]:
    """As on a machine that has Pillow alone."""
    with mock.patch("importlib.util.find_spec", return_value=None):
        yield


def rows_per_second(path: Path, encoder: CellsEncoder) -> float:
    """The median rate of several passes over a file."""
    rates = []
    for _ in range(PASSES):
        started = time.process_time()
        for batch in pq.ParquetFile(path).iter_batches(BATCH, columns=["photo"]):
            cells, _ = encoder.encode(batch.column(0))
            assert np.isfinite(cells).all()
        rates.append(ROWS / (time.process_time() - started))
    return statistics.median(rates)


def main() -> None:
    """Measure and print; write where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    random = np.random.default_rng(0)
    contents = [jpeg(random) for _ in range(ROWS)]
    (choice,) = parse_inputs(["photo=image:photo:size=224x224,channels=3"])
    image = describe_image(pd.Series(contents[:16], name="photo"), choice, "photo")
    (source,) = sources_of((image,))
    encoder = cells_encoder(source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(pa.table({"photo": pa.array(contents, pa.binary())}), path)
        with without_simplejpeg():
            found = {"pillow": rows_per_second(path, encoder)}
        found["simplejpeg"] = rows_per_second(path, encoder)
    result = {
        "rows": ROWS,
        "mean_bytes": round(statistics.mean(map(len, contents))),
        "rows_per_cpu_second": {name: round(rate) for name, rate in found.items()},
    }
    print(json.dumps(result, indent=2))
    if out is not None:
        out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
