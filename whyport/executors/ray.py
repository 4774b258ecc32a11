"""Ray Data: a scorer for `Dataset.map_batches`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyport.runtime.extras import needs

if TYPE_CHECKING:
    import pyarrow as pa


class Score:
    """Scores the batches of a Dataset, in an actor: `data.map_batches(Score, batch_format="pyarrow", ...)`.

    Args:
        bundle: the bundle's path, the same on every machine.
        keep: the columns to copy; None for all.
        threads: threads on the CPU, which the actor must be given as `num_cpus`.
        options: as of `whyport.ArrowScorer`.

    Raises:
        WhyportError: as `whyport.ArrowScorer`.
    """

    @needs("batch", "trees", "explain")
    def __init__(
        self, bundle: str | Path, *, keep: str | Iterable[str] | None = None, threads: int = 1, **options: Any
    ) -> None:
        from whyport.batch.arrow_scorer import ArrowScorer

        self._scorer = ArrowScorer(bundle, keep=keep, threads=threads, **options)

    def __call__(self, batch: "pa.Table") -> "pa.Table":
        """A row for every row, with `problem` where one cannot be scored; raises as `whyport.ArrowScorer`."""
        return self._scorer(batch)
