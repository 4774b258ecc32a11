"""What a smaller variant of a graph costs and saves, in words."""

from collections.abc import Mapping


def in_words(figures: Mapping[str, float]) -> str:
    """The size, the time, changed predictions and the drift of reasons, as far as they are known."""
    parts: list[str] = []
    if figures.get("bytes") and "full_bytes" in figures:
        parts.append(f"{figures['bytes']:,.0f} bytes, {figures['full_bytes'] / figures['bytes']:.1f} x smaller")
    if figures.get("milliseconds_1") and "full_milliseconds_1" in figures:
        ratio = figures["full_milliseconds_1"] / figures["milliseconds_1"]
        parts.append(f"{figures['milliseconds_1']:.3g} ms a row, {ratio:.2g} x as fast")
    if "changed" in figures and "rows" in figures:
        parts.append(f"{100 * figures['changed']:.2g} % of {figures['rows']:.0f} predictions changed")
    drift = figures.get("drift", figures.get("occlusion_drift"))
    if drift is not None:
        parts.append(f"reasons drift by {100 * drift:.2g} %")
    return ", ".join(parts) or "not measured"
