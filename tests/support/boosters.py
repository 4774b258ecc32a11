"""Small boosted models' tables, rows that lie on their thresholds, and what their graphs give."""

import numpy as np
import onnxruntime

from whyport.exporter.source import ModelSource

FEATURES = 6
rng = np.random.default_rng(0)
ROWS = rng.normal(size=(600, FEATURES))
ROWS[:, 4] = ROWS[:, 4].round(1) * 1e-3
ROWS[:, 5] = (ROWS[:, 5] * 3).round() / 10
TWO = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)
THREE = TWO + (ROWS[:, 2] > 1)
AMOUNT = np.abs(ROWS[:, 0]) * 3 + 0.5
PAIR = ROWS[:, :2] @ np.array([[1.0, 2.0], [3.0, -1.0]])
HOLES = np.where(rng.random(ROWS.shape) < 0.1, np.nan, ROWS)
HOLES[:, 3] = ROWS[:, 3]
"""The rows, with missing values in all columns but one."""


def hard_rows(count, rows=ROWS, seed=1):
    """Rows [count, F] float32 of training values, midpoints of neighbours and what is next to them, zeros and NaN."""
    rng = np.random.default_rng(seed)
    ordered = np.sort(rows, axis=0)
    at = rng.integers(0, len(rows) - 1, (count, rows.shape[1]))
    columns = np.arange(rows.shape[1])
    middle = ((ordered[at, columns] + ordered[at + 1, columns]) / 2).astype(np.float32)
    beside = np.nextafter(middle, np.where(rng.random(middle.shape) < 0.5, -np.inf, np.inf).astype(np.float32))
    choice = rng.random(middle.shape)
    drawn = np.select([choice < 0.3, choice < 0.6, choice < 0.8], [ordered[at, columns], middle, beside], 0.0)
    drawn[rng.random(middle.shape) < 0.15] = np.nan
    return drawn.astype(np.float32)


def outputs_of(model, rows):
    """What an ONNX model gives for rows, by name."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: rows}), strict=True))


def rows_off(got, expected):
    """How many rows differ by more than 1e-5 of max(1, |expected|)."""
    expected = np.asarray(expected, dtype=np.float64).reshape(len(got), -1)
    off = np.abs(got - expected) / np.maximum(1, np.abs(expected))
    assert got.shape == expected.shape
    return int((off > 1e-5).any(axis=1).sum())


def both(second):
    """The margins of both classes from that of the second, [N] or [N, 1]; of more classes as they are."""
    second = np.asarray(second, dtype=np.float64)
    return second if second.ndim == 2 and second.shape[1] > 1 else second.reshape(-1, 1) * [-1, 1]


def source(path="sample.csv"):
    """A source of a model in memory."""
    return ModelSource(source="models:fitted", sample=path)
