import json

import pytest

from whyport.batch.output.totals import MAX_REASONS, OTHER_REASONS, ErrorHistogram, MethodTotals, Totals
from whyport.runtime.bundle.codec import encode
from whyport.runtime.errors import BundleFormatError
from whyport.runtime.task import Classification


def test_totals_add_up_by_name() -> None:
    empty = Totals.empty(Classification(("no", "yes")), ("deepshap",))
    one = Totals(3, {"null": 1}, {"no": 3, "yes": 0}, {"deepshap": MethodTotals(1, ErrorHistogram({"7": 3}, 0.5))})
    other = Totals(2, {"null": 1, "NaN": 4}, {"no": 0, "yes": 2}, {"deepshap": MethodTotals(0)})
    total = empty + one + other
    assert total == Totals(
        5, {"NaN": 4, "null": 2}, {"no": 3, "yes": 2}, {"deepshap": MethodTotals(1, ErrorHistogram({"7": 3}, 0.5))}
    )
    assert total.rows_rejected == 6


def test_reasons_that_are_too_many_are_summed_up() -> None:
    # A label of its own on every row.
    many = sum((Totals(rejected={f"got {i}": 1 + (i == 0)}) for i in range(3 * MAX_REASONS)), Totals())
    assert len(many.rejected) == MAX_REASONS + 1
    assert next(iter(many.rejected)) == "got 0"
    assert many.rejected[OTHER_REASONS] == 2 * MAX_REASONS
    assert many.rows_rejected == 3 * MAX_REASONS + 1


def test_totals_survive_a_footer() -> None:
    totals = Totals(3, {"größe": 1}, {"no": 3}, {"deepshap": MethodTotals(1, ErrorHistogram({"7": 3}, 0.5, 1))})
    assert Totals.read(encode(totals)) == totals
    # Earlier runs did not count what is not finite.
    document = json.loads(encode(totals))
    del document["methods"]["deepshap"]["not_finite"]
    assert Totals.read(json.dumps(document)) == totals
    for text in ("[]", "{}", '{"methods": 1}', '{"methods": {"deepshap": 1}}'):
        with pytest.raises(BundleFormatError):
            Totals.read(text)
