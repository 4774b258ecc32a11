"""The settings of a run: the options of `whyport run`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from whyport.batch.methods.catalogue import METHODS, method_options
from whyport.batch.methods.per import AUTO as OWN_PER
from whyport.batch.methods.per import CELL, FEATURE, KNOWN, PER, SEGMENT, STEP
from whyport.batch.methods.positions import REDUCTIONS, SUM
from whyport.batch.methods.segments.segmenter import MOST_ASKED, SEGMENTERS, segmenter_of
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.reasons.choice import MOST
from whyport.batch.reasons.wordings import Wording
from whyport.runtime.arguments import at_least
from whyport.runtime.errors import UsageError, listing, unknown
from whyport.runtime.limits import RowLimit
from whyport.runtime.store.path import Place

UNITS: dict[str, int] = {"": 1, "B": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("IB", 1024))
}


def parse_size(option: str, text: str) -> int:
    """Bytes behind a size such as 512MB, 1.5 GiB or 1048576; kB, MB, GB, TB are powers of 1000, KiB, MiB, … of 1024.

    Raises UsageError naming the option for any other text.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().upper(), re.ASCII | re.IGNORECASE)
    if match is None or match[2] not in UNITS:
        raise UsageError(f"{option}: expected a size such as 512MB, 2GB, 256MiB or a number of bytes, got {text!r}")
    return round(float(match[1]) * UNITS[match[2]])


# Rows that are read, scored and explained together. The engines split a batch further and finish together, so few large
# batches keep the cores busier. But progress shows only after each batch, and explaining a batch takes minutes.
PREDICTED_BATCH_ROWS = 32768
EXPLAINED_BATCH_ROWS = 4096
# The most values that are read together: a row of a wide table takes more memory. A power of two, like the others.
BATCH_VALUES = 1 << 23

# Rows of one part of the output. A signal lets the current part finish, and a kill loses it. An explained part takes
# about 3 minutes at 100 rows/s, a predicted one half a minute.
PREDICTED_PART_ROWS = 1 << 20
EXPLAINED_PART_ROWS = 1 << 14

ON_BAD_ROW = ("reject", "impute", "fail")
ON_UNSEEN = ("score", "reject", "fail")
ON_BAD_FILE = ("fail", "skip")
AUTO, WIDE, LIST, TENSOR = "auto", "wide", "list", "tensor"
LAYOUTS = (AUTO, WIDE, LIST, TENSOR)
FOR_METHODS = ("explain_where", "explain_fraction", "top_k", "max_not_converged")
"""The options that mean something only where rows are explained."""


