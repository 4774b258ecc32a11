"""The function `compare`: runs beside another run, or beside the training of their model."""

from collections.abc import Mapping

from whyport.batch.compare.figures import CompareReport
from whyport.runtime.arguments import at_least, typed
from whyport.runtime.errors import UsageError
from whyport.runtime.extras import needs
from whyport.runtime.store.path import Place, as_place


@needs("batch", "explain")
@typed
def compare(
    first: str | Place,
    *others: str | Place,
    key: str | None = None,
    rows: int = 10,
    fail_over: str | Mapping[str, float] | None = None,
    threads: int | None = None,
    device: str = "auto",
) -> CompareReport:
    """Compare finished runs with another one, or with the training of a bundle: predictions, inputs and shares.

    Args:
        first: A, the output folder of a run, or a bundle.
        others: B, the output folders of runs; each is compared with the first.
        key: a column that the runs have kept, by which rows are matched; its values are unique in each run.
        rows: how many of the matched rows to list, those whose reasons changed most.
        fail_over: limits of alarms by name, such as {"psi": 0.25} or "psi=0.25,shift=5%"; docs/operations.md has them.
        threads: threads on the CPU; by default the cores that this process may use.
        device: "auto", "cpu" or "cuda", to explain the reference rows of a bundle.

    Returns:
        The figures: a comparison for each of the others, and the alarms.

    Raises:
        UsageError: an option is not valid, a folder is none of these, or nothing of two sides can be compared.
        JobError, DataError, BundleError: a run is not finished, or something cannot be read.
    """
    from whyport.batch.compare.alarms import parse_limits
    from whyport.batch.compare.engine import CompareSettings, compare_sides
    from whyport.batch.compare.sides import first_side, other_side
    from whyport.runtime.providers import available_cores

    at_least("rows", rows, 0)
    if threads is not None:
        at_least("threads", threads, 1)
    if not others:
        raise UsageError("expected at least two sides to compare, got one")
    settings = CompareSettings(key, rows, parse_limits(fail_over), threads or available_cores(), device)
    sides = [other_side(as_place(other)) for other in others]
    return compare_sides(first_side(as_place(first)), sides, settings)
