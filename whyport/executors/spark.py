"""Spark: a run whose parts its workers make, and a scorer for the rows of a DataFrame."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyport.batch.run.executors.where import SPARK, Where
from whyport.batch.run.run import run as run_here
from whyport.batch.run.run import run_at
from whyport.runtime.arguments import checked_arguments
from whyport.runtime.bundle.folder import Bundle, as_bundle
from whyport.runtime.errors import DigestError, UsageError
from whyport.runtime.extras import needs
from whyport.runtime.store.path import Place

if TYPE_CHECKING:
    import pyarrow as pa

    from whyport.batch.arrow_scorer import ArrowScorer
    from whyport.batch.output.result import JobReport


@needs("batch", "trees", "explain", "spark")
def run(
    spark: Any,
    bundle: Bundle | str | Path,
    inputs: str | Path | Iterable[str | Path],
    out: str | Path,
    **options: Any,
) -> "JobReport":
    """Stream Parquet files through a bundle, with the parts made by the Python workers of a Spark session.

    The parts are the very same, byte for byte, as `whyport.run` makes. All machines need the same whyport, and the
    bundle, the inputs and the output folder by the same paths.

    Args:
        spark: the SparkSession; it stays open.
        bundle, inputs, out: as of `whyport.run`.
        options: its other keywords, but `on` and `workers`: Spark's own settings say how many there are. `threads` are
            one worker's, by default `spark.task.cpus`.

    Returns:
        The counts, errors and digests of the run, as `whyport.run`.

    Raises:
        WhyportError: as `whyport.run`. JobError: Spark has given up.
    """
    given = checked_arguments(run_here, bundle, inputs, out, **options).kwargs
    for name in ("on", "workers"):
        if name in given:
            raise UsageError(f"{name}: the session says where and how many; expected no such option")
    return run_at(Where(SPARK, session=spark), bundle, inputs, out, **given)


@needs("batch", "trees", "explain", "spark")
def score(frame: Any, bundle: str | Path, *, keep: str | Iterable[str] | None = None, **options: Any) -> Any:
    """Predict and explain the rows of a DataFrame, by its `mapInArrow`.

    A row that cannot be scored has nulls in the new columns, and the reason in `problem`. Tensors and lists of a fixed
    size are lists, which Spark knows.

    Args:
        frame: the DataFrame.
        bundle: the bundle's path, the same on every machine.
        keep: the columns to copy; None for all.
        options: as of `whyport.ArrowScorer`; `threads` is by default 1.

    Returns:
        The DataFrame of the kept columns, the new ones and `problem`: a row for every row.

    Raises:
        WhyportError: as `whyport.ArrowScorer.schema`.
    """
    found = as_bundle(bundle)
    kept = None if keep is None else tuple([keep] if isinstance(keep, str) else keep)
    scores = _Scores(found.place, found.digest, kept, tuple(sorted(options.items())))
    of_rows = {name: value for name, value in options.items() if name not in ("device", "threads")}
    return frame.mapInArrow(scores, schema(frame, bundle, keep=keep, **of_rows))


@needs("batch", "trees", "explain", "spark")
def schema(frame: Any, bundle: str | Path, *, keep: str | Iterable[str] | None = None, **options: Any) -> Any:
    """The schema of what `score` gives, a StructType; opens no model.

    Takes and raises what `score` does, but `device` and `threads`.
    """
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    from pyspark.sql.types import StructType

    from whyport.batch.arrow_scorer import ArrowScorer

    found = ArrowScorer.schema(bundle, to_arrow_schema(frame.schema), keep=keep, **options)
    names = set(frame.schema.names)
    new = from_arrow_schema(_for_spark(found))
    return StructType([frame.schema[field.name] if field.name in names else field for field in new])


_opened: "tuple[_Scores, ArrowScorer] | None" = None
"""The scorer of the last task: Spark uses its Python processes again."""


@dataclass(frozen=True)
class _Scores:
    """The function for `mapInArrow`; it can be pickled."""

    bundle: Place
    digest: str
    keep: tuple[str, ...] | None
    options: tuple[tuple[str, Any], ...]

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        scorer = self._scorer()
        for batch in batches:
            scored = scorer(batch)
            yield from scored.cast(_for_spark(scored.schema)).to_batches()

    def _scorer(self) -> "Callable[[pa.RecordBatch], pa.Table]":
        global _opened
        from whyport.batch.arrow_scorer import ArrowScorer

        if _opened is None or _opened[0] != self:
            _opened = None
            bundle = Bundle.read(self.bundle)
            if bundle.digest != self.digest:
                raise DigestError(f"expected the bundle {self.digest[:12]}, got {bundle.digest[:12]}, in {self.bundle}")
            _opened = self, ArrowScorer(bundle, keep=self.keep, **{"threads": 1} | dict(self.options))
        return _opened[1]


def _for_spark(schema: "pa.Schema") -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([field.with_type(_listed(field.type)) for field in schema])


def _listed(kind: "pa.DataType") -> "pa.DataType":
    """The type with lists of any length in place of tensors and of lists of a fixed size."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return _listed(kind.storage_type)
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        return pa.list_(_listed(kind.value_type))
    return kind
