import json

import pytest

from whyport.runtime.bundle.deepshap import Part, read_parts
from whyport.runtime.errors import BundleFormatError

PART = {"kernel": "relu", "options": {}, "rule": 2, "given": [[0]], "passed": [], "reads": [2]}


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "3", "{}", "[3]", '[{"kernel": "relu"}]', "[" * 50_000),
        *(json.dumps([PART | {key: 3.5}]) for key in PART),
    ],
)
def test_a_record_of_parts_that_cannot_be_read_is_refused(text: str) -> None:
    assert read_parts(json.dumps([PART, None])) == [Part(**PART), None]  # type: ignore[arg-type]
    with pytest.raises(BundleFormatError, match=r"parts\.json: expected a list|expected JSON"):
        read_parts(text)
