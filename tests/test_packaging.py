"""One import package, whyport: in the checkout, from an editable install, and from the wheel that the sdist gives."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from support.checkouts import ROOT, build_tools, copy_checkout, make_environment, pip_install

FOLDERS = ("runtime", "exporter", "batch")
DECOY = "raise SystemExit('a decoy was imported')\n"
USER_MODEL = "import torch\n\ndef linear():\n    return torch.nn.Linear(3, 2)\n"
ROWS = "a,b,c\n" + "".join(f"{i % 7},{i % 5},{i % 3}\n" for i in range(40))


def python(*arguments: str | Path, cwd: Path, by: str | Path = sys.executable) -> str:
    return subprocess.run([by, *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tools(tmp_path_factory.mktemp("packaging") / "tools")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("packaging") / "checkout")


@pytest.fixture(scope="session")
def wheel(tools: Path, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from nothing but the sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = os.environ | {"PYTHONPATH": str(tools)}

    def build(kind: str, source: Path) -> Path:
        program = f"import sys; from setuptools import build_meta as b; print(b.build_{kind}(sys.argv[1]))"
        command = [sys.executable, "-c", program, folder]
        done = subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True, text=True)
        return folder / done.stdout.splitlines()[-1]

    with tarfile.open(build("sdist", checkout)) as sdist:
        sdist.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return build("wheel", unpacked)


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with that wheel."""
    made = make_environment(tmp_path_factory.mktemp("installed") / "environment")
    pip_install(made, wheel)
    return made


def test_the_checkout_s_root_is_no_obstacle() -> None:
    program = "import whyport.runtime.batching, whyport; print(whyport.__file__, whyport.runtime.batching.__file__)"
    assert python("-c", program, cwd=ROOT).split() == [
        str(ROOT / "whyport" / "__init__.py"),
        str(ROOT / "runtime" / "batching.py"),
    ]
    collected = python("-m", "pytest", "--collect-only", "-q", "tests/runtime/test_batching.py", cwd=ROOT)
    assert "tests/runtime/test_batching.py::" in collected


