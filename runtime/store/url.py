"""The addresses of object stores."""

import re

from whyport.runtime.errors import UsageError, listing

SCHEMES = ("s3", "gs", "az", "hdfs", "memory")
"""Amazon's S3 and what speaks like it, Google's, Azure's, Hadoop's, and the memory of this process."""

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

OPTIONS = re.compile(r"\?[\w.-]*=")
"""The options of an address, some of which are secrets. A question mark alone is part of a name, or of a pattern."""


def is_url(text: str) -> bool:
    """Whether a text is an address, of whatever kind."""
    return URL.match(text) is not None


def parse_url(text: str) -> tuple[str, str]:
    """The bucket's address, and the name inside it; raises UsageError for an address of another kind.

    An address has no secrets: these come from the environment.
    """
    found = URL.match(text)
    scheme = found[1] if found else ""
    if scheme not in SCHEMES:
        known = listing(f"{each}://" for each in SCHEMES)
        raise UsageError(f"expected a path, or an address that begins with one of {known}, got the URL {text!r}")
    bucket, _, key = text[len(scheme) + 3 :].partition("/")
    if "@" in bucket or OPTIONS.search(text):
        raise UsageError(
            f"expected an address without credentials or options, got one with some, of {scheme}://: they come from "
            "the environment"
        )
    if not bucket:
        raise UsageError(f"expected {scheme}://BUCKET/NAME, got {text!r}")
    names = key.removesuffix("/").split("/") if key else []
    if any(name in ("", ".", "..") for name in names):
        raise UsageError(f"expected names between single slashes, got {text!r}")
    return f"{scheme}://{bucket}", "/".join(names)
