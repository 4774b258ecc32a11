import json
import time
from dataclasses import dataclass
from typing import Annotated

import pytest

from whyport.runtime.bundle.codec import decode, encode
from whyport.runtime.bundle.constraints import Pattern, Within
from whyport.runtime.errors import BundleFormatError


@dataclass(frozen=True)
class Inner:
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Outer:
    name: str
    number: float
    flag: bool
    count: int
    inner: Inner
    by_name: dict[str, Inner]
    maybe: str | None


GOOD = {
    "name": "é",
    "number": 1.5,
    "flag": True,
    "count": 3,
    "inner": {"shape": ["N", 3]},
    "by_name": {"x": {"shape": []}},
    "maybe": None,
}


def test_a_value_survives_the_round_trip() -> None:
    value = Outer("é", 1.5, True, 3, Inner(("N", 3)), {"x": Inner(())}, None)
    assert decode(Outer, encode(value)) == value
    assert decode(Outer, json.dumps(GOOD)) == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, r"\$: unknown key 'extra'"),
        ({"name": 3}, r"\$\.name: expected str, got 3"),
        ({"flag": 1}, r"\$\.flag: expected bool, got 1"),
        ({"count": True}, r"\$\.count: expected int, got true"),
        ({"number": "1"}, r"\$\.number: expected float"),
        ({"inner": {"shape": [1.5]}}, r"\$\.inner\.shape\[0\]: expected int \| str"),
        ({"inner": {"shape": [], "more": 1}}, r"\$\.inner: unknown key 'more'"),
        ({"by_name": {"x": 3}}, r"\$\.by_name\.x: expected dict"),
        ({"by_name": []}, r"\$\.by_name: expected"),
        ({"maybe": 3}, r"\$\.maybe: expected"),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(change: dict[str, object], message: str) -> None:
    with pytest.raises(BundleFormatError, match=message):
        decode(Outer, json.dumps(GOOD | change))


def test_a_missing_key_is_named() -> None:
    document = {key: value for key, value in GOOD.items() if key != "inner"}
    with pytest.raises(BundleFormatError, match="missing key 'inner'"):
        decode(Outer, json.dumps(document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"shape": [], "shape": [1]}', "key 'shape' appears twice"),
        ('{"shape": [NaN]}', "expected finite numbers, got NaN"),
        ('{"shape": [-Infinity]}', "expected finite numbers, got -Infinity"),
        ('{"shape": [' + "9" * 5000 + "]}", r"\$\.shape\[0\]: expected int \| str, got Infinity"),
        ('{"shape": [1e999]}', r"\$\.shape\[0\]: expected int \| str, got Infinity"),
        ('{"shape": ' + "[" * 400 + "]" * 400 + "}", r"\$\.shape\[0\]: expected int \| str, got a list of 1"),
        ('{"\\ud800": 1}', r"unknown key '\\ud800'"),
        ('\ufeff{"shape": []}', "expected JSON"),
        ('{"shape": [', "expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ("3", "expected dict, got 3"),
    ],
)
def test_text_that_is_no_sound_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(BundleFormatError, match=message):
        decode(Inner, text)


@pytest.mark.parametrize("repeated", [False, True])
def test_the_time_grows_with_the_number_of_keys_and_not_with_its_square(repeated: bool) -> None:
    keys = [f'"k{i}": 1' for i in range(100_000)] + ['"k99999": 1'] * repeated
    started = time.process_time()
    with pytest.raises(BundleFormatError, match="'k99999' appears twice" if repeated else "unknown key 'k0'"):
        decode(Inner, "{" + ", ".join(keys) + "}")
    assert time.process_time() - started < 5


@dataclass(frozen=True)
class Bounded:
    share: Annotated[float, Within(0, 1)]
    either: Annotated[int, Within(1, 9)] | Annotated[str, Pattern("[a-z]+", "small letters")] | None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"share": 1.5, "either": 1}, r"\$\.share: expected a number from 0 to 1, got 1\.5"),
        ({"share": -1, "either": 1}, r"\$\.share: expected a number from 0 to 1, got -1"),
        ({"share": 0, "either": 10}, r"\$\.either: expected a number from 1 to 9, got 10"),
        ({"share": 0, "either": "A"}, r"\$\.either: expected small letters, got \"A\""),
        ({"share": 0, "either": 1.5}, r"\$\.either: expected int \| str \| NoneType, got 1\.5"),
    ],
)
def test_a_value_outside_its_constraint_is_named_with_its_path(document: dict[str, object], message: str) -> None:
    assert decode(Bounded, '{"share": 0, "either": null}') == Bounded(0.0, None)
    with pytest.raises(BundleFormatError, match=message):
        decode(Bounded, json.dumps(document))
