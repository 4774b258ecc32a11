"""Explained rows of a finished run, drawn by a seed and read again from its inputs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.output.columns import SOURCE_ROW
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.batch.rows import CleanBatch, PredictedRows
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.scoring.selection import uniform
from whyport.batch.source.cleaning import RowCleaner
from whyport.runtime.bundle.folder import Bundle


@dataclass(frozen=True)
class Places:
    """Rows of the inputs, by the input's index: their numbers, ascending."""

    rows: Mapping[int, NDArray[np.int64]]

    @property
    def count(self) -> int:
        """The number of rows."""
        return sum(len(rows) for rows in self.rows.values())


def draw(run: FinishedRun, count: int, seed: int) -> Places:
    """Draw explained rows: the same for a seed, whatever the parts; all of them where there are fewer than `count`."""
    score = run.columns.explanations[0].score
    keys, places = np.empty(0), np.empty((0, 2), dtype=np.int64)
    for batch in run.batches([SOURCE_ROW, score]):
        rows = batch.table[SOURCE_ROW].to_numpy()[pc.is_valid(batch.table[score]).to_numpy()]
        own = np.stack([np.full(len(rows), batch.index), rows], axis=1)
        keys = np.concatenate([keys, uniform(f"{seed} {batch.source_file}", rows)])
        places = np.concatenate([places, own])
        kept = np.argsort(keys, kind="stable")[:count]
        keys, places = keys[kept], places[kept]
    return Places({int(i): np.sort(places[places[:, 0] == i, 1]) for i in np.unique(places[:, 0])})


def scorer_of(run: FinishedRun, bundle: Bundle, session: Any, baseline: str | None = None) -> Scorer:
    """The scorer that explains rows as the run did, or against another of the bundle's baselines."""
    explain = run.settings.explain_settings
    explain = explain if baseline is None else replace(explain, baseline=baseline)
    return Scorer(session, run.settings.methods, run.job.choice, explain, run.reduction(bundle))


def predicted_rows(run: FinishedRun, bundle: Bundle, scorer: Scorer, places: Places) -> Iterator[PredictedRows]:
    """The rows of each input, read again and predicted; raises AuditError or DataError where an input has changed."""
    settings, choice = run.settings, run.job.choice
    cleaner = RowCleaner(
        bundle.sidecar,
        settings.on_bad_row,
        choice.label,
        on_unseen=settings.on_unseen,
        read_file=bundle.read_bytes,
    )
    label = [choice.label] if choice.label is not None else []
    inputs = RunInputs(run, list(dict.fromkeys([*bundle.sidecar.column_names, *label])))
    for index, rows in places.rows.items():
        file = inputs.open(index)
        batch = inputs.rows(file, rows)
        texts = {name: batch.column(name) for name in scorer.tokenised}
        yield scorer.predict(CleanBatch(0, batch.select([]), cleaner.clean(batch, 0), texts), file.name)
