from pathlib import Path

import pytest

from whyport.runtime.files import whole_file


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    with whole_file(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_file_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    with pytest.raises(KeyError):
        fail_halfway(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def fail_halfway(path: Path) -> None:
    with whole_file(path) as file:
        file.write(b"half")
        raise KeyError


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with whole_file(path) as first:
        first.write(b"first, " * 1000)
        with whole_file(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        first.write(b"to its end")
    assert path.read_bytes() == b"first, " * 1000 + b"to its end"
    assert list(tmp_path.iterdir()) == [path]
