"""Sequences: descriptions of their columns, and inputs made of them."""

from collections.abc import Sequence

from whyport.runtime.bundle.columns import LIST, REFUSE, Channel, Column, NumberStatistics
from whyport.runtime.bundle.inputs import Axis, Input, SequencePreparation
from whyport.runtime.bundle.signature import TensorSpec

STATISTICS = NumberStatistics(-100.0, 100.0, 0.0, 10.0, 0.0, (0.0,), (0.5, 0.5))


def list_column(name: str, features: Sequence[str] = ()) -> Column:
    """A column of lists of numbers, or of steps of several features."""
    return Column(
        name=name,
        kind=LIST,
        unit=None,
        missing=REFUSE,
        imputation=None,
        missing_fraction=0.0,
        numbers=None if features else STATISTICS,
        categories=None,
        channels=tuple(Channel(feature, STATISTICS) for feature in features),
    )


def sequence_input(name: str, steps: int, columns: tuple[Column, ...]) -> Input:
    """A sequence of fixed length."""
    labels = tuple(channel.name for column in columns for channel in column.channels) or tuple(c.name for c in columns)
    return Input(
        name=name,
        columns=columns,
        prepare=SequencePreparation("sequence", steps, (), standardised=False),
        tensors=(TensorSpec(name, "float32", ("N", steps, len(labels))),),
        axes=(Axis("time", steps, None), Axis("feature", len(labels), labels)),
    )
