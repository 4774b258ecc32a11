"""The reference rows that a bundle's attributions are measured against: drawn from the training rows, or a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data import samples
from whyport.exporter.data.table import digest, read_frame
from whyport.runtime.bundle.columns import MODEL, Column
from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.kept_rows import PUBLIC_TABLE
from whyport.runtime.bundle.lengths import full_length
from whyport.runtime.bundle.references import WEIGHT, References
from whyport.runtime.bundle.row import lengths_of
from whyport.runtime.errors import DataError, MissingValueError, UsageError, WhyportError, listing
from whyport.runtime.inputs.encoding import Unseen
from whyport.runtime.inputs.table import Columns, column_arrays
from whyport.runtime.tables import SUFFIXES, text_columns

DEFAULT_ROWS = 100
IMAGE_ROWS = 10
"""The number of references by default, and where a row holds an image."""
DEFAULT_SUMMARY = 10


@dataclass(frozen=True)
class BackgroundChoice:
    """Where the references come from: a number of training rows, or a table of their own."""

    rows: int | None = None
    """How many training rows; None for `DEFAULT_ROWS` or `IMAGE_ROWS`, or all where there are fewer."""
    table: Path | None = None
    summary: int = DEFAULT_SUMMARY
    """How many references a network's explain.onnx has; with 0, the bundle has neither that nor gradient.onnx."""

    @classmethod
    def parse(cls, text: str | None, summary: int = DEFAULT_SUMMARY) -> Self:
        """The choice behind `--background` and `--explain-references`.

        Args:
            text: None, a whole number, or the name of a table.
            summary: see there.

        Raises:
            UsageError: it is nothing of that.
        """
        if summary < 0:
            raise UsageError(f"--explain-references: expected at least 0, got {summary}")
        if text is None:
            return cls(summary=summary)
        if Path(text).suffix.lower() in SUFFIXES:
            return cls(table=Path(text), summary=summary)
        try:
            rows = int(text)
        except ValueError:
            message = f"--background: expected a number of rows or a file named *.csv or *.parquet, got {text!r}"
            raise UsageError(message) from None
        if rows < 1:
            raise UsageError(f"--background: expected at least 1 row, got {rows}")
        return cls(rows=rows, summary=summary)

    def record(self) -> dict[str, str]:
        """The digest of a table of its own, as a bundle's provenance keeps it; nothing without one."""
        return {} if self.table is None else {PUBLIC_TABLE: digest(self.table)}

    def public_rows(
        self,
        features: Sequence[Column],
        inputs: Sequence[Input] = (),
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> NDArray[np.float32] | None:
        """The rows [M, F] of a table of its own, which the bundle may keep; None where references are training rows.

        Takes and raises what `take` does.
        """
        return None if self.table is None else read_references(self.table, features, inputs, files).rows

    def take(
        self,
        features: Sequence[Column],
        rows: NDArray[np.float32],
        seed: int,
        inputs: Sequence[Input] = (),
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> References:
        """The references; of lists of varying length with the most steps, repeated from the first.

        Args:
            features: the numbers of a row, in order.
            rows: the training rows [N, F] that the graphs can take.
            seed: of the draw.
            inputs: the model's inputs, where they are others than one table of the features.
            files: the content of the files that they need, by name.

        Raises:
            UsageError: more rows are asked for than there are, or there is no such file.
            DataError: the table cannot be read, or it cannot serve; the message names column, row and file.
        """
        lengths = lengths_of(inputs)
        if self.table is not None:
            read = read_references(self.table, features, inputs, files)
            return References(full_length(lengths, read.rows), read.weights)
        if self.rows is not None and self.rows > len(rows):
            raise UsageError(
                f"--background: expected at most {len(rows)}, the training rows that can be references, got {self.rows}"
            )
        has_image = any(isinstance(each.prepare, ImagePreparation) for each in inputs)
        count = self.rows or (IMAGE_ROWS if has_image else DEFAULT_ROWS)
        drawn = samples.draw_background(rows, count, (seed, samples.BACKGROUND))
        return References(full_length(lengths, drawn), np.full(len(drawn), 1 / len(drawn)))


def read_references(
    path: Path,
    features: Sequence[Column],
    inputs: Sequence[Input] = (),
    files: Mapping[str, bytes] = MappingProxyType({}),
) -> References:
    """The references in a CSV or Parquet file: a column a feature, by name, and `weight` where they count differently.

    Other columns are passed over. A feature of the name `weight` is a feature; the rows then count alike. Raises as
    `BackgroundChoice.take`.
    """
    if not path.is_file():
        raise UsageError(f"--background: there is no file {str(path)!r}")
    frame = read_frame(path, text_columns([*features, *(column for each in inputs for column in each.columns)]))
    try:
        columns = Columns.of_inputs(inputs, files.__getitem__) if inputs else Columns.of(features)
        encoded = columns.encode(frame)
        columns.check_cells(frame, encoded.matrix)
        for j, feature in enumerate(features):
            if feature.categories is None:
                values = encoded.matrix[:, j]
                _check_finite(feature.name, values[~np.isnan(values)] if feature.missing == MODEL else values)
        _check_seen(frame, features, encoded.unseen)
        weights = np.ones(len(frame))
        if WEIGHT in frame.columns and WEIGHT not in columns.names:
            (weights,) = column_arrays(frame, [WEIGHT])
        return References(encoded.matrix, _normalise(weights))
    except WhyportError as error:
        raise error.at(str(path)) from None


def _check_seen(frame: pd.DataFrame, features: Sequence[Column], unseen: Unseen) -> None:
    """Refuse a reference with a category that nothing is known of; where rare ones were pooled, it is one of them."""
    for feature in features:
        known = feature.categories
        if known is None or known.other or feature.name not in unseen.rows:
            continue
        row = unseen.rows[feature.name][0]
        raise DataError(
            f"column {feature.name!r}, row {row}: expected one of the categories {listing(known.values)}, got "
            f"{frame[feature.name].iloc[row]!r}"
        )


def _normalise(weights: NDArray[Any]) -> NDArray[np.float64]:
    _check_finite(WEIGHT, weights)
    for row in np.flatnonzero(weights < 0):
        raise DataError(f"column {WEIGHT!r}, row {row}: expected a number of at least 0, got {weights[row]}")
    if not weights.any():
        raise DataError(f"column {WEIGHT!r}: expected a number above 0 in some row, got only zeros")
    # By the largest first: the sum of the largest floats would overflow.
    shares = weights.astype(np.float64) / weights.max()
    normalised: NDArray[np.float64] = shares / shares.sum()
    return normalised


def _check_finite(name: str, column: NDArray[Any]) -> None:
    for row in np.flatnonzero(~np.isfinite(column)):
        got = "a missing value" if np.isnan(column[row]) else column[row]
        raise MissingValueError(f"column {name!r}, row {row}: expected a finite value, got {got}")
