"""Preprocessing folded into trees: the sides of every node are those of the native steps, row by row."""

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)

from whyport.exporter.trees.fold import Encoder, fold
from whyport.exporter.trees.forest import Branches, make_trees
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.errors import ExportError

rng = np.random.default_rng(0)
NUMBERS = np.column_stack([rng.normal(3, 2, 300), rng.exponential(5, 300), rng.integers(0, 9, 300)]).astype(np.float32)
CODES = rng.integers(0, 4, size=(300, 1)).astype(np.float32)
TARGET = NUMBERS[:, 0] * np.sin(NUMBERS[:, 1]) + CODES[:, 0] * NUMBERS[:, 2]
NAMES = ("height", "width", "count", "colour")


def forest_trees(forest: Any) -> Trees:
    """The trees of a fitted forest over its own cells."""
    parts = [tree.tree_ for tree in forest.estimators_]
    starts = np.cumsum([0, *(part.node_count for part in parts[:-1])])

    def moved(name: str) -> NDArray[np.int64]:
        sides = [getattr(part, name) for part in parts]
        return np.concatenate([np.where(s < 0, -1, s + start) for s, start in zip(sides, starts, strict=True)])

    branches = Branches(
        mode=np.full(sum(part.node_count for part in parts), "BRANCH_LEQ"),
        cell=np.concatenate([part.feature for part in parts]),
        threshold=np.concatenate([part.threshold for part in parts]),
        missing_yes=np.concatenate([part.missing_go_to_left.astype(bool) for part in parts]),
        yes=moved("children_left"),
        no=moved("children_right"),
    )
    value = np.concatenate([part.value[:, :, 0] for part in parts]) / len(parts)
    return make_trees(starts, branches, value, np.ones((1, 1)), np.zeros(1))


def adversarial(rows: NDArray[np.float32], trees: Trees, *, missing: bool) -> NDArray[np.float32]:
    """Rows of training values, midpoints, folded thresholds and the numbers right beside them."""
    made = np.empty((2000, rows.shape[1]), dtype=np.float32)
    inner = trees.left >= 0
    for column in range(rows.shape[1]):
        if column == 3:
            made[:, column] = rng.integers(0, 4, len(made))
            continue
        cells = np.flatnonzero((trees.columns == column) & (trees.encoding < 0))
        thresholds = trees.threshold[inner & np.isin(trees.cell, cells)]
        thresholds = thresholds[np.isfinite(thresholds)]
        values = np.unique(rows[:, column])
        middles = ((values[1:].astype(np.float64) + values[:-1]) / 2).astype(np.float32)
        beside = [np.nextafter(thresholds, np.float32(side)) for side in (-np.inf, np.inf)]
        made[:, column] = rng.choice(np.concatenate([values, middles, thresholds, *beside]), len(made))
        if missing:
            made[rng.random(len(made)) < 0.15, column] = np.nan
    return made


def check(steps: Any, rows: NDArray[np.float32], *, missing: bool = False, codes: bool = False) -> Trees:
    """Fit steps and a forest, fold, and compare with the pipeline's own predictions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = rows.copy()
        if missing:
            given[rng.random(given.shape) < 0.1] = np.nan
        cells = steps.fit(given, TARGET).transform(given)
        forest = RandomForestRegressor(5, max_depth=8, random_state=0).fit(cells, TARGET)
        encoder = Encoder(
            # As the forest itself takes them.
            encode=lambda new: steps.transform(new).astype(np.float32),
            rows=given,
            names=NAMES[: rows.shape[1]],
            codes=(None, None, None, 4) if codes else (),
            missing=(missing,) * rows.shape[1],
        )
        folded = fold(forest_trees(forest), encoder)
        tried = adversarial(rows, folded, missing=missing)
        expected = forest.predict(steps.transform(tried))
    np.testing.assert_allclose(folded.scores(tried)[:, 0], expected, rtol=1e-12)
    return folded


@pytest.mark.parametrize(
    "steps",
    [
        StandardScaler(),
        MinMaxScaler(),
        make_pipeline(StandardScaler(), FunctionTransformer(np.negative)),
        PowerTransformer(),
        QuantileTransformer(n_quantiles=50),
        KBinsDiscretizer(5, encode="ordinal", strategy="uniform"),
        FunctionTransformer(lambda x: np.log(np.maximum(x, 0) + 1)),
        make_column_transformer((StandardScaler(), [0, 1]), (MinMaxScaler(), [1, 2]), ("passthrough", [2])),
    ],
    ids=lambda steps: type(steps).__name__,
)
def test_monotone_steps(steps: Any) -> None:
    folded = check(steps, NUMBERS)
    assert sorted(folded.columns.tolist()) == [0, 1, 2]
    assert (folded.encoding == -1).all()


@pytest.mark.parametrize(
    "steps",
    [
        make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
        make_pipeline(StandardScaler(), FunctionTransformer(np.negative)),
        SimpleImputer(add_indicator=True),
    ],
    ids=["imputed", "falling", "indicator"],
)
def test_missing_numbers_go_where_their_imputed_value_goes(steps: Any) -> None:
    check(steps, NUMBERS, missing=True)


@pytest.mark.parametrize(
    "encoder",
    [OneHotEncoder(sparse_output=False), OrdinalEncoder(), TargetEncoder(target_type="continuous", random_state=0)],
    ids=lambda encoder: type(encoder).__name__,
)
def test_encoders_become_tables(encoder: Any) -> None:
    steps = make_column_transformer((StandardScaler(), [0, 1, 2]), (encoder, [3]))
    folded = check(steps, np.hstack([NUMBERS, CODES]), codes=True)
    folded.check_table([None, None, None, 4], targets=1)
    assert set(folded.columns[folded.encoding >= 0].tolist()) == {3}
    assert set(folded.columns[folded.encoding < 0].tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (PCA(2), "encoded space: .*several columns at once .*'height'"),
        (PolynomialFeatures(2), "encoded space"),
        (FunctionTransformer(lambda x: (x - 2) ** 2), "column 'height': .*neither rises nor falls"),
    ],
    ids=["pca", "products", "square"],
)
def test_what_cannot_be_folded_is_refused(steps: Any, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        check(steps, NUMBERS)
