"""Explainers by length: made once for each, and the ones that are there are used first."""

from typing import Any

import numpy as np

from whyport.batch.methods.baselines import ChosenBaseline
from whyport.batch.methods.request import Request
from whyport.batch.scoring.lengths import CELL_BYTES, ExplainersOfLengths
from whyport.runtime.bundle.lengths import Length
from whyport.runtime.bundle.references import References

STEPS = 20
LENGTHS = (Length("x", place=STEPS, start=0, steps=STEPS, width=1, buckets=(STEPS,), is_masked=True),)
BASELINE = ChosenBaseline(
    "rows", 0.0, (), References(np.ones((3, STEPS + 1), dtype=np.float32) * STEPS, np.full(3, 1 / 3))
)


def request(*steps: int) -> Request:
    rows = np.zeros((len(steps), STEPS + 1), dtype=np.float32)
    rows[:, -1] = steps
    return Request.of_targets(rows, np.zeros((len(rows), 2), np.float32), np.zeros((len(rows), 1), np.int64))


def made_by(memory: int) -> tuple[ExplainersOfLengths, list[int]]:
    """The explainers, and the lengths of references that they were made with, in order."""
    made: list[int] = []

    def make(references: References, labels: object) -> dict[str, Any]:
        made.append(int(references.rows[0, -1]))
        return {}

    return ExplainersOfLengths(LENGTHS, BASELINE, make, memory), made


def test_each_length_is_made_once_where_memory_holds_them_all() -> None:
    explainers, made = made_by(memory=1 << 30)
    every = request(*range(1, STEPS + 1))
    for _ in range(3):
        parts = list(explainers.split(every))
        assert sorted(np.concatenate([places for _, _, places in parts])) == list(range(STEPS))
    assert made == list(range(1, STEPS + 1))


def test_where_memory_holds_few_those_that_are_there_come_first() -> None:
    explainers, made = made_by(memory=5 * CELL_BYTES * BASELINE.background.rows.size)
    every = request(*range(1, STEPS + 1))
    list(explainers.split(every))
    del made[:]
    list(explainers.split(every))
    assert len(made) == STEPS - 5


def test_references_are_cut_to_the_length() -> None:
    cut: list[References] = []
    explainers = ExplainersOfLengths(LENGTHS, BASELINE, lambda references, _: cut.append(references) or {}, 1 << 30)
    list(explainers.split(request(7)))
    assert (cut[0].rows[:, :7] == STEPS).all()
    assert (cut[0].rows[:, 7:-1] == 0).all()
    assert (cut[0].rows[:, -1] == 7).all()
