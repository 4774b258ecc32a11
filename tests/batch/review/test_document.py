import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pytest

from whyport.batch.review.document import Column, Fact, Section, Table, Words, rendered
from whyport.runtime.errors import UsageError

DOCUMENT = Section(
    blocks=[
        Fact("rows", 3, "rows read"),
        Fact("kept", {"at": dt.date(2026, 1, 31), "due": Decimal("1.10")}, words=("at = 2026-01-31", "due = 1.10")),
        Section(
            "parts",
            "Part `1`|2",
            [
                Table(
                    "shares",
                    (Column("feature"), Column("share", "its share", "logits", "+.3g")),
                    [("a|b\n`c`", np.float32(0.1)), ("d", None), ("e", np.nan)],
                ),
                Words(["|+ |"]),
            ],
            is_one_of_many=True,
        ),
    ]
)


def test_json_has_exact_numbers_and_null_for_none() -> None:
    (line,) = rendered(DOCUMENT, "json")
    shares = [{"feature": "a|b\n`c`", "share": float(np.float32(0.1))}, {"feature": "d", "share": None}]
    assert json.loads(line) == {
        "rows": 3,
        "kept": {"at": "2026-01-31", "due": "1.10"},
        "parts": [{"shares": [*shares, {"feature": "e", "share": None}]}],
    }


def test_text_is_aligned_and_rounded() -> None:
    assert rendered(DOCUMENT, "text") == [
        "rows read   3",
        "kept        at = 2026-01-31",
        "kept        due = 1.10",
        "",
        "Part `1`|2",
        "  feature   its share (logits)",
        "  a|b\\n`c`                +0.1",
        "  d                          -",
        "  e                          -",
        "|+ |",
    ]


def test_markdown_has_no_sign_that_a_value_brought() -> None:
    assert rendered(DOCUMENT, "markdown") == [
        "- rows read: 3",
        "- kept: at = 2026-01-31",
        "- kept: due = 1.10",
        "",
        "# Part \\`1\\`\\|2",
        "",
        "| feature | its share (logits) |",
        "|---|---:|",
        "| a\\|b\\\\n\\`c\\` | +0.1 |",
        "| d | - |",
        "| e | - |",
        "",
    ]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown format 'yaml'; known: 'text', 'json', 'markdown'"):
        rendered(DOCUMENT, "yaml")
