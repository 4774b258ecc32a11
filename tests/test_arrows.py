"""Imports run one way: exporter -> runtime <- batch; inside batch, from what knows of a run to what does not."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("runtime", "exporter", "batch")

FORBIDDEN = {
    "runtime": {"torch", "whyport.exporter", "whyport.batch", "whyport.cli"},
    "exporter": {"whyport.batch", "whyport.cli"},
    "batch": {"whyport.exporter", "whyport.cli"},
    # The rooms of batch.
    "batch/source": {f"whyport.batch.{room}" for room in ("scoring", "run", "review", "report")},
    "batch/methods": {f"whyport.batch.{room}" for room in ("scoring", "run", "review", "report")},
    "batch/output": {f"whyport.batch.{room}" for room in ("scoring", "run", "review", "report")},
    "batch/store": {f"whyport.batch.{room}" for room in ("scoring", "run", "review", "report")},
    "batch/scoring": {f"whyport.batch.{room}" for room in ("run", "review", "report")},
    "batch/run": {f"whyport.batch.{room}" for room in ("review", "report")},
    "batch/review": {f"whyport.batch.{room}" for room in ("run", "report", "groups", "faithfulness")},
    "batch/groups": {f"whyport.batch.{room}" for room in ("run", "report", "faithfulness")},
    "batch/faithfulness": {f"whyport.batch.{room}" for room in ("run", "report", "groups")},
    "batch/report": {"whyport.batch.run"},
}

# A module, or module:attribute; keys such as whyport.totals name neither.
NAME = re.compile(rf"whyport\.(?:{'|'.join(FOLDERS)}|cli)(?:\.\w+)*(?::\w+)?")


def imports(source: str, package: str = "") -> set[str]:
    """The names that a module of this package imports, anywhere in it, with those that it imports from."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parts, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def named(source: str) -> set[str]:
    """The modules and attributes of ours that a module names in its strings, to import them on use."""
    texts = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and NAME.fullmatch(text)}


def against(names: set[str], forbidden: set[str]) -> set[str]:
    """The names that lie in a forbidden package."""
    return {name for name in names for wall in forbidden if f"{name.replace(':', '.')}.".startswith(f"{wall}.")}


def modules(folder: str) -> Iterator[tuple[Path, str]]:
    """The modules of a folder, with the package that each is in."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        package = ".".join(path.relative_to(ROOT).parent.parts)
        yield path, package if folder == "whyport" else f"whyport.{package}"


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_nothing_runs_against_the_arrow(folder: str) -> None:
    found = 0
    for path, package in modules(folder):
        source = path.read_text(encoding="utf-8")
        assert not against(imports(source, package) | named(source), FORBIDDEN[folder]), path
        found += 1
    assert found > 1


def defined(path: Path) -> set[str]:
    """The names that a module has: what it defines, assigns or imports."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def test_every_name_in_a_string_is_there() -> None:
    found = set()
    for folder in ("whyport", *FOLDERS):
        for path, _ in modules(folder):
            for name in named(path.read_text(encoding="utf-8")):
                module, colon, attribute = name.partition(":")
                spec = find_spec(module)
                assert spec is not None, (path, name)
                # By its text: what it imports may be an extra that is not here.
                assert not colon or attribute in defined(Path(str(spec.origin))), (path, name)
                found.add(name)
    assert {name.split(":")[0] for name in found} >= {
        "whyport.batch.run.run",
        "whyport.batch.report",
        "whyport.exporter.commands",
        "whyport.exporter.train.architectures.mlp",
    }
    assert any(name.startswith("whyport.batch.methods.deepshap") for name in found)


def test_every_folder_of_templates_is_there() -> None:
    found = 0
    for folder in FOLDERS:
        for path, _ in modules(folder):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "PackageLoader":
                    package, templates = (ast.literal_eval(argument) for argument in node.args)
                    assert list((ROOT.joinpath(*package.split(".")[1:]) / templates).glob("*.j2")), path
                    found += 1
    assert found


def test_every_module_in_pyproject_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tomllib.loads(text)
    names = {name for name in re.findall(r'"([^"\n]*)"', text) if NAME.fullmatch(name)}
    assert "whyport.cli:main" in names
    for name in names:
        assert find_spec(name.partition(":")[0]) is not None, name


def test_imports_are_found_wherever_they_are() -> None:
    source = (
        "import os.path\ndef f():\n    from torch.nn import functional\n    import whyport.batch.run.job as j\n"
        "    from whyport import exporter\n    from .. import review\n    from .part import Part\n"
    )
    found = imports(source, "whyport.batch.run")
    assert found >= {"os.path", "torch.nn", "whyport.batch.run.job", "whyport.exporter"}
    assert found >= {"whyport.batch.review", "whyport.batch.run.part.Part"}
    assert against(found, {"torch"}) == {"torch.nn", "torch.nn.functional"}
    assert against(found, {"whyport.batch.review"}) == {"whyport.batch.review"}
    assert not against(found, {"whyport.batch.runner", "whyport.export"})


def test_names_in_strings_are_found_and_keys_are_not() -> None:
    source = (
        "A = {'x': 'whyport.batch.run.job:Job'}\nB = 'whyport.totals'\n'See whyport.batch.run.'\nf('whyport.exporter')"
    )
    assert named(source) == {"whyport.batch.run.job:Job", "whyport.exporter"}
    assert against(named(source), {"whyport.batch.run"}) == {"whyport.batch.run.job:Job"}
