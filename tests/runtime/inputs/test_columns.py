"""Everything that is wrong with a table's columns, in one message."""

import pytest

from whyport.runtime.errors import ColumnError
from whyport.runtime.inputs.columns import NAMED, ColumnFaults, pasted
from whyport.runtime.options import split_names

ODD = ["a", "b c", "d,e", 'f"g', " h ", '"', ",", "ü", "i;j"]


def test_names_can_be_pasted_into_an_option() -> None:
    assert pasted(["a", "b c"]) == "a, b c"
    assert split_names((pasted(ODD),)) == tuple(ODD)
    assert pasted([]) == "none"


def test_long_lists_are_cut_with_a_count() -> None:
    names = [f"f{i}" for i in range(300)]
    faults = ColumnFaults(["x"])
    faults.check_present(names, "feature")
    with pytest.raises(ColumnError) as raised:
        faults.refuse()
    shown = ", ".join(names[:NAMED])
    assert str(raised.value) == (
        f"missing feature columns: {shown} and {300 - NAMED} more (300 of 300); the file has: x"
    )


def test_nothing_is_raised_without_a_fault() -> None:
    faults = ColumnFaults(["a", "b", "b"])
    assert faults.check_present(["a"], "feature") == ["a"]
    faults.check_types(["a"], lambda name: None, "columns of a wrong type")
    faults.refuse()


def test_every_fault_is_named_with_its_count() -> None:
    faults = ColumnFaults(["a", "b", "b", "c", "d"])
    assert faults.check_present(["a", "b", "x", "y"], "feature") == ["a"]
    types = {"a": "string", "c": "date", "d": "string"}
    faults.check_types(["a", "c", "d"], types.get, "columns of a wrong type")
    with pytest.raises(ColumnError) as raised:
        faults.refuse("the data")
    assert str(raised.value) == (
        "missing feature columns: x, y (2 of 4); feature columns that occur more than once: b (1 of 4; 2 times); "
        "columns of a wrong type: a, c, d (3 of 3; string, date); the data has: a, b, b, c, d"
    )