@dataclass(frozen=True)
class JobSettings:
    """The settings of a run: the options of `whyport run`."""

    inputs: tuple[str, ...]
    out: Place
    methods: tuple[str, ...] = ()
    explain_target: str | None = None
    """What `TargetChoice` reads; None for the task's own default."""
    explain_where: str | None = None
    """Explain only rows that meet this condition, as `Condition` reads it."""
    explain_fraction: float | None = None
    """Explain only this share of the rows, drawn by file and row number."""
    layout: str = AUTO
    """The layout of attributions: "wide", a column per feature; "list", one column; "tensor", one a sequence.

    "auto" is "tensor" for a model with sequences, and "wide" for others."""
    per: str = OWN_PER
    """What has a share: in a sequence "cell", "feature" or "step", in a picture "patch", "pixel", "cell", "segment", or
    the fields of a grid, "7x7".

    "auto" is "patch" for a model of pictures, or the grid of its maps where every method gives maps; "token" for one of
    texts, and "cell" for others."""
    segments: str | None = None
    """What cuts pictures into segments, one of SEGMENTERS; None for "grid". The plan puts it into `per`, "slic:50"."""
    segment_count: int | None = None
    """About how many segments a picture is cut into; None for 50."""
    reduction: str = SUM
    """How the shares of its cells become one: "sum", or "abs" for the sum of their magnitudes."""
    top_k: int | None = None
    """Keep only this many attributions per row, the largest by magnitude."""
    keep: tuple[str, ...] = ()
    """Columns to copy: names, or patterns such as "*"; the plan puts names alone in their place."""
    keep_features: bool = False
    """Whether the model's own columns are copied too; the plan puts them into `keep`."""
    reasons: int | None = None
    """Write so many texts of the strongest reasons against the favourable outcome; None for none."""
    reason_texts: Mapping[str, Wording] = field(default_factory=dict)
    """The wording of each feature, for texts of reasons."""
    favourable: str | None = None
    """The favourable class; of a regression "higher" or "lower". None for the second of two classes, or "higher"."""
    reason_method: str | None = None
    """The method whose shares the reasons are; None for the first."""
    on_bad_row: str = "reject"
    on_unseen: str = "score"
    on_bad_file: str = "fail"
    max_rejected: int | str | None = None
    """A count, or a share such as "1%"; by default any number of rows may be rejected."""
    max_unseen: int | str | None = None
    """A count, or a share; by default any number of rows may have values that training has not seen."""
    max_not_converged: int | str | None = None
    """A count, or a share of the explained rows, by method; by default any number of rows may not have converged."""
    variant: str | None = None
    """The name of the bundle's smaller variant that is run; None for the model in full size."""
    device: str = "auto"
    threads: int | None = None
    max_output: int = 20_000_000_000
    """Bytes that the output may take before it is compressed, by an estimate."""
    batch_rows: int | None = None
    """Rows per batch; by default PREDICTED_BATCH_ROWS or, with methods, EXPLAINED_BATCH_ROWS; fewer in wide tables."""
    part_rows: int | None = None
    """Rows per part, in whole batches; by default PREDICTED_PART_ROWS or, with methods, EXPLAINED_PART_ROWS."""
    explain: ExplainSettings = field(default_factory=ExplainSettings)
    new_since: tuple[Place, ...] = ()
    """Folders of jobs: the inputs that their finished ones have scored are passed over."""
    only: tuple[str, ...] | None = None
    """The inputs of the run among those that are found, as `source_file` names them; None for all."""
    require_signature: Path | None = None
    """The file of the public key that must have signed the bundle; it is recorded nowhere."""
    overwrite: bool = False
    take_over: bool = False
    any_arithmetic: bool = False
    """Whether parts of another machine's arithmetic are kept, and recorded, when a run is resumed."""

    def __post_init__(self) -> None:
        for name in ("batch_rows", "part_rows", "top_k", "max_output"):
            value = getattr(self, name)
            if value is not None:
                at_least(name, value, 1)
        if self.on_bad_file not in ON_BAD_FILE:
            raise UsageError(unknown("policy for bad files", self.on_bad_file, ON_BAD_FILE))
        if self.layout not in LAYOUTS:
            raise UsageError(unknown("layout", self.layout, LAYOUTS))
        if not KNOWN.holds(self.per):
            raise UsageError(unknown("kind of share", self.per, (*PER, "HEIGHTxWIDTH")))
        self._check_segments()
        self._check_reasons()
        if self.reduction not in REDUCTIONS:
            raise UsageError(unknown("reduction", self.reduction, REDUCTIONS))
        if self.reduction != SUM and self.per not in (FEATURE, STEP):
            expected = f"expected per {FEATURE!r} or {STEP!r} beside {self.reduction!r}"
            raise UsageError(f"reduction: {expected}, got {self.per!r}")
        if self.explain_fraction is not None and not 0 < self.explain_fraction <= 1:
            raise UsageError(f"explain_fraction: expected above 0 and at most 1, got {self.explain_fraction}")
        for_methods = {name: getattr(self, name) for name in FOR_METHODS} | {
            "players": self.explain.players or None,
            "baseline": self.explain.baseline,
            "per": None if self.per in (OWN_PER, CELL) else self.per,
        }
        for name, value in for_methods.items():
            if value is not None and not self.methods:
                raise UsageError(f"{name}: expected an explanation method beside it, got none")
        declared = method_options()
        for name in self.explain.options:
            owners = declared[name]
            if not owners.keys() & set(self.methods):
                got = listing(self.methods)
                raise UsageError(f"{name}: an option of {listing(owners)}, expected one of them beside it, got {got}")
        for name in ("max_rejected", "max_unseen", "max_not_converged"):
            if getattr(self, name) is not None:
                RowLimit.parse(name, getattr(self, name))
        adding_up = [name for name, method in METHODS.items() if method.adds_up]
        if self.max_not_converged is not None and not set(adding_up) & set(self.methods):
            raise UsageError(
                f"max_not_converged: expected a method whose attributions add up, got {listing(self.methods)}; such "
                f"are {listing(adding_up)}"
            )

    def _check_reasons(self) -> None:
        """Raise UsageError for options of reasons that are without those that they need."""
        if self.reasons is not None and not 1 <= self.reasons <= MOST:
            raise UsageError(f"reasons: expected 1 to {MOST}, got {self.reasons}")
        if self.reasons is not None and not self.reason_texts:
            raise UsageError("reasons: expected the wordings of reasons by reason_texts beside it, got none")
        if self.reasons is not None and not self.methods:
            raise UsageError("reasons: expected an explanation method beside it, got none")
        given = {"reason_texts": self.reason_texts, "favourable": self.favourable, "reason_method": self.reason_method}
        for name, value in given.items():
            if value and self.reasons is None:
                raise UsageError(f"{name}: expected the number of reasons by reasons beside it, got none")

    def _check_segments(self) -> None:
        """Raise UsageError for options of segments that mean nothing, or segments that fit no other option."""
        if self.segments is not None and self.segments not in SEGMENTERS:
            raise UsageError(unknown("way to cut segments", self.segments, SEGMENTERS))
        if self.segment_count is not None and not 1 <= self.segment_count <= MOST_ASKED:
            raise UsageError(f"segment_count: expected 1 to {MOST_ASKED}, got {self.segment_count}")
        for name in ("segments", "segment_count"):
            if getattr(self, name) is not None and self.per != SEGMENT:
                raise UsageError(f"{name}: expected per {SEGMENT!r} beside it, got {self.per!r}")
        if self.per != SEGMENT and segmenter_of(self.per) is None:
            return
        if self.explain.players:
            got = listing(self.explain.players)
            raise UsageError(f"per: expected no players beside {SEGMENT!r}, which each row has of its own, got {got}")
        maps = [name for name in self.methods if name in METHODS and METHODS[name].grid is not None]
        if maps:
            raise UsageError(
                f"per: expected methods that explain pixels beside {SEGMENT!r}, got {listing(maps)}, which give maps: "
                "their own grid is the default"
            )

    def rows_per_batch(self, values: int) -> int:
        """Rows that are read, scored and explained together, for rows of `values` values."""
        if self.batch_rows is not None:
            return self.batch_rows
        most = EXPLAINED_BATCH_ROWS if self.methods else PREDICTED_BATCH_ROWS
        fitting = max(BATCH_VALUES // values, 1)
        return min(most, 1 << (fitting.bit_length() - 1))

    @property
    def rows_of_an_order(self) -> int:
        """Rows that a worker in another process makes parts of before it tells."""
        return EXPLAINED_PART_ROWS if self.methods else PREDICTED_PART_ROWS

    def rows_per_part(self, values: int) -> int:
        """Rows per part of the output, in whole batches, so that no batch depends on where a run was resumed."""
        rows = self.part_rows or (EXPLAINED_PART_ROWS if self.methods else PREDICTED_PART_ROWS)
        batch = self.rows_per_batch(values)
        return -(-rows // batch) * batch
