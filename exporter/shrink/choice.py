"""What a user asks of smaller variants."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from whyport.runtime.bundle.sidecar import PRECISIONS
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.limits import RowLimit
from whyport.runtime.options import as_names

MAX_CHANGED, MAX_DRIFT = "0.5%", "10%"


@dataclass(frozen=True)
class VariantChoice:
    """The smaller variants to make, and what they may cost."""

    names: tuple[str, ...]
    max_changed: RowLimit
    """The most held-out rows whose prediction may change."""
    max_drift: float
    """The share by which attributions may move; a graph of reasons that moves more is left out."""
    keep_slower: bool = False
    """Whether graphs that are slower, or not smaller, are kept."""
    all_or_none: bool = True
    """Whether a variant that changes too much stops the others, too."""

    @classmethod
    def parse(
        cls,
        variants: str | Iterable[str],
        max_changed: int | str = MAX_CHANGED,
        max_drift: int | str = MAX_DRIFT,
        *,
        keep_slower: bool = False,
    ) -> Self:
        """The choice behind the options; all variants are tried where none is named. Raises UsageError for others."""
        names = as_names(variants)
        for name in names:
            if name not in PRECISIONS:
                raise UsageError(f"variants: {unknown('variant', name, PRECISIONS)}")
        drift = RowLimit.parse("max_drift", max_drift).share
        if drift is None:
            raise UsageError(f"max_drift: expected a share such as {MAX_DRIFT}, got {str(max_drift)!r}")
        changed = RowLimit.parse("max_changed", max_changed)
        return cls(names or PRECISIONS, changed, float(drift), keep_slower, all_or_none=bool(names))
