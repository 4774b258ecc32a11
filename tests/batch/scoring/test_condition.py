import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from whyport.batch.scoring.condition import Condition
from whyport.runtime.errors import UsageError


class Label(pa.ExtensionType):
    """A registered type whose storage is text."""

    def __init__(self) -> None:
        super().__init__(pa.string(), "whyport.tests.label")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> "Label":
        return cls()


DAYS = [datetime.date(2026, 1, day) for day in (1, 15)]
TABLE = pa.table(
    {
        "probability.yes": pa.array([0.2, 0.7, None, 0.9], pa.float32()),
        "probability.mean radius": pa.array([0.8, 0.3, 0.5, 0.1], pa.float32()),
        "prediction": ["no", "yes", "yes", "yes"],
        "mean radius": [1.0, 2.0, 3.0, float("nan")],
        "class": [1, 2, 3, None],
        "age": pa.array([10, 20, 250, 0], pa.uint8()),
        "ok": [True, False, None, True],
        "region": pa.array(["north", "south", None, "west"]).dictionary_encode(),
        "day": pa.array([*DAYS, None, DAYS[0]]),
        "at": pa.array([0, 10**15, None, 2 * 10**15], pa.timestamp("us", tz="Europe/Vienna")),
        "price": pa.array([Decimal("1.10"), Decimal("2.20"), None, Decimal("0.00")], pa.decimal128(9, 2)),
        "note": pa.array(["a", "b", None, "it's"], pa.string_view()),
        "long": pa.array(["a", "b", None, "d"], pa.large_string()),
        "label": pa.ExtensionArray.from_storage(Label(), pa.array(["a", "b", None, "d"])),
        "größe": [1, 2, 3, 4],
        "nothing": pa.nulls(4),
        "tags": [["a"], [], None, ["b"]],
    }
)
NO, YES = False, True


