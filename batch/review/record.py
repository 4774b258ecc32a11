"""A run as its own documents describe it, read back without the model or the inputs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.arrow import take_rows
from whyport.batch.output.folder import JOB_FILE, OutputFolder
from whyport.batch.output.layouts import AttributionLayout, attribution_layout
from whyport.batch.output.parts import PartSpan, split
from whyport.batch.scoring.selection import Selection
from whyport.batch.store.local import Disk
from whyport.runtime.errors import DataError, JobError, UsageError, unknown

NEEDED = ("part_rows", "methods", "explain_class", "explain_where", "explain_fraction", "layout", "top_k")


@dataclass(frozen=True)
class InputRecord:
    """One input as the run saw it."""

    index: int
    source_file: str
    path: Path
    """Where it lay."""
    rows: int | None
    """None for an input that could not be read."""
    footer_sha256: str | None


@dataclass(frozen=True)
class RunRecord:
    """The contents of _job.json, as far as those who look at a run need them."""

    folder: OutputFolder
    job: dict[str, Any]
    inputs: tuple[InputRecord, ...]

    @classmethod
    def read(cls, out: Path) -> Self:
        """Read what a folder says of its run; UsageError where it holds none, JobError where it cannot be read."""
        folder = OutputFolder(out, Disk())
        if not (out / JOB_FILE).exists():
            raise UsageError(f"expected the output folder of a run, got {str(out)!r}, which has no {JOB_FILE}")
        job = folder.read_json(JOB_FILE)
        try:
            inputs = tuple(
                InputRecord(i, entry["source_file"], Path(entry["path"]), entry["rows"], entry["footer_sha256"])
                for i, entry in enumerate(job["inputs"])
            )
            _ = job["bundle"]["path"], [job["settings"][name] for name in NEEDED]
        except (KeyError, TypeError) as error:
            raise JobError(f"expected a description of a run, got one without {error}, in {out / JOB_FILE}") from None
        return cls(folder, job, inputs)

    @property
    def methods(self) -> list[str]:
        """The explanation methods."""
        return list(self.job["settings"]["methods"])

    @property
    def explains_all_classes(self) -> bool:
        """Whether every class was explained."""
        return bool(self.job["settings"]["explain_class"] == "all")

    @property
    def selection(self) -> Selection:
        """Which rows were explained."""
        settings = self.job["settings"]
        return Selection.parse(settings["explain_where"], settings["explain_fraction"])

    def attributions(self, features: Sequence[str]) -> AttributionLayout:
        """How the attributions of these features stand in the output."""
        settings = self.job["settings"]
        return attribution_layout(settings["layout"], settings["top_k"], features)

    def spans(self, source: InputRecord) -> list[PartSpan]:
        """The parts of an input; none of one that could not be read."""
        return [] if source.rows is None else split(source.index, source.rows, self.job["settings"]["part_rows"])

    def find_input(self, name: str | None) -> InputRecord:
        """The input of that name, or the end of it after a slash; without a name the only one. UsageError otherwise."""
        names = [source.source_file for source in self.inputs]
        if name is None:
            if len(names) > 1:
                raise UsageError(f"the run has {len(names)} inputs: choose one with --file")
            return self.inputs[0]
        found = [source for source in self.inputs if source.source_file == name] or [
            source for source in self.inputs if source.source_file.endswith(f"/{name}")
        ]
        if len(found) != 1:
            raise UsageError(unknown("input" if not found else "single input", name, names))
        return found[0]


def read_rows(path: Path, column: str, wanted: Iterable[int]) -> pa.Table:
    """The rows of a part whose `column`, which ascends, has the wanted values, which ascend; reads their row groups.

    Raises DataError where the file cannot be read.
    """
    rows = sorted(wanted)
    found = []
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            place = file.schema_arrow.names.index(column)
            for i in range(file.num_row_groups):
                statistics = file.metadata.row_group(i).column(place).statistics
                inside = [row for row in rows if statistics is not None and statistics.min <= row <= statistics.max]
                found += [
                    take_rows(batch, np.flatnonzero(np.isin(batch[column].to_numpy(), inside)))
                    for batch in (file.iter_batches(row_groups=[i]) if inside else ())
                ]
            return pa.Table.from_batches(found, file.schema_arrow)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot read: {(str(error).splitlines() or [''])[0]}, in {path}") from None
