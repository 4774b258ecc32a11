"""The public names: all that the command line does, importable anywhere, with the same options and defaults."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy
import pytest

import whyport
from whyport.batch.methods.catalogue import method_options
from whyport.batch.run.run import settings_of
from whyport.cli import COMMANDS, main
from whyport.runtime import errors

ROOT = Path(__file__).parents[2]

# Options that a Python caller has otherwise, and where.
ELSEWHERE = {
    "run": {"--dry-run", "--log-format", "--shard"},  # the function plan; the caller's own logging; run_shard
    "inspect": {"--json"},  # Bundle.read(path).sidecar
    # The report's lines(format, top=20); the function compare_groups.
    "compare": {"--format", "--top", "--by", "--label", "--labels", "--favourable", "--small-group", "--bundle"},
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "train": whyport.train,
    "export": whyport.export,
    "inspect": whyport.Bundle.read,
    "verify": whyport.verify,
    "predict": whyport.predict,
    "run": whyport.run,
    "audit": whyport.audit,
    "compare": whyport.compare,
    "show": whyport.show,
    "report": whyport.report,
    "faithfulness": whyport.faithfulness,
    "shrink": whyport.shrink,
    "sign": whyport.sign,
    "lineage": whyport.lineage,
}


def test_every_command_has_its_function() -> None:
    assert FUNCTIONS.keys() | {"methods"} == COMMANDS.keys()
    assert set(whyport.METHODS) >= {"deepshap", "shapley"}


def received(command: str) -> dict[str, Any]:
    """The options of a command, by flag, as it receives them where only what it requires is given."""
    found = main.get_command(click.Context(main), command)
    assert found is not None
    arguments = []
    for parameter in found.params:
        if isinstance(parameter, click.Option) and parameter.required:
            arguments += [max(parameter.opts, key=len), "0"]
        elif isinstance(parameter, click.Argument):
            arguments.append("0")
    values = found.make_context(command, arguments).params
    # Others have an effect of their own, as --endpoint, which sets a variable of the environment.
    options = [option for option in found.params if isinstance(option, click.Option) and option.expose_value]
    return {max(o.opts, key=len): ... if o.required else values[o.name or ""] for o in options}


def plain(value: Any) -> Any:
    """A default as both sides mean it: no names and no methods are each nothing."""
    return None if value in ("", (), ("none",)) else str(value) if isinstance(value, Path) else value


@pytest.mark.parametrize("command", FUNCTIONS)
def test_every_option_is_a_keyword_with_the_same_default(command: str) -> None:
    parameters = inspect.signature(FUNCTIONS[command]).parameters
    options = received(command)
    assert options.keys() >= ELSEWHERE.get(command, set())
    for flag, default in options.items():
        if flag in ELSEWHERE.get(command, ()):
            continue
        got = parameters[flag.removeprefix("--").replace("-", "_")].default
        assert got is inspect.Parameter.empty if default is ... else plain(got) == plain(default), flag


def test_every_option_of_a_method_is_a_keyword_of_run(tmp_path: Path) -> None:
    for name, declared in method_options().items():
        method, option = next(iter(declared.items()))
        given = option.kind(5)
        assert settings_of(["x"], tmp_path, {"explain": method, name: given}).explain.options == {name: given}
    with pytest.raises(whyport.UsageError, match=r"unknown option 'step' \(did you mean 'steps'\?\)"):
        settings_of(["x"], tmp_path, {"step": 5})


def test_every_public_name_can_be_found() -> None:
    for name in whyport.__all__:
        assert getattr(whyport, name) is not None
    assert set(dir(whyport)) == set(whyport.__all__)
    with pytest.raises(AttributeError, match="module 'whyport' has no attribute 'nothing'"):
        _ = whyport.nothing


def test_every_error_is_public() -> None:
    tree = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert tree <= set(whyport.__all__)
    assert all(issubclass(getattr(whyport, name), whyport.WhyportError) for name in tree)


# What each call raises without the packages that it needs, and the extra that it names.
CALLS = {
    "whyport.run(BUNDLE, 'rows.parquet', 'out')": ("MissingPackageError", "batch"),
    "whyport.plan(BUNDLE, 'rows.parquet', 'out')": ("MissingPackageError", "batch"),
    "whyport.audit('out')": ("MissingPackageError", "batch"),
    "whyport.compare('a', 'b')": ("MissingPackageError", "batch"),
    "whyport.show('out', 0)": ("MissingPackageError", "batch"),
    "whyport.lineage('out')": ("MissingPackageError", "batch"),
    "whyport.sign(BUNDLE, 'key.pem')": ("MissingPackageError", "sign"),
    "whyport.report('out')": ("MissingPackageError", "batch"),
    "whyport.compare_groups('out', 'sex')": ("MissingPackageError", "batch"),
    "whyport.faithfulness('out')": ("MissingPackageError", "batch"),
    "whyport.to_shap('out')": ("MissingPackageError", "batch"),
    "whyport.export('m:f', 'rows.csv', 'out')": ("MissingPackageError", "export"),
    "whyport.train('rows.csv', 'y', 'out')": ("MissingPackageError", "export"),
    "whyport.verify(BUNDLE)": ("MissingPackageError", "batch"),
    "whyport.predict(BUNDLE, 'rows.csv')": ("ProviderError", "cpu"),
    "whyport.Session(BUNDLE)": ("ProviderError", "cpu"),
    "whyport.ArrowScorer(BUNDLE)": ("MissingPackageError", "batch"),
}
PROGRAM = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
BUNDLE = sys.argv[2]
for package in ("torch", "onnx", "onnxruntime", "pyarrow", "tqdm", "matplotlib"):
    assert importlib.util.find_spec(package) is None, package
import whyport
for name in whyport.__all__:
    exec(f"from whyport import {name}")
raised = {}
for call in json.loads(sys.argv[3]):
    try:
        eval(call)
    except whyport.WhyportError as error:
        raised[call] = (type(error).__name__, str(error))
print(json.dumps(raised))
"""


def test_every_name_can_be_imported_and_says_what_is_missing_where_only_numpy_and_click_are(
    tmp_path: Path, reference_bundle: Path
) -> None:
    (tmp_path / "whyport").mkdir()
    for file in (ROOT / "whyport").glob("*.py"):
        (tmp_path / "whyport" / file.name).symlink_to(file)
    for folder in ("runtime", "exporter", "batch"):
        (tmp_path / "whyport" / folder).symlink_to(ROOT / folder)
    packages = Path(numpy.__file__).parents[1]
    for name in ("numpy", "numpy.libs", "click"):
        if (packages / name).exists():
            (tmp_path / name).symlink_to(packages / name)
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, tmp_path, reference_bundle, json.dumps([*CALLS])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    raised = json.loads(done.stdout)
    assert raised.keys() == CALLS.keys()
    for call, (kind, message) in raised.items():
        assert (kind, f"pip install 'whyport[{CALLS[call][1]}]'" in message) == (CALLS[call][0], True), (call, message)
