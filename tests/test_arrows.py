"""Imports run one way: exporter -> runtime <- batch."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "runtime": {"torch", "exporter", "batch"},
    "exporter": {"batch"},
    "batch": {"exporter"},
}


def imports(source: str) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_import_runs_back(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert not imports(path.read_text()) & FORBIDDEN[package], path


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import os.path\ndef f():\n    from torch.nn import functional\n    import whyport.batch.run.job as j"
    assert imports(source) == {"os", "torch", "batch"}
