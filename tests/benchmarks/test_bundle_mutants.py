"""Two hundred damaged bundles: each is answered or refused by one of whyport's own errors, and nothing else."""

import time
import warnings
from collections import Counter
from pathlib import Path

import pytest

from bundle_damage import KINDS, make_mutant
from bundle_mutants import MOST_SECONDS, attack

MUTANTS = 200


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=list(KINDS))
def test_every_mutant_is_answered_or_refused(kind: int, tmp_path: Path) -> None:
    ends: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages, about damaged content
        for number in range(kind, MUTANTS, len(KINDS)):
            (tmp_path / str(number)).mkdir()
            outcome = attack(number, tmp_path / str(number))
            assert outcome.seconds < MOST_SECONDS
            assert "\n" not in outcome.message
            ends[outcome.end] += 1
    assert sum(ends.values()) == MUTANTS // len(KINDS)
    assert ends["answered"] < sum(ends.values()), ends


def test_a_number_always_gives_the_same_mutant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(len(KINDS)):
        kinds = []
        for attempt in range(2):
            day = time.gmtime(86_400 * (20_000 + attempt))
            monkeypatch.setattr(time, "localtime", lambda *_, day=day: day)
            kinds.append(make_mutant(number, tmp_path / f"{attempt} {number}"))
        assert kinds[0] == kinds[1]
        first, second = (
            {path.name: path.read_bytes() for path in (tmp_path / f"{attempt} {number}").rglob("*") if path.is_file()}
            for attempt in range(2)
        )
        assert first == second
