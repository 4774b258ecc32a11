"""What lint and types leave unseen in a module: a name that is bound twice, an import that is no longer there."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [
    path for folder in ("whyport", "runtime", "exporter", "batch") for path in sorted((ROOT / folder).rglob("*.py"))
]
# Run now and then, and not type-checked.
PROGRAMS = [*sorted((ROOT / "benchmarks").glob("*.py")), *sorted((ROOT / "scripts").glob("*.py"))]
PROGRAMS += [path for path in sorted((ROOT / "scripts").glob("make-*")) if "python" in path.read_text().split("\n")[0]]
PROGRAMS += [ROOT / "scripts" / "compare-checkouts"]


def bound(source: str) -> list[str]:
    """The names that a module binds at its top level, each as often as it is bound; `_` and overloads aside."""
    names: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            names += [
                part.id
                for target in node.targets
                for part in ast.walk(target)
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
            ]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
    return [name for name in names if name != "_"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_of_a_module_is_bound_twice(path: Path) -> None:
    names = bound(path.read_text(encoding="utf-8"))
    assert sorted(set(names)) == sorted(names)


def test_a_name_that_is_bound_twice_is_found() -> None:
    source = "A = 1\nB: int = 2\n_ = 1\n_ = 2\ndef f(): pass\nclass C:\n    A = 3\nA, D = 4, 5\nX.y = 1\n"
    assert bound(source) == ["A", "B", "f", "C", "A", "D"]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_every_name_that_a_program_imports_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("whyport"):
            module = import_module(str(node.module))
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_module = hasattr(module, "__path__") and find_spec(name) is not None
                assert is_module or hasattr(module, alias.name), f"{path.name} imports {name}"
