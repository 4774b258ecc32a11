"""A Spark session: the caller's, that of spark-submit, or one that is started here."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from whyport.batch.run.executors.signals import signals_kept
from whyport.runtime.errors import JobError, UsageError

SUBMITTED = "PYSPARK_GATEWAY_PORT"
"""The variable by which spark-submit's own process is found."""
HERE = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
"""The settings of a session that only this machine can reach."""


@contextmanager
def session_at(address: str | None, given: Any) -> Iterator[SparkSession]:
    """A session inside the context; one that was there before stays.

    Args:
        address: "spark://host:7077"; None for the active session, spark-submit's, or else one of this machine's cores.
        given: the caller's own session, if there is one.

    Raises:
        UsageError: the session is a client of Spark Connect, which gives out no work of this kind.
        JobError: there is no session to be had.
    """
    found = given or SparkSession.getActiveSession()
    if found is not None:
        yield _with_context(found)
        return
    builder = SparkSession.builder.appName("whyport").config("spark.ui.showConsoleProgress", "false")
    if address is not None:
        builder = builder.master(address)
    elif SUBMITTED not in os.environ:
        builder = builder.master("local[*]").config(map=HERE)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    logging.getLogger("py4j").setLevel(logging.WARNING)  # it tells of each connection
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        with signals_kept():
            started = _with_context(builder.getOrCreate())
    except (PySparkException, RuntimeError, OSError) as error:
        where = "that can be started here" if address is None else f"at {address!r}"
        raise JobError(f"expected a Spark session {where}, got {' '.join(str(error).split())[:300]}") from None
    try:
        yield started
    finally:
        started.stop()


def _with_context(session: Any) -> Any:
    try:
        _ = session.sparkContext
    except PySparkException:
        raise UsageError(
            "on: expected a session of the cluster itself, got a client of Spark Connect, which can have no parts made"
        ) from None
    return session
