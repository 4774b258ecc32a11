"""Amounts of memory as people write them."""

import re

from runtime.errors import UsageError

UNITS: dict[str, int] = {"": 1, "B": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("IB", 1024))
}


def parse_size(option: str, text: str) -> int:
    """Bytes behind a size such as 512MB, 1.5 GiB or 1048576; kB, MB, GB, TB are powers of 1000, KiB, MiB, … of 1024.

    Raises UsageError, naming the option, where the text is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().upper(), re.ASCII | re.IGNORECASE)
    if match is None or match[2] not in UNITS:
        raise UsageError(f"{option}: expected a size such as 512MB, 2GB, 256MiB or a number of bytes, got {text!r}")
    return round(float(match[1]) * UNITS[match[2]])
