"""Executors, which make the parts of a run: one file and one line of the table each, imported on use."""

from importlib import import_module
from typing import TYPE_CHECKING

from whyport.batch.run.executors.where import LOCAL, RAY, SPARK
from whyport.runtime.errors import UsageError, unknown

if TYPE_CHECKING:
    from whyport.batch.run.executors.executor import Executor

EXECUTORS = {
    LOCAL: "whyport.batch.run.executors.local:Local",
    RAY: "whyport.batch.run.executors.ray:OnRay",
    SPARK: "whyport.batch.run.executors.spark:OnSpark",
}


def find_executor(name: str) -> "type[Executor]":
    """The class of an executor; raises UsageError for an unknown name."""
    if name not in EXECUTORS:
        raise UsageError(unknown("executor", name, EXECUTORS))
    module, attribute = EXECUTORS[name].split(":")
    found: type[Executor] = getattr(import_module(module), attribute)
    return found
