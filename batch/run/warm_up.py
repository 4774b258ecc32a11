"""The time that a run would take, measured on its first rows."""

import time
from dataclasses import dataclass

from whyport.batch.rows import PredictedRows
from whyport.batch.run.intake import Intake
from whyport.batch.run.plan import Plan
from whyport.batch.run.watch import Stages
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.source.cleaning import RowCleaner
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.errors import WhyportError

SECONDS, ROWS = 2.0, 256
"""The measure ends with the call that goes beyond either."""


@dataclass(frozen=True)
class Measured:
    """Seconds of one call, which reads, scores and explains the first rows."""

    rows: int
    predict: float
    """Seconds to read and score all of them."""
    explain: float
    """Seconds to explain all of them."""
    explained: float
    """The share of these rows that the run would explain."""


class WarmUp:
    """Calls that a run would make, with more and more of its first rows.

    Args:
        plan: the inputs and the columns.
        cleaner: separates the rows that can be scored from the rows that cannot.
        scorer: predicts and explains.
    """

    def __init__(self, plan: Plan, cleaner: RowCleaner, scorer: Scorer) -> None:
        self._plan = plan
        self._scorer = scorer
        self._intake = Intake(plan, cleaner, Stages())

    def text(self) -> str:
        """The time of the whole run in words; why it could not be measured, where rows cannot be scored."""
        try:
            measured = self._measured()
        except WhyportError as error:
            return f"not measured: {error}"
        if measured is None:
            return "not measured: there are no rows"
        share = self._plan.settings.explain_fraction or measured.explained
        seconds = self._plan.rows / measured.rows * (measured.predict + share * measured.explain)
        return f"about {duration_text(seconds)}, by the first {measured.rows} rows; writing is not counted"

    def _measured(self) -> Measured | None:
        """The last call, with the most rows; the first one also opens what later ones find open."""
        source = next((each for each in self._plan.sources.values() if each.rows), None)
        if source is None:
            return None
        most = min(ROWS, source.rows, self._plan.rows_per_batch)
        began = time.perf_counter()
        self._call(source, 1)
        rows, measured = 1, self._call(source, 1)
        while rows < most and time.perf_counter() - began < SECONDS:
            rows = min(rows * 4, most)
            measured = self._call(source, rows)
        return measured

    def _call(self, source: SourceFile, rows: int) -> Measured:
        began = time.perf_counter()
        with self._intake.batches(source, 0, rows) as batches:
            predicted = self._scorer.predict(next(batches), source.name)
        scored = time.perf_counter()
        if self._plan.settings.methods:
            self._scorer.explain(predicted)
        return Measured(rows, scored - began, time.perf_counter() - scored, self._share(predicted))

    def _share(self, predicted: PredictedRows) -> float:
        chosen = self._plan.explained(predicted)
        scored = len(predicted.rows.kept)
        return 1.0 if chosen is None or not scored else len(chosen) / scored


def duration_text(seconds: float) -> str:
    """Seconds in the largest unit of which there is one: 40 s, 3 min, 2.5 h, 4 days."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.2g} {unit}"
    return f"{max(seconds, 1):.2g} s"
