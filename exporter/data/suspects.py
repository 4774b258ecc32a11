"""Feature columns that a user should look at again: identifiers, constants, and columns that give the target away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.statistics import LEAVE_OUT
from whyport.runtime.bundle.columns import TIME

IDENTIFIER, CONSTANT, LEAK = "identifier", "constant", "leak"

FEWEST_ROWS = 20
"""The fewest rows from which a column is judged: of a few values, all differ by chance."""
MOST_ROWS, MOST_CELLS = 20_000, 500_000
"""The most rows and values of a table that are looked at for leaks."""
FEWEST_OF_CLASS = 10
"""The fewest rows of a class in the sample: a few rows are told from the others by chance."""
PERFECT = 0.99
"""The AUC or R² on rows not learned from, from which one column alone gives the target away."""
MOST_LEAVES = 64


@dataclass(frozen=True)
class Suspect:
    """A feature column that should be looked at again, and why."""

    column: str
    kind: str
    """Its likeness: an identifier, a constant or a leak."""
    text: str
    """The warning as a sentence."""


def find_suspects(
    frame: pd.DataFrame, kinds: Mapping[str, str], labels: NDArray[Any], seed: int, advice: str = LEAVE_OUT
) -> tuple[Suspect, ...]:
    """The columns of training rows that look like a mistake, each with the first reason that holds.

    Args:
        frame: the training rows.
        kinds: the kind of each feature column: number, category or time.
        labels: the rows' outcomes: classes [N] int64, or quantities [N, K] float64.
        seed: of the rows that are looked at for leaks, and of their split.
        advice: what to do about an identifier.
    """
    leaks = find_leaks(frame, list(kinds), labels, seed) if kinds else {}
    found = []
    for name, kind in kinds.items():
        column = frame[name]
        if column.dropna().nunique() <= 1 and not column.isna().any():
            text = f"column {name!r} has one value in all training rows: the model can learn nothing from it"
            found.append(Suspect(name, CONSTANT, text))
        elif kind != TIME and is_identifier(column):
            gaps = " that has one" if column.isna().any() else ""
            text = f"column {name!r} has a different value in every training row{gaps}, as an identifier has: "
            found.append(Suspect(name, IDENTIFIER, f"{text}{advice} unless it means something"))
        elif name in leaks:
            text = f"column {name!r} alone predicts the target almost perfectly ({leaks[name]}): is it known only "
            found.append(Suspect(name, LEAK, f"{text}afterwards?"))
    return tuple(found)


def is_identifier(column: "pd.Series[Any]") -> bool:
    """Whether a column holds whole numbers or texts, each once."""
    present = column.dropna()
    if len(present) < FEWEST_ROWS or not present.is_unique:
        return False
    if pd.api.types.is_float_dtype(present) or _are_decimals(present):
        values = present.to_numpy(np.float64)
        return bool((values == np.floor(values)).all())
    return True


def find_leaks(frame: pd.DataFrame, names: Sequence[str], labels: NDArray[Any], seed: int) -> dict[str, str]:
    """The columns that alone predict the target almost perfectly, with how well they do it in words.

    A small decision tree learns from one half of a sample of the rows, and is measured on the other half. Of quantities
    it learns the ranks, in which a few large values count no more than others.
    """
    from scipy.stats import rankdata
    from sklearn.model_selection import train_test_split

    classes = labels.ndim == 1
    most = min(MOST_ROWS, max(MOST_CELLS // len(names), FEWEST_ROWS))
    rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[:most])
    if classes:
        rows = rows[np.bincount(labels[rows])[labels[rows]] >= FEWEST_OF_CLASS]
    if len(rows) < FEWEST_ROWS or len(np.unique(labels[rows], axis=0)) < 2:
        return {}
    labels = labels if classes else rankdata(labels, axis=0)
    learned, held = train_test_split(rows, test_size=0.5, stratify=labels[rows] if classes else None, random_state=seed)
    found = {}
    for name in names:
        if (share := _measure(_numbers(frame[name]), labels, learned, held)) >= PERFECT:
            found[name] = f"{'AUC' if classes else 'R² of ranks'} {share:.4f}"
    return found


def _measure(
    values: NDArray[np.float64], labels: NDArray[Any], learned: NDArray[np.int64], held: NDArray[np.int64]
) -> float:
    from sklearn.metrics import r2_score, roc_auc_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    column = values[:, None]
    kind = DecisionTreeClassifier if labels.ndim == 1 else DecisionTreeRegressor
    # Every category could need a leaf of its own.
    tree = kind(max_leaf_nodes=MOST_LEAVES, min_samples_leaf=2, random_state=0).fit(column[learned], labels[learned])
    if labels.ndim == 2:
        return float(r2_score(labels[held], tree.predict(column[held]), multioutput="raw_values").max())
    chances = tree.predict_proba(column[held])
    every = len(tree.classes_)
    return float(roc_auc_score(labels[held], chances[:, 1] if every == 2 else chances, multi_class="ovr"))


def _numbers(column: "pd.Series[Any]") -> NDArray[np.float64]:
    """A column as numbers that a tree can order, dates and texts in their order; NaN where a value is missing."""
    if pd.api.types.is_numeric_dtype(column):
        values: NDArray[np.float64] = column.to_numpy(np.float64, na_value=np.nan)
        return values
    codes, _ = pd.factorize(column, sort=True)
    return np.where(codes < 0, np.nan, codes)


def _are_decimals(column: "pd.Series[Any]") -> bool:
    return bool(pd.api.types.infer_dtype(column, skipna=True) == "decimal")
