"""The extras that a missing package is said to be in."""

import re
import tomllib
from pathlib import Path

import pytest

from whyport.runtime.errors import MissingPackageError
from whyport.runtime.extras import EXTRAS, missing_package, needs

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
DISTRIBUTION = {"skimage": "scikit-image", "PIL": "pillow", "sklearn": "scikit-learn"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_packages_of_an_extra_are_those_that_the_project_declares(extra: str) -> None:
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"][extra]
    names = {re.split(r"[<>=\[]", requirement)[0] for requirement in declared}
    assert {DISTRIBUTION.get(package, package) for package in EXTRAS[extra]} == names


@pytest.mark.parametrize(
    ("extras", "package", "said"),
    [
        ((), "torch", "explain"),
        (("export",), "torch", "export"),
        (("batch", "report"), "matplotlib.figure", "report"),
        (("batch", "explain"), "pyarrow", "batch"),
        (("report",), "onnx", "export"),
        (("batch", "trees", "explain"), "numba", "trees"),
        ((), "xgboost", "xgboost"),
        (("lightgbm",), "onnxmltools.convert", "lightgbm"),
    ],
)
def test_a_missing_package_is_said_with_the_first_extra_that_brings_it(
    extras: tuple[str, ...], package: str, said: str
) -> None:
    @needs(*extras)
    def function() -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    with pytest.raises(MissingPackageError) as caught:
        function()
    assert str(caught.value) == f"this needs the package {package!r}: pip install 'whyport[{said}]'"


@pytest.mark.parametrize("name", ["a_module_that_no_extra_brings", None])
def test_a_defect_is_not_taken_for_a_missing_extra(name: str | None) -> None:
    error = ModuleNotFoundError(name=name)

    @needs("batch")
    def function() -> None:
        raise error

    with pytest.raises(ModuleNotFoundError) as caught:
        function()
    assert caught.value is error
    assert missing_package(error) is None
