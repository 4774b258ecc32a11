import dataclasses
from itertools import combinations
from math import factorial

import numpy as np
import pytest

from support.boosters import HOLES, ROWS, TWO, hard_rows, source
from whyport.exporter.boosters.cover import with_covers
from whyport.exporter.kinds.catboost import CatBoostModel
from whyport.exporter.kinds.lightgbm import LightGBMModel
from whyport.exporter.kinds.xgboost import XGBoostModel
from whyport.exporter.trees.read import read_trees
from whyport.runtime.errors import ExportError

XGB = {"objective": "binary:logistic", "max_depth": 4, "lambda": 0, "seed": 1}


def xgboost_model():
    xgboost = pytest.importorskip("xgboost")
    booster = xgboost.train(XGB, xgboost.DMatrix(HOLES, TWO), 8)
    return XGBoostModel(booster, source()), lambda rows: booster.predict(xgboost.DMatrix(rows), pred_contribs=True)


def lightgbm_model():
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=8, num_leaves=9, verbose=-1, n_jobs=1).fit(HOLES, TWO)
    return LightGBMModel(model, source()), lambda rows: model.predict_proba(rows, pred_contrib=True)


def catboost_model():
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(iterations=8, depth=3, verbose=0, allow_writing_files=False)
    # CatBoost has a rule of its own for leaves without training rows; where columns have two values, there are none.
    model.fit(ROWS > 0, TWO)
    assert CatBoostModel(model, source()).boosted.covers.min() > 0
    return CatBoostModel(model, source()), lambda rows: model.get_feature_importance(
        catboost.Pool(rows), type="ShapValues"
    )


MODELS = {"xgboost": xgboost_model, "lightgbm": lightgbm_model, "catboost": catboost_model}


def worth(trees, row, players):
    """The expected raw score of a row of which the players' columns alone are known, by the nodes' training weights."""

    def below(node):
        if trees.left[node] < 0:
            return trees.value[node, 0]
        sides = trees.left[node], trees.right[node]
        column = trees.columns[trees.cell[node]]
        if column in players:
            value = row[column]
            goes_left = trees.missing_left[node] if np.isnan(value) else value <= trees.threshold[node]
            return below(sides[0] if goes_left else sides[1])
        return sum(trees.cover[side] * below(side) for side in sides) / trees.cover[node]

    return sum(below(root) for root in trees.roots)


def shapley(trees, row):
    """The path-dependent Shapley values of a row by enumeration, then the score without any column."""
    count = len(row)
    worths = {
        players: worth(trees, row, players) for size in range(count + 1) for players in combinations(range(count), size)
    }
    shares = np.zeros(count + 1)
    for players, value in worths.items():
        for j in set(range(count)) - set(players):
            weight = factorial(len(players)) * factorial(count - len(players) - 1) / factorial(count)
            shares[j] += weight * (worths[tuple(sorted((*players, j)))] - value)
    shares[-1] = worths[()]
    return shares


@pytest.mark.parametrize("library", MODELS)
def test_path_dependent_shares_by_the_covers_are_the_librarys_own(library):
    kind, contributions = MODELS[library]()
    rows = hard_rows(4) if library != "catboost" else (ROWS[:4] > 0).astype(np.float32)
    boosted = kind.boosted
    trees = with_covers(read_trees(boosted.model(), "margin", rows).trees, boosted.covers)
    expected = contributions(rows)
    scale = trees.weights[1, 0]
    for row, shares in zip(rows, expected, strict=True):
        got = shapley(trees, row) * scale
        got[-1] += trees.offset[1]
        np.testing.assert_allclose(got, shares, atol=1e-5)
    np.testing.assert_allclose(trees.scores(rows)[:, 1], expected.sum(axis=1), atol=1e-5)


def test_weights_of_other_trees_are_refused():
    kind, _ = lightgbm_model()
    trees = read_trees(kind.boosted.model(), "margin", hard_rows(4)).trees
    assert dataclasses.replace(trees).cover is None
    with pytest.raises(ExportError, match="expected the training weights of"):
        with_covers(trees, np.ones(3))
