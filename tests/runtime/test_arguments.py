"""Arguments of a wrong type are refused by name; numpy's numbers are numbers."""

import inspect
import re
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import pytest

import whyport as library
from whyport.runtime.arguments import as_type, typed
from whyport.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("value", "kinds", "expected"),
    [
        (3, (int,), 3),
        (np.int64(3), (int,), 3),
        (np.uint8(3), (int, str), 3),
        (3, (float,), 3.0),
        (np.float32(0.5), (float, NoneType), 0.5),
        (True, (bool,), True),
        (np.bool_(False), (bool,), False),
        (np.str_("a"), (str,), "a"),
        (None, (int, NoneType), None),
    ],
)
def test_a_value_becomes_the_type_that_it_fits(value: Any, kinds: tuple[Any, ...], expected: Any) -> None:
    read = as_type("x", value, kinds)
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(
    ("value", "kinds", "message"),
    [
        (True, (int,), "x: expected a whole number, got True"),
        (2.5, (int,), "x: expected a whole number, got 2.5"),
        (3.0, (int,), "x: expected a whole number, got 3.0"),
        ("3", (int, NoneType), "x: expected a whole number or None, got '3'"),
        (np.bool_(True), (float,), "x: expected a number, got"),
        (2j, (float,), "x: expected a number, got 2j"),
        ("no", (bool,), "x: expected True or False, got 'no'"),
        (1, (bool,), "x: expected True or False, got 1"),
        (None, (str,), "x: expected a text, got None"),
        (Path("a"), (str,), "x: expected a text, got "),
        ([1], (int, str), r"x: expected a whole number or a text, got \[1\]"),
    ],
)
def test_another_type_is_refused(value: Any, kinds: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        as_type("x", value, kinds)


def test_a_decorated_function_checks_what_is_simple_and_leaves_the_rest() -> None:
    @typed
    def call(a: int, b: "list[int] | None" = None, *, c: float | None = 1, d: int | Path = 2, **rest: int) -> Any:
        return a, b, c, d, rest

    assert call(np.int64(1), [2], c=np.float32(0.5), d="x", e="y") == (1, [2], 0.5, "x", {"e": "y"})  # type: ignore
    with pytest.raises(UsageError, match="c: expected a number or None, got 'x'"):
        call(1, c="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        call()  # type: ignore[call-arg]


WRONG: dict[str, dict[str, Any]] = {
    "audit": {"out": "x", "device": 1},
    "compare_groups": {"run": "x", "by": "x", "small_group": "30"},
    "compare": {"first": "x", "rows": 1.5},
    "export": {"source": "x", "sample": "x", "out": "x", "seed": "1"},
    "lineage": {"out": "x", "row": "3"},
    "faithfulness": {"run": "x", "sample": "50"},
    "plan": {"bundle": "x", "inputs": "x", "out": "x", "top_k": 2.5},
    "predict": {"bundle": "x", "data": "x", "overwrite": "no"},
    "report": {"run": "x", "max_features": "20"},
    "run": {"bundle": "x", "inputs": "x", "out": "x", "batch_rows": 10.0},
    "run_shard": {"bundle": "x", "inputs": "x", "out": "x", "shard": 3},
    "show": {"out": "x", "row": "3"},
    "shrink": {"bundle": "x", "keep_slower": "no"},
    "sign": {"path": "x", "key": "x", "overwrite": "no"},
    "to_shap": {"out": "x", "rows": 1.5},
    "train": {"data": "x", "target": "x", "out": "x", "epochs": "1"},
    "verify": {"bundle": "x", "device": None},
    "Session": {"bundle": "x", "threads": "2"},
    "ArrowScorer": {"bundle": "x", "threads": "2"},
}


@pytest.mark.parametrize("name", WRONG)
def test_every_public_function_refuses_a_wrong_type_first(name: str) -> None:
    option, value = list(WRONG[name].items())[-1]
    with pytest.raises(UsageError, match=f"^{option}: expected .*, got {re.escape(repr(value))}$"):
        getattr(library, name)(**WRONG[name])


def test_no_public_function_is_left_out() -> None:
    functions = {name for name in library.__all__ if inspect.isfunction(getattr(library, name))}
    assert functions | {"Session", "ArrowScorer"} == set(WRONG)
