import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from support.command import Whyport
from whyport.cli import COMMANDS, main
from whyport.runtime.errors import DataError, UsageError


@pytest.mark.parametrize("command", [[], *[[name] for name in COMMANDS]], ids=["whyport", *COMMANDS])
def test_every_command_has_help_with_an_example(whyport: Whyport, command: list[str]) -> None:
    output = whyport(*command, "--help").output
    assert "Example: whyport " in output


def test_help_imports_nothing_beyond_click() -> None:
    program = (
        "import sys; before = set(sys.modules); from whyport.cli import main; {extra}"
        "main(['--help'], standalone_mode=False); imported = set(sys.modules) - before; "
        "print(sorted({{name.split('.')[0] for name in imported}} - sys.stdlib_module_names), "
        "sorted({{'logging.config', 'importlib.metadata', 'asyncio'}} & imported))"
    )
    for extra, line in (
        ("", "['click', 'whyport'] []"),
        ("import numpy, logging.config; ", "['click', 'numpy', 'whyport'] ['logging.config']"),
    ):
        command = [sys.executable, "-c", program.format(extra=extra)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1] == line


def test_an_unknown_command_is_a_usage_error(whyport: Whyport) -> None:
    assert "No such command 'trian'" in whyport("trian", exit_code=2).output


@pytest.mark.parametrize(
    ("raised", "exit_code", "line"),
    [
        (UsageError("the option"), 2, "error: the option\n"),
        (DataError("the data").at("the file"), 1, "error: the data, in the file\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: Permission denied: '/x'\n"),
        (
            ModuleNotFoundError(name="torch"),
            1,
            "error: this needs the package 'torch': pip install 'whyport[explain]'\n",
        ),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, raised: BaseException, exit_code: int, line: str
) -> None:
    def fail() -> None:
        raise raised

    monkeypatch.setattr("whyport.runtime.commands.inspect", click.command()(fail))
    result = CliRunner().invoke(main, ["inspect"])
    assert (result.exit_code, result.stderr) == (exit_code, line)


def test_a_defect_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ModuleNotFoundError(name="a_module_that_no_extra_brings")

    monkeypatch.setattr("whyport.runtime.commands.inspect", click.command()(fail))
    assert isinstance(CliRunner().invoke(main, ["inspect"]).exception, ModuleNotFoundError)
