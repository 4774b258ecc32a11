"""What became of each graph of a variant: kept or not, why, and with which figures."""

from dataclasses import dataclass

from whyport.exporter.shrink.choice import VariantChoice
from whyport.exporter.shrink.measure import Cost
from whyport.runtime.bundle.sidecar import Sidecar, precision_of
from whyport.runtime.variant_figures import in_words

KEPT, LEFT_OUT, REFUSED = "kept", "left out", "refused"

SMALLER, SLOWER = 0.9, 1.1
"""The part of its size that a graph may have to count as smaller, and of its time to count as slower."""


@dataclass(frozen=True)
class Outcome:
    """What became of a graph."""

    precision: str
    file: str
    end: str
    """KEPT, LEFT_OUT as of no use, or REFUSED as beyond what is allowed."""
    reason: str
    """Why it is not kept; empty where it is."""
    figures: dict[str, float]
    """Measurements, as the sidecar has them; as far as they were taken."""

    @property
    def is_kept(self) -> bool:
        """Whether the bundle has the graph."""
        return self.end == KEPT

    def line(self) -> str:
        """The outcome in words."""
        end = self.end if self.is_kept else f"{self.end}: {self.reason}"
        return f"{self.file}: {end}" + (f", {in_words(self.figures)}" if self.figures else "")


def lines_of(sidecar: Sidecar) -> list[str]:
    """The graphs of a bundle's variants in words, as outcomes."""
    small = ((precision_of(graph.variant), graph) for graph in sidecar.graphs)
    return [Outcome(name, graph.file, KEPT, "", graph.figures).line() for name, graph in small if name is not None]


def judged(cost: Cost, figures: dict[str, float], choice: VariantChoice) -> tuple[str, str]:
    """What becomes of a graph, and why where it is not kept.

    Args:
        cost: what it costs in accuracy and in reasons.
        figures: all of its measurements.
        choice: what it may cost.
    """
    worst = max(cost.deviations.values(), default=0.0)
    if not worst <= 1:
        return REFUSED, f"it deviates by {worst:.2g}, more than any tolerance allows"
    if "changed" in figures:
        rows = round(figures["rows"])
        changed = round(figures["changed"] * rows)
        if choice.max_changed.is_exceeded(changed, rows):
            return REFUSED, f"{changed} of {rows} predictions changed"
    if figures.get("drift", 0.0) > choice.max_drift:
        return REFUSED, "attributions drift more than is allowed"
    if choice.keep_slower:
        return KEPT, ""
    if figures["bytes"] > SMALLER * figures["full_bytes"]:
        return LEFT_OUT, "not smaller"
    if figures.get("milliseconds_1", 0.0) > SLOWER * figures.get("full_milliseconds_1", 0.0):
        return LEFT_OUT, "slower"
    return KEPT, ""
