"""Fixtures that every package's tests share."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from runtime.cli import main

# The threads of one small operator wait for each other longer than they work.
torch.set_num_threads(1)


class Whyport:
    """The command line, run in this process."""

    def __call__(self, *arguments: object, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        return result


@pytest.fixture(scope="session")
def whyport() -> Whyport:
    return Whyport()


@pytest.fixture(scope="session")
def reference_bundle() -> Path:
    """The bundle that is committed with the project."""
    return Path(__file__).parents[1] / "models" / "breast_cancer"
