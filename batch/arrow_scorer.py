"""Arrow in, Arrow out, a row for every row: a block for people's own pipelines, without files, parts or totals."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyport.runtime.arguments import typed
from whyport.runtime.bundle.folder import Bundle, as_bundle
from whyport.runtime.extras import needs

if TYPE_CHECKING:
    import pyarrow as pa


class ArrowScorer:
    """Predicts and explains the rows of tables in memory. It is made once, and called for table after table.

    Every row of the input is a row of the output, in the same order. A row that cannot be scored has nulls in the new
    columns, and the reason in `problem`. The last bits of a result may depend on the rows beside it: parts that are the
    same byte for byte are what `run` makes.

    Args:
        bundle: a bundle, or its path.
        keep: the columns of the tables to copy; None for all.
        device: "auto", "cpu" or "cuda".
        threads: threads on the CPU; by default the cores that this process may use.
        options: those of `run` that are about single rows, such as `explain`, `layout`, `top_k` and `on_bad_row`, with
            its defaults.

    Raises:
        UsageError, BundleError, ProviderError: the options cannot be carried out.
    """

    @needs("batch", "trees", "explain")
    @typed
    def __init__(
        self,
        bundle: Bundle | str | Path,
        *,
        keep: str | Iterable[str] | None = None,
        device: str = "auto",
        threads: int | None = None,
        **options: Any,
    ) -> None:
        from whyport.batch.run.tables import TableColumns, TableScorer

        self.bundle = as_bundle(bundle)
        """The bundle."""
        self._scorer = TableScorer(TableColumns.of(self.bundle, keep, options), device, threads)

    @staticmethod
    @needs("batch")
    def schema(
        bundle: Bundle | str | Path, table: "pa.Schema", *, keep: str | Iterable[str] | None = None, **options: Any
    ) -> "pa.Schema":
        """The schema of what a scorer with these options gives for tables of a schema; opens no model.

        Raises UsageError and BundleError as the scorer, and ColumnError for a schema that it does not take.
        """
        from whyport.batch.run.tables import TableColumns

        return TableColumns.of(as_bundle(bundle), keep, options).schema(table)

    def __call__(self, table: "pa.Table | pa.RecordBatch") -> "pa.Table":
        """The kept columns, those of a part of `run` from the prediction on, and `problem`; N rows for N rows.

        Raises:
            ColumnError: a column is missing, of the wrong type, or its name is taken.
            DataError: a value that float32 cannot hold; with "fail" also a row that cannot be scored.
            ParityError: two engines disagree about a row.
        """
        return self._scorer.score(table)
