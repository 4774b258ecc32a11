"""Spark: a run whose parts its workers make."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyport.batch.run.executors.where import SPARK, Where
from whyport.batch.run.run import run as run_here
from whyport.batch.run.run import run_at
from whyport.runtime.arguments import checked_arguments
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError
from whyport.runtime.extras import needs

if TYPE_CHECKING:
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
