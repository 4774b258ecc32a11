"""What drift is told of: a feature over all steps of its lists, or a column of numbers a step."""

import dataclasses
from pathlib import Path

import numpy as np

from support.columns import STATISTICS, number_column
from support.sequences import list_column, sequence_input
from whyport.batch.report.gather.by_feature import DescribedFeatures
from whyport.batch.report.gather.drift import input_counts, input_drift
from whyport.runtime.bundle.bins import as_float32
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import Axis
from whyport.runtime.bundle.sidecar import Sidecar


def sidecar_of(bundle: Path, *columns: Column, steps: int, labels: tuple[str, ...]) -> Sidecar:
    given = sequence_input("vitals", steps, columns)
    axes = (Axis("time", steps, None), Axis("feature", len(labels), labels))
    return dataclasses.replace(Bundle.read(bundle).sidecar, inputs=(dataclasses.replace(given, axes=axes),))


def test_the_values_of_lists_are_compared_over_all_steps(sequence_bundle: Path) -> None:
    sidecar = sidecar_of(sequence_bundle, list_column("vitals", ("hr", "bp")), steps=3, labels=("hr", "bp"))
    described = DescribedFeatures.of(sidecar)
    assert [column.name for column in described.columns] == ["hr", "bp"]
    assert described.places == ((0, 2, 4), (1, 3, 5))

    counts = input_counts(described.columns, described.places)
    rows = as_float32(np.array([[-1, 1, 1, 1, -1, np.nan], [-1, 1, 1, 1, 1, 1]]))
    counts.add(rows)
    assert counts.counts.tolist() == [[3, 3], [0, 5]]
    assert counts.missing.tolist() == [0, 1]
    drift = {each.name: each for each in input_drift(described.columns, counts).features}
    assert drift["hr"].index == 0
    assert drift["bp"].missing_after == 1 / 6


def test_columns_of_a_step_have_records_of_their_own(sequence_bundle: Path) -> None:
    records = [dataclasses.replace(STATISTICS, mean=float(i)) for i in range(3)]
    columns = [number_column(f"hr_{i}", statistics=record) for i, record in enumerate(records)]
    described = DescribedFeatures.of(sidecar_of(sequence_bundle, *columns, steps=3, labels=("hr",)))
    assert [column.name for column in described.columns] == ["hr_0", "hr_1", "hr_2"]
    assert described.places == ((0,), (1,), (2,))
    assert [column.statistics for column in described.columns] == records
