"""Single rows for the report: their choice, and every explanation of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import class_indices, first_row
from whyport.batch.methods.players import Labels
from whyport.batch.output.columns import SOURCE_ROW, ExplanationColumns
from whyport.batch.output.label_maps import labels_of
from whyport.batch.output.tokens import TOKENS
from whyport.batch.report.gather.collect import Columns
from whyport.batch.report.gather.maps import attention_of, grad_cam_of
from whyport.batch.report.gather.values import FeatureValues
from whyport.batch.review.finished_run import FinishedRun, read_rows
from whyport.batch.review.row_values import RowValues
from whyport.batch.review.show_tokens import token_names
from whyport.batch.rows import CleanBatch
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.targets import ALL, TargetChoice
from whyport.runtime.bundle.row import sources_of
from whyport.runtime.errors import JobError, WhyportError
from whyport.runtime.session import Session

logger = logging.getLogger(__name__)

NOT_KEPT = "what the run has not kept"
"""The label for a row's other features, if only its strongest were kept and they cannot be computed again."""

SIDE_BY_SIDE = 3
"""The targets of a picture that are drawn side by side, where its run has explained as many."""

ONE_VIEW = "one_view_map"
"""The column with the map of the picture alone, where others are means over several views."""

CHOSEN = {"most certain": 1, "least certain": 1, "wrong": 2, "largest": 1, "smallest": 1, "furthest off": 2}
"""The number of rows shown, by kind."""


@dataclass(frozen=True)
class RowChoice:
    """A row with the reason why it is shown."""

    kind: str
    index: int
    """The input's index among all inputs."""
    row: int


@dataclass(frozen=True)
class RowExplanation:
    """One method's explanation of one target's score in a row."""

    method: str
    target: str
    role: str
    """The role of the target: "predicted", "true" or "explained"."""
    names: tuple[str, ...]
    values: NDArray[np.float64]
    """[F]"""
    base_value: float
    """The base value; NaN for a method that measures against nothing."""
    score: float
    computed_anew: bool
    """Whether it was computed for the report, because the run does not hold it."""
    has: NDArray[np.bool_] | None = None
    """[F]: whether the row has each cell; None where all rows have as many, or it is not known."""
    layers: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Maps [y, x] of further layers of the network, by the layer's name, and of the picture as its only view."""