def holds(text: str) -> list[bool]:
    condition = Condition.parse(text)
    condition.check(TABLE.schema, "file.parquet")
    return condition.holds(lambda name: TABLE[name].combine_chunks()).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("probability.yes > 0.5", [NO, YES, NO, YES]),
        ("not probability.yes > 0.5", [YES, NO, NO, NO]),
        ("`probability.yes` > 0.5", [NO, YES, NO, YES]),
        ('"probability.yes" > 0.5', [NO, YES, NO, YES]),
        ("probability.`mean radius` >= 0.5", [YES, NO, YES, NO]),
        ('"mean radius" < 3', [YES, YES, NO, NO]),
        ("`class` == 2", [NO, YES, NO, NO]),
        ("größe != 2", [YES, NO, YES, YES]),
        ("prediction == 'yes'", [NO, YES, YES, YES]),
        ("'yes' == prediction", [NO, YES, YES, YES]),
        ("prediction == 'yes' and probability.yes < 0.8", [NO, YES, NO, NO]),
        ("prediction == 'no' or probability.yes > 0.8", [YES, NO, NO, YES]),
        ("prediction == 'yes' and (age > 100 or ok)", [NO, NO, YES, YES]),
        ("0.1 < probability.yes <= 0.7", [YES, YES, NO, NO]),
        ("region in ('north', 'west')", [YES, NO, NO, YES]),
        ("region not in ['north', 'west']", [NO, YES, NO, NO]),
        ("`class` in {1, 3}", [YES, NO, YES, NO]),
        ("region == 'south'", [NO, YES, NO, NO]),
        ("ok", [YES, NO, NO, YES]),
        ("not ok", [NO, YES, NO, NO]),
        ("ok is None", [NO, NO, YES, NO]),
        ("region is not None", [YES, YES, NO, YES]),
        ("nothing is None", [YES, YES, YES, YES]),
        ("nothing == 1", [NO, NO, NO, NO]),
        ("day == '2026-01-15'", [NO, YES, NO, NO]),
        ("day in ('2026-01-15', '2026-01-16')", [NO, YES, NO, NO]),
        ("'2026-01-02' > day", [YES, NO, NO, YES]),
        ("at >= '2001-09-09T01:46:40Z'", [NO, YES, NO, YES]),
        ("price > 1.5", [NO, YES, NO, NO]),
        ("price == 0", [NO, NO, NO, YES]),
        (r"note == 'it\'s'", [NO, NO, NO, YES]),
        ("long == 'b'", [NO, YES, NO, NO]),
        ("label == 'b'", [NO, YES, NO, NO]),
        # uint8 would overflow, and divide to whole numbers.
        ("age + age > 400", [NO, NO, YES, NO]),
        ("age - 20 < 0", [YES, NO, NO, YES]),
        ("age / 4 == 2.5", [YES, NO, NO, NO]),
        ("probability.`mean radius` - probability.yes > -0.5", [YES, YES, NO, NO]),
        ("-age < -15", [NO, YES, YES, NO]),
        ("note == '`class`' or age == 10", [YES, NO, NO, NO]),
        ("  age == 10  ", [YES, NO, NO, NO]),
    ],
)
def test_what_holds(text: str, expected: list[bool]) -> None:
    assert holds(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("probability.no > 0.5", r"unknown column 'probability.no' \(did you mean 'probability.yes'\?\); known: 'prob"),
        ("`mean  radius` > 0", r"unknown column 'mean  radius' .*; others need --keep, in file\.parquet"),
        ("prediction > 0.5", r"cannot compute 'prediction > 0.5': .*, in file\.parquet"),
        ("day == 'soon'", r"cannot compute \"day == 'soon'\": .*, in file\.parquet"),
        ("`mean radius` == 'wide'", r"cannot compute \"`mean radius` == 'wide'\": "),
        ("ok and age", "cannot compute 'ok and age': "),
        ("not age", "cannot compute 'not age': "),
        ("prediction + 1 > 0", r"cannot compute .prediction \+ 1.: expected numbers, got string"),
        ("tags == 'a'", "cannot compute"),
        ("age", "expected a condition on columns, got uint8: 'age', in file"),
        ("1 < 2", "expected a condition on columns, got a constant: '1 < 2'"),
        ("True", "expected a condition on columns, got a constant"),
        ("age > 99999999999999999999", "cannot compute "),
        (" or ".join(["not " * 900 + "ok"]), "nested too deeply|expected a condition"),
    ],
)
def test_what_cannot_be_computed_of_these_columns_is_refused(text: str, message: str) -> None:
    condition = Condition.parse(text)
    with pytest.raises(UsageError, match=message):
        condition.check(TABLE.schema, "file.parquet")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "age.__class__()",
        "(lambda: 1)()",
        "[x for x in age]",
        "age if ok else ok",
        "age[0] == 1",
        "age ** 2 > 1",
        "age % 2 == 1",
        "age == None",
        "age in ()",
        "age in region",
        "age is ok",
        "f'{age}' == 'x'",
        "b'x' == note",
        "1j == age",
        "(age := 1) == 1",
        "*age",
        "'a'.b == 1",
        "age == ...",
    ],
)
def test_what_is_no_condition_is_refused_and_never_executed(text: str) -> None:
    with pytest.raises(UsageError, match="^explain_where: "):
        Condition.parse(text).check(TABLE.schema, "file.parquet")


@pytest.mark.parametrize("text", ["", " ", "age >", "age = 1", "age > 1; ok", "a b", "`age > 1", "\0", "(" * 300])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="explain_where: expected a condition such as .*, got "):
        Condition.parse(text)


def test_numbers_compare_as_their_column_holds_them() -> None:
    values = pa.array(np.array([0.1, 0.5], dtype=np.float32))
    condition = Condition.parse("x > 0.1")
    # float32's 0.1 lies above float64's.
    assert condition.holds(lambda name: values).tolist() == [True, True]
