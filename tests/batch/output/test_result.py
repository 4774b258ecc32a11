"""The figures of a run."""

import subprocess
import sys

from whyport.batch.output.result import peak_memory

# A process that holds 600 MB starts another one.
PARENT = """
import subprocess, sys
held = b"x" * 600_000_000
child = "from whyport.batch.output.result import peak_memory; print(peak_memory())"
print(subprocess.run([sys.executable, "-c", child], check=True, stdout=subprocess.PIPE, text=True).stdout)
"""


def test_the_peak_is_that_of_this_process_alone() -> None:
    command = [sys.executable, "-c", PARENT]
    child = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    assert 10_000_000 < child < 600_000_000


def test_the_peak_stays_when_memory_is_given_back() -> None:
    before = peak_memory()
    held = b"x" * 2 * before
    after = peak_memory()
    assert after >= len(held)
    del held
    assert peak_memory() > 0.9 * after  # the kernel counts some pages later