@dataclass(frozen=True)
class RowCase:
    """A row with its prediction and explanations."""

    choice: RowChoice
    predictions: tuple[str, ...]
    """The predicted target's name, or each quantity as text."""
    chances: dict[str, float]
    """The probabilities by target; empty for a task that has none."""
    truths: tuple[str | None, ...]
    """The true target's name, or each measured quantity as text; None where it is not known. Empty without a column."""
    kept: dict[str, str]
    features: NDArray[np.float64]
    """[F], NaN where missing or unknown."""
    values: Mapping[str, str]
    """The same by column as the input has them, as text; empty where the input is gone."""
    explanations: tuple[RowExplanation, ...]
    looked_at: str
    """The target that the model explains by default, whose Grad-CAM it is; empty without a model."""
    grad_cam: NDArray[np.float32] | None
    """[F] in 0..1."""
    attention: NDArray[np.float64] | None
    """[query, key]"""
    tokens: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The tokens of each text, by its input; empty where the run has not written them."""
    segments: Labels = field(default_factory=dict)
    """The segments of each picture, by its input; empty where the run has not written them."""


def choose_rows(
    run: FinishedRun, candidates: Mapping[str, Columns], rows: tuple[int, ...], file: str | None
) -> list[RowChoice]:
    """The rows with these numbers, or by default the striking ones; raises UsageError for a row that does not exist."""
    if rows:
        index = run.find_input(file)
        for row in rows:
            run.check_row(index, row)
        return [RowChoice("chosen", index, row) for row in dict.fromkeys(rows)]
    chosen: list[RowChoice] = []
    seen: set[tuple[int, int]] = set()
    for kind, count in CHOSEN.items():
        found = candidates.get(kind, {"source": np.zeros(0), "row": np.zeros(0)})
        places = [(int(s), int(r)) for s, r in zip(found["source"], found["row"], strict=True)]
        fresh = [place for place in places if place not in seen][:count]
        seen.update(fresh)
        chosen += [RowChoice(kind, index, row) for index, row in fresh]
    return chosen


class CaseReader:
    """Reads rows from the parts, and computes what the parts lack.

    Args:
        run: the run.
        values: the feature values of all rows that will be read.
        truths: the kept columns with the true target, or with the measured quantities; None where one is not known.
        session: the run's bundle; None if the bundle or the inputs are gone.
    """

    def __init__(
        self, run: FinishedRun, values: FeatureValues, truths: Sequence[str | None], session: Session | None
    ) -> None:
        self._run, self._values, self._truths, self._session = run, values, truths, session
        self._scorers: dict[str, Scorer] = {}

    def read(self, choice: RowChoice) -> RowCase:
        """Read one row; raises JobError if it was rejected or is not in the output."""
        task = self._run.task
        table = self._stored(choice)
        stored = first_row(table)
        features = self._values.rows({"source": np.array([choice.index]), "row": np.array([choice.row])})[0]
        predictions, truths = self._predictions(stored), self._truths_of(table, stored)
        matrix = self._matrix(features)
        grad_cam, attention, looked_at = None, None, ""
        if matrix is not None and self._session is not None:
            attention, target = attention_of(self._session, matrix), self._default_target(matrix)
            grad_cam, looked_at = grad_cam_of(self._session, matrix, target), task.targets[target[0]]
        return RowCase(
            choice=choice,
            predictions=predictions,
            chances={target: stored[name] for target, name in task.probability_columns.items()},
            truths=truths,
            kept={name: str(stored[name]) for name in self._run.settings.keep},
            features=features,
            values=self._shown(choice, table) | token_names(self._run.columns.tokens, stored),
            explanations=tuple(self._explanations(table, stored, matrix, self._wanted(predictions, truths))),
            looked_at=looked_at,
            grad_cam=None if grad_cam is None else grad_cam[0],
            attention=None if attention is None else attention[0],
            tokens=self._tokens(stored),
            segments=self._segments(stored),
        )

    def _segments(self, stored: dict[str, Any]) -> Labels:
        columns = self._run.columns.segments
        maps = {each: stored[columns.name(each)] for each in columns.inputs}
        return {each: labels_of(png) for each, png in maps.items() if png is not None}

    def _tokens(self, stored: dict[str, Any]) -> dict[str, Sequence[str]]:
        columns = self._run.columns.tokens
        return {each: stored[columns.name(TOKENS, each)] or () for each in columns.inputs}

    def _predictions(self, stored: dict[str, object]) -> tuple[str, ...]:
        """The predicted target, or all predicted quantities."""
        columns = self._run.task.columns
        if columns[0].names_target:
            return (str(stored[columns[0].name]),)
        return tuple(number(stored[column.name]) for column in columns)

    def _truths_of(self, table: pa.Table, stored: dict[str, object]) -> tuple[str | None, ...]:
        """The true target, or all measured quantities."""
        targets = self._run.task.targets
        if not self._run.task.predicts_targets:
            return tuple(None if name is None else number(stored[name]) for name in self._truths)
        names = [name for name in self._truths if name is not None]
        places = [class_indices(table[name].combine_chunks(), targets)[0] for name in names]
        return tuple(targets[k] if k >= 0 else None for k in places)

    def _wanted(self, predictions: tuple[str, ...], truths: tuple[str | None, ...]) -> dict[str, str]:
        """The role of each target that is to be explained; empty for quantities, of which the run has chosen some."""
        if not self._run.task.predicts_targets:
            return {}
        (predicted,) = predictions
        return {predicted: "predicted", **{name: "true" for name in truths if name not in (None, predicted)}}

    def _default_target(self, matrix: NDArray[np.float32]) -> NDArray[np.int64]:
        """The target that the model explains by default for the row, [1]."""
        assert self._session is not None
        return self._session.task.predict(self._session.run(matrix, self._session.task.outputs)).target

    def _stored(self, choice: RowChoice) -> pa.Table:
        span = next(span for span in self._run.job.spans(choice.index) if span.start <= choice.row < span.stop)
        path = self._run.path(span)
        place = f"{self._run.inputs[choice.index].source_file}, row {choice.row}"
        if not path.exists():
            raise JobError(f"{place}: not in the output: its file was skipped")
        table = read_rows(path, SOURCE_ROW, [choice.row])
        if not table.num_rows:
            raise JobError(f"{place}: rejected; whyport show says why")
        return table

    def _matrix(self, features: NDArray[np.float64]) -> NDArray[np.float32] | None:
        """The row as the model saw it, [1, F]; None if its values are not known."""
        if self._session is None or not np.isfinite(features).any():
            return None
        sidecar = self._session.bundle.sidecar
        row = np.where(np.isfinite(features), features, sidecar.imputation)
        return row.astype(np.float32)[None] if (np.isfinite(row) | sidecar.models_missing).all() else None

    def _shown(self, choice: RowChoice, output: pa.Table) -> dict[str, str]:
        """The row's values as text."""
        if self._session is None or not self._values.known({"source": np.array([choice.index])}).all():
            return {}
        sources = sources_of(self._session.bundle.sidecar.inputs)
        return RowValues(self._run, choice.index, choice.row, sources, output).of(self._values.names)

    def _explanations(
        self,
        table: pa.Table,
        stored: dict[str, object],
        matrix: NDArray[np.float32] | None,
        wanted: dict[str, str],
    ) -> list[RowExplanation]:
        # The first method that adds up makes the better picture.
        known = [each for each in self._run.explanations if self._is_explained(table, each)]
        method = next((each.method for each in [*(e for e in known if stored[e.base_value] is not None), *known]), None)
        if method is None:
            return []
        found = dict[str, RowExplanation]()
        for each in known:
            name = each.target or str(stored[each.explained_target])
            positions = self._run.layout.positions
            beside = bool(positions.pictures or positions.segmented) and len(found) < SIDE_BY_SIDE
            if each.method == method and (each.target is None or name in wanted or not wanted or beside):
                found[name] = self._of_columns(table, each, name, wanted.get(name, "explained"))
        lacking = [name for name in wanted if name not in found or NOT_KEPT in found[name].names]
        if lacking and matrix is not None:
            found |= self._anew(method, matrix, lacking, wanted)
        order = {name: i for i, name in enumerate(dict.fromkeys([*wanted, *found]))}
        drawn = [each for each in found.values() if np.isfinite(each.values).all()]
        return sorted(drawn, key=lambda each: order[each.target])

    def _is_explained(self, table: pa.Table, each: ExplanationColumns) -> bool:
        """Whether the run has explained the row, with attributions that are finite."""
        if table[each.score].null_count:
            return False
        return bool(np.isfinite(self._run.layout.read(table, each.prefix, each.suffix).values).all())

    def _of_columns(self, table: pa.Table, each: ExplanationColumns, name: str, role: str) -> RowExplanation:
        shares = self._run.layout.read(table, each.prefix, each.suffix)
        names = self._run.layout.features
        base, score = table[each.base_value][0].as_py(), table[each.score][0].as_py()
        base = base if self._run.layout.positions.add_up else None
        values = np.zeros(len(names))
        values[shares.features[0]] = shares.values[0]
        if shares.values.shape[1] < len(names) and base is not None:
            names, values = (*names, NOT_KEPT), np.append(values, score - base - values.sum())
        base_value = float("nan") if base is None else base
        has = shares.has[0] if shares.has is not None and self._run.settings.top_k is None else None
        layers = self._layers(table, each)
        return RowExplanation(each.method, name, role, names, values, base_value, score, False, has, layers)

    def _layers(self, table: pa.Table, each: ExplanationColumns) -> dict[str, NDArray[np.float32]]:
        """The maps that the run has written of the row beside its shares, see `RowExplanation.layers`."""
        found = {}
        for extra in self._run.columns.extras[each.method]:
            if extra.names is not None or extra.name == ONE_VIEW:
                layer = "one view" if extra.name == ONE_VIEW else extra.name.partition(".")[2]
                found[layer] = table[each.extra(extra)].combine_chunks().to_numpy_ndarray()[0]
        return found

    def _anew(
        self, method: str, matrix: NDArray[np.float32], lacking: list[str], wanted: dict[str, str]
    ) -> dict[str, RowExplanation]:
        """Explanations of the targets that the run does not hold; none if the bundle cannot compute them here."""
        assert self._session is not None
        if method not in self._scorers:
            settings = self._run.settings.explain_settings
            try:
                choice = TargetChoice.parse(ALL, self._run.task)
                reduction = self._run.reduction(self._session.bundle)
                self._scorers[method] = Scorer(self._session, (method,), choice, settings, reduction)
            except (WhyportError, ModuleNotFoundError) as error:
                logger.warning("targets that the run has not explained are not shown: %s", error)
                return {}
        scorer = self._scorers[method]
        attribution = scorer.explain(scorer.predict(CleanBatch.of_matrix(matrix))).attributions[method]
        found = {}
        for name in lacking:
            k = self._run.task.targets.index(name)
            values = attribution.values[k].astype(np.float64)
            base, score = float(attribution.base_value[k]), float(attribution.output[k])
            names = self._run.layout.features
            base = base if self._run.layout.positions.add_up else float("nan")
            found[name] = RowExplanation(method, name, wanted[name], names, values, base, score, computed_anew=True)
        return found


def number(value: object) -> str:
    """A quantity as text."""
    return "missing" if value is None else f"{value:.6g}"
