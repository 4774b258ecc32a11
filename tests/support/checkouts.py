"""Copies of the repository, and environments that whyport is installed into without anything being downloaded twice."""

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copy_checkout(to: Path) -> Path:
    """What is built and checked, as it is now: the packages, the scripts, and the files beside them."""
    for folder in ("whyport", "runtime", "exporter", "batch", "scripts"):
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy2(path, to)
    return to


def build_tools(to: Path) -> Path:
    """A folder with the setuptools that constraints.txt pins, for PYTHONPATH."""
    (pinned,) = re.findall(r"^setuptools==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", to, pinned], check=True)
    return to


def make_environment(to: Path) -> Path:
    """An environment that sees the packages of this one, but not this one's whyport; returns its Python."""
    venv.create(to, with_pip=False, symlinks=True)
    (packages,) = (to / "lib").glob("python*/site-packages")
    ours = [path for path in sys.path if Path(path).name == "site-packages"]
    # What a .pth file adds is searched, but its own .pth files, the editable whyport's among them, are not read.
    (packages / "ours.pth").write_text("\n".join(ours) + "\n")
    return to / "bin" / "python"


def pip_install(python: Path, *arguments: str | Path, path: Path | None = None) -> None:
    """Install into an environment that has no pip of its own; `path` is searched by what builds."""
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    environment = None if path is None else {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(path)}
    subprocess.run([*command, *arguments], check=True, env=environment)
