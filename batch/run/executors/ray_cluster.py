"""A connection to a Ray cluster: one that is there, or one of this machine's own, that nobody else can reach."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from whyport.batch.run.executors.signals import signals_kept
from whyport.runtime.errors import JobError

OWN = {
    # Ray's name for "this machine alone": its processes then listen at 127.0.0.1 only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""The environment of a cluster of this machine's own; read when Ray is imported."""

MOST = 300
"""The length of what is shown of an error of Ray's, which runs over lines."""


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Stay connected to a cluster inside the context; a connection that the process has already is used, and kept.

    Args:
        address: "ray://host:10001"; None for RAY_ADDRESS, or else a cluster that is started here and ends with the
            context.

    Raises:
        JobError: there is no such cluster, or it has other versions.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    if address is None:
        for name, value in OWN.items():
            os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with signals_kept():
            if address is None:
                ray.init("local", include_dashboard=False, **quiet)
            else:
                ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        expected = "a Ray cluster that can be started here" if address is None else f"a Ray cluster at {address!r}"
        raise JobError(f"expected {expected}, got {' '.join(str(error).split())[:MOST]}") from None
    try:
        yield
    finally:
        ray.shutdown()
