"""Compares a bundle's model with the one it was made from, on rows that lie where models jump."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.data.samples import PROBE
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.verify.engines import Engine, onnx_outputs
from whyport.exporter.verify.outputs import PROBE_ROWS, run_engine
from whyport.exporter.verify.tolerances import Parity
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.columns import Column, takes_missing
from whyport.runtime.bundle.trees import LEAF, NUMBER, Trees
from whyport.runtime.errors import ParityError
from whyport.runtime.parity import row_deviations

logger = logging.getLogger(__name__)

TOLERANCE = 1e-5
"""The largest |graph - native| / max(1, |native|) of a row, both computed from the same float32 values."""
MISSING_SHARE = 0.15
UNSEEN_SHARE = 0.1
CALL_ROWS = 20_000
SHOWN_VALUES = 8
FAR = (10.0, 1000.0)
"""How many standard deviations the rows far from the sample's are out."""
FAR_ROWS = 128
FAR_TOLERANCE = 1e-2
"""The largest deviation there: more is another prediction, and not the same with fewer digits."""

Native = Callable[[NDArray[np.floating[Any]]], Mapping[str, NDArray[Any]]]
"""Rows of codes [N, F] to outputs [N, K] by name; a row is NaN where the framework refuses it."""


@dataclass(frozen=True)
class NativeParity:
    """How the bundle's model and its framework's compare."""

    parity: Parity
    """`native`, the largest deviation; `float32_rows`, how many rows float32 alone moves beyond the tolerance."""
    refused: frozenset[str] = frozenset()
    """The columns of numbers whose missing values the two treat differently."""


def verify_native(draft: Draft, compiled: Compiled, native: Native, count: int, advice: str) -> NativeParity:
    """Compare the graph with the framework, both asked in float32.

    Args:
        draft: what is known of the bundle.
        compiled: the model.
        native: the framework's own outputs.
        count: how many adversarial rows.
        advice: what to do where they differ; the sentence goes on from a semicolon.

    Raises:
        ParityError: a row without missing values differs by more than `TOLERANCE`, or the framework answers none.
    """
    assert draft.precise is not None
    engine = onnx_outputs(compiled.onnx.session, compiled.names, draft.feeds)
    if draft.given:  # such rows have no thresholds of single values, and may be long
        rows = draft.probes(PROBE_ROWS, PROBE).astype(np.float64)
        count = len(rows)
    else:
        rows = adversarial_rows(draft.precise, draft.features, count, draft.samples.seed, compiled.trees)
    off, moved = np.zeros(count), np.zeros(count)
    answered = np.zeros(count, dtype=np.bool_)
    for part in batch_slices(count, CALL_ROWS):
        rounded = rows[part].astype(np.float32)
        expected, precise = native(rounded), native(rows[part])
        got = run_engine("the graph", engine, rounded, len(rounded))
        off[part], answered[part] = _deviations(got, expected)
        moved[part], _ = _deviations(precise, expected)
    if not answered.any():
        raise ParityError("the model's own framework gives no number for any row like the sample's")
    refused = _refused(rows, off > TOLERANCE, draft.features)
    kept = ~np.isnan(rows[:, [column.name in refused for column in draft.features]]).any(axis=1)
    bad = np.flatnonzero((off > TOLERANCE) & kept)
    if len(bad):
        raise ParityError(_difference(draft, rows, bad, int(off.argmax()), engine, native, advice))
    if refused:
        names = ", ".join(map(repr, sorted(refused)))
        logger.warning("rows without %s cannot be scored: the graph treats what is missing in its own way", names)
    parity = {"native": float(off[kept].max()), "float32_rows": float((moved[kept] > TOLERANCE).sum())}
    return NativeParity(parity, refused)


def verify_far(draft: Draft, compiled: Compiled, native: Native) -> None:
    """Raise ParityError where the graph and the framework predict something else far from the sample.

    There float32 has fewer digits than the differences of large numbers ask for. Rows are left out where the framework
    fails or the graph gives no finite number: neither is silent.
    """
    engine = onnx_outputs(compiled.onnx.session, compiled.names, draft.feeds)
    rows = _far_rows(draft)
    try:
        expected = native(rows)
    except Exception:  # a logarithm of a negative number, a neighbour too far
        return
    got = run_engine("the graph", engine, rows, len(rows))
    finite = np.all([np.isfinite(got[name]).all(axis=1) for name in expected], axis=0)
    off = int((_deviations(got, expected)[0][finite] > FAR_TOLERANCE).sum())
    if off:
        raise ParityError(
            f"the graph predicts something else than the model in {off} of {len(rows)} rows far from the sample's: "
            f"float32 has too few digits for it; standardise the columns in front of the model"
        )