def test_the_module_is_the_command(tmp_path: Path) -> None:
    version = python("-m", "whyport", "--version", cwd=tmp_path)
    assert version.startswith("whyport, version ")
    wrong = subprocess.run([sys.executable, "-m", "whyport", "trian"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "Usage: whyport [OPTIONS] COMMAND" in wrong.stderr


@pytest.mark.slow
def test_a_module_added_since_the_editable_install_is_found(tools: Path, tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    made = make_environment(tmp_path / "environment")
    pip_install(made, "--no-build-isolation", "--editable", checkout, path=tools)
    for name in ("whyport/fresh.py", "runtime/fresh.py", "batch/run/fresh.py", "exporter/fresh/__init__.py"):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text("")
    modules = ("whyport.fresh", "whyport.runtime.fresh", "whyport.batch.run.fresh", "whyport.exporter.fresh")
    for folder in (tmp_path, checkout):
        program = f"import {', '.join(modules)}; print(whyport.exporter.fresh.__file__)"
        assert python("-c", program, cwd=folder, by=made).strip() == str(
            checkout / "exporter" / "fresh" / "__init__.py"
        )


@pytest.mark.slow
def test_the_wheel_of_the_sdist_holds_every_module_and_whyport_alone(
    wheel: Path, checkout: Path, installed: Path
) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        f"whyport/{path.relative_to(checkout)}" for f in FOLDERS for path in (checkout / f).rglob("*") if path.is_file()
    }
    sources |= {str(path.relative_to(checkout)) for path in (checkout / "whyport").rglob("*") if path.is_file()}
    assert {"whyport/py.typed", "whyport/__main__.py", "whyport/runtime/bundle/sidecar.py"} <= sources
    assert any(name.endswith(".j2") for name in sources)
    assert {name for name in names if name.startswith("whyport/")} == sources
    assert {name.split("/")[0] for name in names} == {
        "whyport",
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    (packages,) = (installed.parents[1] / "lib").glob("python*/site-packages")
    found = {path.name for path in packages.iterdir()} - {"ours.pth"}
    assert {name for name in found if not name.endswith(".dist-info")} == {"whyport"}


@pytest.mark.slow
def test_a_folder_full_of_decoys_is_no_obstacle(installed: Path, tmp_path: Path) -> None:
    for name in ("whyport", "batch", "runtime", "cli", "commands", "errors", "session", "settings", "table"):
        (tmp_path / f"{name}.py").write_text(DECOY)
    (tmp_path / "exporter.py").write_text(USER_MODEL)
    (tmp_path / "rows.csv").write_text(ROWS)
    command = installed.parent / "whyport"
    options = ["--sample", "rows.csv", "--classes", "no,yes", "--explain-references", "0", "--out", "bundle"]
    python("export", "exporter:linear", *options, cwd=tmp_path, by=command)
    assert "files match their digests" in python("verify", "bundle", cwd=tmp_path, by=command)
    assert python("predict", "bundle", "rows.csv", cwd=tmp_path, by=command).count("\n") == 41
    program = "import pyarrow.csv as c, pyarrow.parquet as p; p.write_table(c.read_csv('rows.csv'), 'rows.parquet')"
    python("-P", "-c", program, cwd=tmp_path, by=installed)
    arguments = ["run", "bundle", "rows.parquet", "--explain", "gradient", "--out", "scored"]
    assert "40 in = 40 out + 0 rejected" in python(*arguments, cwd=tmp_path, by=command)
    # Python itself takes a module of the working folder for `-m`, so that this decoy alone has to go.
    (tmp_path / "whyport.py").unlink()
    assert "files match their digests" in python("-m", "whyport", "verify", "bundle", cwd=tmp_path, by=installed)


USER_FILE = """
from pathlib import Path

from whyport import Bundle, DataError, Session, audit, predict, report, run, show, train

bundle: Bundle = train("table.csv", "label", Path("bundle"), set={"channels": 8})
names: tuple[str, ...] = Session(bundle).explain([{"a": 1.0}]).feature_names
try:
    rows: int = run(bundle, ["a.parquet", Path("b")], "out", keep="id", progress=lambda done, total: None).rows_out
except DataError as error:
    code: int = error.exit_code
lines: list[str] = [*audit("out"), *show("out", 3)]
pages: list[Path] = report("out", row=[1, 2])
predict("bundle", "rows.csv", keep=("id",))
"""
MISTAKES = """
run(bundle, "a.parquet", "out", keep=3)
run(bundle, "a.parquet", "out", kep=["id"])
text: str = Session(bundle).bundle.digest + 1
"""


@pytest.mark.slow
def test_mypy_sees_the_types_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER_FILE)
    (tmp_path / "mistaken.py").write_text(USER_FILE + MISTAKES)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed, "user.py", "mistaken.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    first = USER_FILE.count("\n") + 2
    assert sorted({line.split(": ")[0] for line in done.stdout.splitlines() if ": error: " in line}) == [
        f"mistaken.py:{number}" for number in range(first, first + 3)
    ], done.stdout + done.stderr


@pytest.mark.slow
def test_the_check_finds_a_type_error_in_a_folder(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    for folder in FOLDERS:
        with (checkout / folder / "__init__.py").open("a") as file:
            file.write('\nplanted: int = "text"\n')
    environment = os.environ | {"ENVIRONMENT": str(Path(sys.executable).parents[1])}
    done = subprocess.run([checkout / "scripts" / "check"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == len(FOLDERS), done.stdout + done.stderr
    for folder, line in zip(sorted(FOLDERS), sorted(errors), strict=True):
        assert f"{folder}/__init__.py" in line
        assert "Incompatible types in assignment" in line
