"""The page for tables as people have them, and for quantities."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from support.browser_page import LOADED, look
from support.explained_bundles import NAMES, QUANTITIES, outputs_of
from support.programs import serving
from support.visits import COLUMNS
from whyport import Session


def test_categories_have_a_menu_and_dates_a_calendar(category_bundle: Path, tmp_path: Path) -> None:
    script = """
    const menu = (name) => [...field(name).options].map((option) => option.textContent);
    const pick = (name, text) => updated(() => {
      field(name).selectedIndex = menu(name).indexOf(text);
      field(name).dispatchEvent(new Event("input", { bubbles: true }));
    });
    const steps = { typical: shown() };
    const kinds = labels().map((label) => label.control.type);
    const menus = ["ward", "grade", "smoker"].map(menu);
    await pick("ward", 'intensive, "A"'); steps.known = shown();
    await pick("ward", "another value"); steps.other = shown();
    await pick("ward", "missing"); steps.missing = shown();
    await pick("grade", "10"); await pick("smoker", "true"); steps.codes = shown();
    await updated(() => change(field("admitted"), "2023-05-01")); steps.date = shown();
    await updated(() => change(field("admitted"), "")); steps.dateless = shown();
    const hints = [...document.querySelectorAll("#editor .hint")].map((hint) => hint.textContent);
    const details = Object.fromEntries([...byId("chart").children].map(
      (item) => [item.dataset.feature, item.querySelector(".detail").textContent]));
    return { steps, kinds, menus, hints, details, failed: byId("conformance").dataset.failed };
    """
    with serving(category_bundle) as address:
        result = look(address, tmp_path, script, *LOADED).result
    assert result["failed"] == "0"
    session = Session(category_bundle, "cpu")
    columns = {column.name: column for column in session.bundle.sidecar.columns}
    assert result["kinds"] == ["select-one", "select-one", "select-one", "date", "number"]
    for name, menu in zip(("ward", "grade", "smoker"), result["menus"], strict=True):
        categories = columns[name].categories
        assert categories is not None
        assert menu == [*categories.values, "another value", "missing"]
    row = {name: [columns[name].statistics.median] for name in ("admitted", "score")}
    date = np.datetime64(0, "D") + np.timedelta64(round(row["admitted"][0] * 86400), "s")
    typical = row | {"ward": ["surgery"], "grade": [1], "smoker": [False], "admitted": [date]}
    for name, counted in (("grade", columns["grade"].categories), ("ward", columns["ward"].categories)):
        assert counted is not None
        commonest = counted.values[int(np.argmax(counted.counts))]
        typical[name] = [float(commonest) if name == "grade" else commonest]
    codes = typical | {"ward": [None], "grade": [10], "smoker": [True]}
    day = codes | {"admitted": [np.datetime64("2023-05-01")]}
    for name, table in {
        "typical": typical,
        "known": typical | {"ward": ['intensive, "A"']},
        "other": typical | {"ward": ["chapel"]},
        "missing": typical | {"ward": [None]},
        "codes": codes,
        "date": day,
        "dateless": codes | {"admitted": [np.datetime64("NaT")]},
    }.items():
        step = result["steps"][name]
        expected = session.explain({key: np.array(value) for key, value in table.items()})
        values = dict(step["reasons"])
        assert_allclose([values[column] for column in COLUMNS], expected.values[0], rtol=1e-4, atol=1e-5)
        assert step["check"].startswith("Adds up")
    notices = {name: step["notice"] for name, step in result["steps"].items()}
    assert notices.pop("other") == "ward is outside of what the model was trained on"
    assert set(notices.values()) == {""}
    assert result["hints"][0].endswith(" % of the training rows")
    assert result["hints"][3].startswith("missing: 20")
    assert {name: result["details"][name] for name in ("ward", "grade", "smoker", "admitted")} == {
        "ward": "missing",
        "grade": "10",
        "smoker": "true",
        "admitted": "missing",
    }


def test_quantities_have_units_and_no_classes(quantity_bundle: Path, tmp_path: Path) -> None:
    script = """
    await updated(() => change(field("age"), 2));
    const first = shown();
    const radios = document.querySelectorAll("#targets input[type=radio]");
    await updated(() => radios[1].click());
    const second = shown();
    const visible = document.body.innerText;
    const amounts = [...document.querySelectorAll("#target-list .number")].map((each) => each.textContent);
    return { first, second, visible, amounts, failed: byId("conformance").dataset.failed };
    """
    with serving(quantity_bundle) as address:
        result = look(address, tmp_path, script, *LOADED).result
    assert result["failed"] == "0"
    row = np.array([[2.0, 0.0, 0.0]])
    for name, k in (("first", 0), ("second", 1)):
        expected = outputs_of(QUANTITIES, row, np.array([k]))
        values = dict(result[name]["reasons"])
        assert_allclose([values[column] for column in NAMES], expected["attribution"][0], atol=1e-6)
    assert result["first"]["prediction"] == "4 days"
    assert result["second"]["prediction"] == "0.5"
    assert result["first"]["heading"] == "Reasons for stay, in days"
    assert result["first"]["check"].endswith(" days allowed")
    assert result["second"]["check"].endswith(" units of cost allowed")
    assert result["amounts"] == ["4 days", "0.5"]
    assert "class" not in result["visible"].lower()
    assert "3 columns, stay, in days; cost; by hand" in result["visible"]


@pytest.mark.parametrize("bundle", ["category_bundle", "one_logit_bundle"])
def test_classes_keep_their_words(bundle: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    script = (
        'return [byId("targets-legend").textContent, byId("about").textContent, byId("conformance").dataset.failed];'
    )
    with serving(request.getfixturevalue(bundle)) as address:
        legend, about, failed = look(address, tmp_path, script, *LOADED).result
    assert legend == "Probabilities; choose a class to see its reasons"
    assert "2 classes" in about
    assert failed == "0"
