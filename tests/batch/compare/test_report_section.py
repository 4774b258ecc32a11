"""The section of the report has the figures of the comparison."""

from pathlib import Path

import whyport


def test_the_report_has_the_figures_of_the_comparison(first_night: Path, second_night: Path, tmp_path: Path) -> None:
    (page, *_) = whyport.report(second_night, tmp_path / "page.html", against=first_night)
    text = page.read_text(encoding="utf-8")
    (found,) = whyport.compare(first_night, second_night).comparisons
    assert "Beside another run" in text
    section = text[text.index('id="against"') :]
    assert f"{found.inputs[0].psi:.4f}" in section
    shift = found.explanations[0].features[0].shift
    assert shift is not None
    assert f"{shift.change:+.3g}" in section
