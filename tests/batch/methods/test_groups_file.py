"""Groups of columns from files and from Python."""

from pathlib import Path
from typing import Any

import pytest

from whyport.batch.methods.groups_file import given_groups, read_groups
from whyport.runtime.errors import UsageError

GROUPS = {"size": ("radius", "area, mean"), "Größe": ("depth",)}


def test_json_and_csv_hold_the_same_groups(tmp_path: Path) -> None:
    as_json, as_csv = tmp_path / "groups.json", tmp_path / "groups.CSV"
    as_json.write_text('{"size": ["radius", "area, mean"], "Größe": ["depth"]}', "utf-8")
    as_csv.write_text('\ufeffplayer,column\nsize,radius\n\nGröße,depth\nsize,"area, mean"\n', "utf-8")
    assert read_groups(as_json) == given_groups(str(as_csv)) == GROUPS


def test_python_gives_names_as_lists_or_one_name() -> None:
    assert given_groups(None) == {}
    assert given_groups({"size": ["radius", "area, mean"], "Größe": "depth"}) == GROUPS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("groups.json", b'{"a": ["x"], "a": ["y"]}', "key 'a' appears twice, in .*groups.json"),
        ("groups.json", b'{"a": "x"}', "expected an object such as .*, got something else"),
        ("groups.json", b'{"a": [1]}', "expected a name, and names of columns, got 'a'"),
        ("groups.json", b"[]", "expected an object"),
        ("groups.json", b"{", "expected JSON"),
        ("groups.json", b"\xff", "expected text in UTF-8, got other bytes"),
        ("groups.csv", b"", "expected the columns player,column in the first line, got 'nothing'"),
        ("groups.csv", b"size,radius\n", "in the first line, got 'size,radius'"),
        ("groups.csv", b"player,column\nsize\n", "expected a player and a column in every line, got 'size'"),
        ("groups.csv", b'player,column\nsize,"radius', "unexpected end of data, in .*groups.csv"),
        ("groups.txt", b"", r"expected a file named \*.json or \*.csv, got .*groups.txt"),
    ],
)
def test_what_is_no_groups_is_refused_with_its_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_groups(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"players: cannot read .*gone\.json"):
        read_groups(tmp_path / "gone.json")


@pytest.mark.parametrize("given", [7, {"a": 7}, {7: ["x"]}, {"a": [7]}])
def test_other_values_from_python_are_refused(given: Any) -> None:
    with pytest.raises(UsageError, match="players: expected"):
        given_groups(given)
