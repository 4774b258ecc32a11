"""Pictures as encoded bytes, and tables of them."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image


def pixels(count: int, height: int, width: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Pictures [N, height, width, channels] of smooth colours with one bright square each, in any quarter."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = random.uniform(0.1, 0.5, size=(count, 2, channels))
    phase = random.uniform(0, 6, size=(count, 1, 1, channels))
    made = 90 + 50 * np.sin(waves[:, None, None, 0] * y[..., None] + waves[:, None, None, 1] * x[..., None] + phase)
    for i in range(count):
        top, left = (i % 2) * height // 2, (i // 2 % 2) * width // 2
        made[i, top : top + height // 3, left : left + width // 3] += 100
    return made.clip(0, 255).astype(np.uint8)


def encoded(picture: NDArray[np.uint8], kind: str = "PNG", **options: Any) -> bytes:
    """A picture [height, width, channels] as a file of a kind."""
    file = BytesIO()
    Image.fromarray(picture if picture.shape[2] > 1 else picture[..., 0]).save(file, kind, **options)
    return file.getvalue()


def pictures(count: int, size: tuple[int, int], channels: int = 3, seed: int = 0, kind: str = "PNG") -> list[bytes]:
    """Encoded pictures."""
    return [encoded(each, kind) for each in pixels(count, *size, channels, seed)]


def write_pictures(path: Path, values: Sequence[Any], kind: pa.DataType | None = None, **columns: Any) -> Path:
    """A Parquet file with the columns `id` and `photo`, and others."""
    table = {"id": np.arange(len(values)), "photo": pa.array(values, kind or pa.binary()), **columns}
    pq.write_table(pa.table(table), path)
    return path