def _far_rows(draft: Draft) -> NDArray[np.float32]:
    """Rows of codes [N, F] like the sample's, none of whose numbers is missing, and a half far away."""
    rng = np.random.default_rng(0)
    rows = np.tile(draft.probes(FAR_ROWS, PROBE), (len(FAR), 1))
    numbers = [j for j, feature in enumerate(draft.features) if feature.numbers is not None]
    spread = np.array([draft.features[j].spread or 1.0 for j in numbers])
    medians = np.array([draft.features[j].statistics.median for j in numbers])
    rows[:, numbers] = np.where(np.isnan(rows[:, numbers]), medians, rows[:, numbers])
    away = np.repeat(FAR, FAR_ROWS)[:, None] * spread * rng.normal(size=(len(rows), len(numbers)))
    rows[:, numbers] += np.where(rng.random(away.shape) < 0.5, away, 0.0)
    return rows.astype(np.float32)


def adversarial_rows(
    sample: NDArray[np.float64], columns: tuple[Column, ...], count: int, seed: int, trees: Trees | None = None
) -> NDArray[np.float64]:
    """Rows of codes [count, F] whose numbers lie on thresholds, or next to them.

    A number is one of the sample's, the midpoint of two neighbours, a threshold of the trees, or the float32 just above
    or below one of these. Where a missing value can be scored, some are missing; of categories every code occurs.
    """
    rng = np.random.default_rng((seed, count))
    rows = sample[rng.integers(0, len(sample), count)].copy()
    for j, column in enumerate(columns):
        if column.categories is not None:
            codes = rng.integers(0, max(1, len(column.categories.values)), count).astype(np.float64)
            strange = rng.random(count) < UNSEEN_SHARE
            codes[strange] = rng.integers(column.categories.other_code, column.categories.codes, strange.sum())
            rows[:, j] = codes
            continue
        known = np.unique(sample[~np.isnan(sample[:, j]), j])
        edges = [known, (known[1:] + known[:-1]) / 2, _thresholds(trees, j)]
        values = np.unique(np.concatenate(edges))
        values = values[np.abs(values) < np.finfo(np.float32).max]
        drawn = rng.choice(values, count)
        rounded = drawn.astype(np.float32)
        side = rng.choice(np.array([-np.inf, np.inf], dtype=np.float32), count)
        beside = np.nextafter(rounded, side).astype(np.float64)
        choice = rng.random(count)
        rows[:, j] = np.select([choice < 0.4, choice < 0.8], [rows[:, j], drawn], beside)
        if takes_missing(column):
            rows[rng.random(count) < MISSING_SHARE, j] = np.nan
        else:
            rows[np.isnan(rows[:, j]), j] = known[0]
    return rows


def _thresholds(trees: Trees | None, column: int) -> NDArray[np.float64]:
    """The finite thresholds that a column's number is compared with."""
    if trees is None or not len(trees.columns):
        return np.zeros(0)
    inner = trees.left != LEAF
    own = (trees.columns == column) & (trees.encoding == NUMBER)
    found: NDArray[np.float64] = trees.threshold[inner][own[trees.cell[inner]]].astype(np.float64)
    return found[np.isfinite(found)]


def _deviations(
    got: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The largest deviation of each row's outputs, 0 where nothing was expected; and where something was."""
    off, answered = [], []
    for name, values in expected.items():
        known = ~np.isnan(values).any(axis=1)
        off.append(np.where(known, row_deviations(got[name], values), 0.0))
        answered.append(known)
    return np.max(off, axis=0), np.all(answered, axis=0)


def _refused(rows: NDArray[np.float64], off: NDArray[np.bool_], columns: tuple[Column, ...]) -> frozenset[str]:
    """The fewest columns, found one by one, without whose missing values no row with a missing one is off."""
    missing, left, found = np.isnan(rows), off.copy(), set()
    while (counts := missing[left].sum(axis=0)).any():
        worst = int(counts.argmax())
        found.add(columns[worst].name)
        left &= ~missing[:, worst]
    return frozenset(found)


def _difference(
    draft: Draft,
    rows: NDArray[np.float64],
    bad: NDArray[np.int64],
    worst: int,
    engine: Engine,
    native: Native,
    advice: str,
) -> str:
    row = rows[worst : worst + 1].astype(np.float32)
    got, expected = engine(row), native(row)
    name = max(expected, key=lambda each: float(row_deviations(got[each], expected[each])[0]))
    values = {column.name: _text(column, value) for column, value in zip(draft.features, row[0], strict=True)}
    shown = ", ".join(f"{key}={value}" for key, value in list(values.items())[:SHOWN_VALUES])
    more = f" and {len(values) - SHOWN_VALUES} more" if len(values) > SHOWN_VALUES else ""
    return (
        f"the graph differs from the model by more than {TOLERANCE:g} in {len(bad)} of {len(rows)} rows made to lie on "
        f"its thresholds; the worst has {shown}{more}: expected {name} {_numbers(expected[name])}, got "
        f"{_numbers(got[name])}; {advice}"
    )


def _text(column: Column, value: np.float32) -> str:
    if column.categories is None:
        return f"{value:.9g}"
    known = column.categories.values
    return repr(known[int(value)]) if value < len(known) else "a missing or unseen value"


def _numbers(values: NDArray[Any]) -> str:
    return "[" + ", ".join(f"{value:.7g}" for value in values[0][:SHOWN_VALUES]) + "]"
