"""What a smaller variant of a graph costs and saves, in words."""

from collections.abc import Mapping


def in_words(figures: Mapping[str, float]) -> str:
    """The size, the time, changed predictions and the drift of reasons, as far as they are known."""
    parts: list[str] = []
    if figures.get("bytes") and "full_bytes" in figures:
        parts.append(f"{figures['bytes']:,.0f} bytes, {figures['full_bytes'] / figures['bytes']:.1f} x smaller")
    for rows, calls in ((1, ""), (64, " in calls of 64")):
        own, full = figures.get(f"milliseconds_{rows}"), figures.get(f"full_milliseconds_{rows}")
        if own and full is not None:
            parts.append(f"{own:.3g} ms a row{calls}, {full / own:.2g} x as fast")
    if "changed" in figures and "rows" in figures:
        parts.append(f"{100 * figures['changed']:.2g} % of {figures['rows']:.0f} predictions changed")
    for name, reasons in (("drift", "reasons"), ("occlusion_drift", "reasons by occlusion")):
        if name in figures:
            parts.append(f"{reasons} drift by {100 * figures[name]:.2g} %")
    return ", ".join(parts) or "not measured"
