import click
import pytest
from click.testing import CliRunner

from whyport.runtime.options import as_names, names_option, split_names


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((), ()),
        (("",), ()),
        (("a",), ("a",)),
        (("a,b",), ("a", "b")),
        ((" a , b c ,",), ("a", "b c")),
        (('"a,b"',), ("a,b",)),
        (('"a,b", c',), ("a,b", "c")),
        (('"say ""a"", b"',), ('say "a", b',)),
        (('" a"',), (" a",)),
        (('5" pipe,b',), ('5" pipe', "b")),
        (('"a,b',), ('"a', "b")),
        (("a,b", "c"), ("a,b", "c")),
        ((" a", '"b"', ""), (" a", '"b"')),
    ],
)
def test_a_single_value_is_split_and_several_are_names(values: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert split_names(values) == names


def test_the_option_gives_the_names_and_its_help_the_rule() -> None:
    @click.command()
    @names_option("--keep", help="Columns to copy.")
    def show(keep: tuple[str, ...]) -> None:
        click.echo(repr(keep))

    assert CliRunner().invoke(show, []).output == "()\n"
    assert CliRunner().invoke(show, ["--keep", "a,b"]).output == "('a', 'b')\n"
    assert CliRunner().invoke(show, ["--keep", "a,b", "--keep", "c"]).output == "('a,b', 'c')\n"
    text = " ".join(CliRunner().invoke(show, ["--help"]).output.split())
    assert "Columns to copy. Comma-separated; an option that is repeated takes one name each time" in text


def test_a_python_text_is_one_name() -> None:
    assert as_names("a,b") == ("a,b",)
    assert as_names(["a", "b,c"]) == ("a", "b,c")
    assert as_names(()) == ()
