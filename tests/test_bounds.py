"""The versions that pyproject.toml allows: the tested ones are among them, and the lowest are tested."""

import json
import re
import tomllib

import pytest
from packaging.requirements import Requirement

from support.checkouts import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
ENGINES = ("ray", "spark")
"""The extras that have an environment of their own: scripts/engines."""
OTHER = {"pandas"}
"""The packages of which that environment has another version: Spark warns of pandas 3."""
LOWEST = json.loads((ROOT / "benchmarks" / "results" / "lower_bounds.json").read_text(encoding="utf-8"))
REQUIREMENTS = sorted({*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)})


def canonical(name: str) -> str:
    return name.lower().replace("_", "-")


def pinned(file: str) -> dict[str, str]:
    """The versions in a file of constraints, by package."""
    found = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    return {canonical(name): version for name, version in found}


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_the_exact_version_of_constraints_is_allowed(requirement: str) -> None:
    wanted = Requirement(requirement)
    own = any(requirement in EXTRAS[extra] for extra in ENGINES)
    versions = pinned("constraints-engines.txt" if own else "constraints.txt")
    assert wanted.specifier.contains(versions[canonical(wanted.name)])


def test_both_environments_have_the_same_versions_of_what_both_have() -> None:
    one, other = pinned("constraints.txt"), pinned("constraints-engines.txt")
    assert {name for name in one.keys() & other.keys() if one[name] != other[name]} == OTHER


@pytest.mark.parametrize("extra", LOWEST)
def test_the_lowest_versions_of_a_framework_are_those_that_were_tested(extra: str) -> None:
    """A bound that is changed is tested again by scripts/test-lower-bounds."""
    assert LOWEST[extra]["versions"] == [re.sub(r">=([\w.]+),.*", r"==\1", each) for each in EXTRAS[extra]]
    assert set(LOWEST[extra]) == {"versions", "passed"}
