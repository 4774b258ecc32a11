"""Feature and class names as figures can show them."""

LONGEST = 30
ELLIPSIS = "…"


def shorten(name: str, longest: int = LONGEST) -> str:
    """The name, with its middle left out where it is longer than that: its ends tell it from its neighbours."""
    name = " ".join(name.split())
    if len(name) <= longest:
        return name
    head = (longest - 1 + 1) // 2
    return name[:head] + ELLIPSIS + name[len(name) - (longest - 1 - head) :]


def plain(name: str) -> str:
    """The text so that matplotlib reads no mathematics in it."""
    return name.replace("$", r"\$")


def number(value: float) -> str:
    """A value in few characters."""
    return "missing" if value != value else f"{value:.4g}"
