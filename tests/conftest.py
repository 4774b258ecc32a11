"""Fixtures that every package's tests share."""

from pathlib import Path

import pytest
import torch

from support.command import Whyport

# The threads of one small operator wait for each other longer than they work.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def whyport() -> Whyport:
    return Whyport()


@pytest.fixture(scope="session")
def reference_bundle() -> Path:
    """The bundle that is committed with the project."""
    return Path(__file__).parents[1] / "models" / "breast_cancer"
