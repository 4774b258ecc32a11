"""The inputs that finished jobs have scored, and whether a file is one of them."""

import dataclasses
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from whyport.batch.output.earlier import EarlierJob
from whyport.batch.source.files import Fingerprint, path_columns
from whyport.batch.source.footer import Footer
from whyport.runtime.errors import DataError
from whyport.runtime.paths import open_file
from whyport.runtime.store.path import Place, as_place, real_place

Given = tuple[tuple[str, str], ...]
"""The columns that only a file's path gives, such as `year=2026`, with their texts."""


@dataclass(frozen=True)
class Standing:
    """What finished jobs have done with a file."""

    is_scored: bool
    is_doubtful: bool = False
    """Whether a scored file has its footer and size, but none of these has its time of change.

    A footer has the smallest and largest value of each column. A value between them may have changed without a trace.
    """
    bundles: frozenset[str] = frozenset()
    """The digests of the bundles that have scored it, or the file of the same footer."""
    last_job: Place | None = None
    """The folder of the last finished job that has scored a file of this path."""
    content: tuple[str, int] | None = None
    """The digest of the footer, and the size in bytes; None for a file without a footer, or that cannot be read."""


@dataclass
class _Alike:
    """Scored inputs that nothing but the time of their last change tells apart."""

    times: set[int] = field(default_factory=set)
    """Nanoseconds since 1970."""
    bundles: set[str] = field(default_factory=set)


class ScoredInputs:
    """The inputs of finished jobs, by what tells a file from others: digest of the footer, size, columns of the path.

    Where only the time of change differs, and the footer has no statistics of the values, nothing says that a file is
    the same: it is not.

    Args:
        jobs: the finished jobs.
        columns: the columns that are read; others that a path gives tell no files apart.
    """

    def __init__(self, jobs: Iterable[EarlierJob], columns: Collection[str]) -> None:
        self._columns = frozenset(columns)
        self._alike: dict[tuple[str, int], dict[Given, _Alike]] = {}
        self._last_job: dict[str, Place] = {}
        for job in jobs:
            for mark in job.scored:
                self._last_job[mark.path] = job.folder
                if mark.footer_sha256 is not None:
                    by_given = self._alike.setdefault((mark.footer_sha256, mark.size), {})
                    alike = by_given.setdefault(self._given(as_place(mark.source_file)), _Alike())
                    alike.times.add(mark.modified_ns)
                    alike.bundles.add(job.bundle.digest)

    def standing(self, path: Place) -> Standing:
        """What finished jobs have done with a file; a file that cannot be read has not been scored."""
        last_job = self._last_job.get(str(real_place(path)))
        content = None
        try:
            mark = Fingerprint.read(path)
            content = None if mark.footer_sha256 is None else (mark.footer_sha256, mark.size)
            found = None if content is None else self._found(path, content, mark.modified_ns)
        except (OSError, pa.ArrowException, DataError):
            found = None
        return dataclasses.replace(found or Standing(False), last_job=last_job, content=content)

    def _found(self, path: Place, content: tuple[str, int], modified_ns: int) -> Standing | None:
        """What was done with a file's content; None where it is not known."""
        by_given, given = self._alike.get(content, {}), self._given(path)
        alike = by_given.get(given)
        if alike is not None and modified_ns in alike.times:
            return Standing(True, bundles=frozenset(alike.bundles))
        if not by_given:
            return None
        names, tells_values = _footer_of(path)
        same = [each for other, each in by_given.items() if _without(other, names) == _without(given, names)]
        if not same:
            return None
        bundles = frozenset(digest for each in same for digest in each.bundles)
        is_doubtful = all(modified_ns not in each.times for each in same)
        return Standing(tells_values or not is_doubtful, is_doubtful, bundles)

    def _given(self, path: Place) -> Given:
        """The columns that a path gives, of those that are read."""
        return tuple(sorted(item for item in path_columns(path).items() if item[0] in self._columns))


def _without(given: Given, names: Collection[str]) -> Given:
    """The columns that a path gives where the file does not have them itself."""
    return tuple(item for item in given if item[0] not in names)


def _footer_of(path: Place) -> tuple[frozenset[str], bool]:
    """A file's own columns; and whether its footer has statistics of some column of each row group.

    Raises OSError, ArrowException or DataError.
    """
    names: set[str] = set()
    tells_values = True
    with open_file(path) as file:
        footer = Footer.read(file)
        for window in footer.windows:
            metadata = footer.metadata(file, window)
            names |= set(metadata.schema.to_arrow_schema().names)
            for group in map(metadata.row_group, range(window.count)):
                leaves = map(group.column, range(group.num_columns))
                ranged = (leaf.is_stats_set and leaf.statistics.has_min_max for leaf in leaves)
                tells_values = tells_values and (not group.num_rows or any(ranged))
    return frozenset(names), tells_values
