"""Sizes as people write them, and the option that takes one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from whyport.batch.commands import run
from whyport.batch.methods.catalogue import method_options
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.settings import JobSettings, parse_size
from whyport.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 1048576),
        ("12B", 12),
        ("64kB", 64_000),
        ("512MB", 512_000_000),
        ("512mb", 512_000_000),
        ("1.5 GB", 1_500_000_000),
        (" 2TB ", 2_000_000_000_000),
        ("1KiB", 1024),
        ("256MiB", 256 << 20),
        ("2GiB", 2 << 30),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size("--memory", text) == size


@pytest.mark.parametrize("text", ["", "MB", "lots", "-1GB", "1e9", "1,5GB", "2 G B", "5M", "٣MB", "1GB2"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="--memory: expected a size such as 512MB, .* got "):
        parse_size("--memory", text)


@pytest.mark.parametrize(("options", "memory"), [([], ExplainSettings().memory), (["--memory", "3MiB"], 3 << 20)])
def test_the_budget_of_a_run_is_in_its_description(
    options: list[str], memory: int, bundle: Path, table: pa.Table, write: Callable[..., Path], whyport: Any
) -> None:
    out = write(table).parent / "out"
    whyport("run", bundle, out.parent / "input.parquet", "--out", out, "--explain", "integrated-gradients", *options)
    assert json.loads((out / "_job.json").read_text())["settings"]["explain"]["memory"] == memory


@pytest.mark.parametrize(
    ("size", "message"),
    [("0", "memory: expected at least 1, got 0"), ("big", "--memory: expected a size such as 512MB")],
)
def test_a_budget_that_cannot_be_meant(size: str, message: str, bundle: Path, tmp_path: Path, whyport: Any) -> None:
    result = whyport("run", bundle, tmp_path, "--out", tmp_path / "out", "--memory", size, exit_code=2)
    assert message in result.output


@pytest.mark.parametrize(
    ("methods", "options", "message"),
    [
        (
            ("deepshap",),
            {"steps": 50},
            "steps: an option of 'integrated-gradients', 'expected-gradients', .*'deepshap'",
        ),
        (
            ("gradient", "deepshap"),
            {"samples": 9},
            "samples: an option of 'lime', 'smoothgrad', .* got 'gradient', 'deepshap'",
        ),
        ((), {"permutations": 8}, "permutations: an option of 'shapley', expected one of them beside it, got none"),
        (("deepshap",), {"grad_cam_map": True}, "grad_cam_map: an option of 'grad-cam'"),
    ],
)
def test_an_option_of_a_method_that_does_not_run_is_refused(
    methods: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        JobSettings(inputs=(), out=Path(), methods=methods, explain=ExplainSettings.of(**options))


def test_an_option_serves_any_of_the_methods() -> None:
    every = ("deepshap", "integrated-gradients")
    settings = JobSettings(inputs=(), out=Path(), methods=every, explain=ExplainSettings.of(steps=50))
    assert settings.explain.of_method("integrated-gradients").options["steps"] == 50


def test_the_command_gives_no_option_of_its_own() -> None:
    command = run.make_context("run", ["bundle", "rows.parquet", "--out", "out"])
    assert {name: command.params[name] for name in method_options()} == dict.fromkeys(method_options())
