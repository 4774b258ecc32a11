"""Reasons as texts, compared with those that follow from shares."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.columns import OutputColumns
from whyport.batch.reasons.columns import ReasonColumns
from whyport.batch.reasons.rule import NONE, ReasonRule
from whyport.batch.rows import ScoredRows


@dataclass(frozen=True)
class ReasonComparison:
    """Compares the reasons of rows with their shares: of a run that keeps all shares exactly."""

    rule: ReasonRule | None
    columns: OutputColumns
    tolerance: float
    """How far a share may be off, by the larger of the score's scale and the row's largest share."""
    explain: ExplainSettings

    def differ(self, scored: ScoredRows, stored: pa.Table, scale: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the reasons of each row do not follow from its shares, [M].

        Shares that the run has not kept are those of `scored`: then texts of nearly equal weight may change places.

        Args:
            scored: M explained rows computed again.
            stored: the same rows as the run wrote them.
            scale: the scale of each target's score, [K].
        """
        assert self.rule is not None
        shares, all_kept = self._shares(scored, stored)
        places = stored_places(stored, self.columns.reasons, self.rule)
        is_off = np.asarray((places != self.rule.of(shares, scored.targets, scored.explained_rows).texts).any(axis=1))
        if is_off.any() and not all_kept:
            weights, ids = self.rule.weighed(shares, scored.targets, scored.explained_rows)
            allowed = self._allowed(scored, shares, scale).reshape(len(places), -1).max(axis=1)
            is_off = is_off & ~are_reasons(places, weights, ids, allowed)
        return is_off

    def _shares(self, scored: ScoredRows, stored: pa.Table) -> tuple[NDArray[np.float64], bool]:
        """The shares that the run has kept, and in place of others those computed again; whether all were kept."""
        assert self.rule is not None
        explanations = self.columns.by_method[self.rule.choice.method]
        shares = scored.attributions[self.rule.choice.method].values.astype(np.float64)
        layout, all_kept = self.columns.layout, True
        for k, each in enumerate(explanations):
            kept = layout.read(stored, each.prefix, each.suffix)
            all_kept &= kept.values.shape[1] == len(layout.features)
            own = shares[k :: len(explanations)]  # a view
            here = np.take_along_axis(own, kept.features, axis=1)
            values = kept.values if kept.has is None else np.where(kept.has, kept.values, here)
            np.put_along_axis(own, kept.features, values, axis=1)
        return shares, all_kept

    def _allowed(
        self, scored: ScoredRows, shares: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How far a share of each explanation may be off."""
        assert self.rule is not None
        attribution = scored.attributions[self.rule.choice.method]
        own_scale = scale[attribution.target]
        moved = np.abs(attribution.output - attribution.base_value)
        own = np.maximum(self.explain.tolerance * moved, self.explain.absolute_tolerance * own_scale)
        largest = np.abs(shares).max(axis=1, initial=0.0)
        return np.asarray(self.tolerance * np.maximum(own_scale, largest) + own)


def stored_places(table: pa.Table, columns: ReasonColumns, rule: ReasonRule) -> NDArray[np.int64]:
    """The place of each stored text among the rule's, [M, N]: -1 for none, -2 for one that the rule has not."""
    names = [*columns.names, *columns.code_names]
    values = dict(zip(names, (table[name].to_pylist() for name in names), strict=True))
    place: dict[tuple[str | None, str | None], int] = dict(zip(rule.texts, range(len(rule.texts)), strict=True))
    place[None, None] = NONE
    no_codes: list[str | None] = [None] * table.num_rows
    found = np.empty((table.num_rows, len(columns.names)), dtype=np.int64)
    for k, name in enumerate(columns.names):
        codes = values[columns.code_names[k]] if columns.code_names else no_codes
        found[:, k] = [place.get(pair, NONE - 1) for pair in zip(values[name], codes, strict=True)]
    return found


def are_reasons(
    places: NDArray[np.int64], weights: NDArray[np.float64], ids: NDArray[np.int64], allowed: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether stored texts are the strongest reasons of each row, up to what shares may be off, [M].

    Args:
        places: the stored texts' places, [M, N].
        weights: how strongly each feature with a wording speaks against the outcome, computed again, [M, W].
        ids: the place of each of these features' text, [M, W].
        allowed: how far a share may be off, [M].
    """
    count = len(places)
    most = int(max(ids.max(initial=0), places.max(initial=0))) + 1
    by_text = np.zeros((count, most))
    for weight, own in zip(weights.T, ids.T, strict=True):
        at = own[:, None]
        np.put_along_axis(by_text, at, np.maximum(np.take_along_axis(by_text, at, axis=1), weight[:, None]), axis=1)
    expected = -np.sort(-by_text, axis=1)[:, : places.shape[1]]
    expected = np.pad(expected, ((0, 0), (0, places.shape[1] - expected.shape[1])))
    got = np.where(places >= 0, np.take_along_axis(by_text, np.maximum(places, 0), axis=1), 0.0)
    differ = np.array([len(set(row[row >= 0].tolist())) == int((row >= 0).sum()) for row in places], dtype=np.bool_)
    # No text after a gap, and none that the rule has not.
    is_whole = (np.diff((places >= 0).astype(np.int8), axis=1) <= 0).all(axis=1) & (places >= NONE).all(axis=1)
    return np.asarray(is_whole & differ & (np.abs(got - expected) <= 2 * allowed[:, None]).all(axis=1))
