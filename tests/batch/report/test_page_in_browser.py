"""The report in Chromium: what a reader sees, reaches by keyboard, saves and prints."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.bundles import linear_bundle
from support.screenshots import OVERLAPS, shoot
from whyport import report
from whyport.batch.report.gather.view import ReportSettings, gather
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle

pytestmark = pytest.mark.slow

ARTEFACTS = Path(__file__).parents[3] / "build" / "screenshots"
RULES = ("--axe", "wcag2a,wcag2aa,wcag21a,wcag21aa,wcag22aa")
LOOKS = {"light": (), "dark": ("--dark",), "phone": ("--width", "390"), "print": ("--print", "--width", "703")}
"""A4 less the page's margins has 703 CSS pixels."""
PAPER = 1016
"""The height of such a page in CSS pixels."""


@pytest.fixture(scope="module")
def page(reference_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of 80 rows near the training's means."""
    folder = tmp_path_factory.mktemp("page")
    features = Bundle.read(reference_bundle).sidecar.columns
    generator = np.random.default_rng(0)
    columns: dict[str, Any] = {f.name: generator.normal(f.statistics.mean, f.spread / 3, size=80) for f in features}
    columns["diagnosis"] = generator.choice(["benign", "malignant"], size=80)
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    settings = JobSettings(
        (str(folder / "rows.parquet"),), folder / "out", methods=("deepshap",), keep=("diagnosis",), device="cpu"
    )
    Job(Bundle.read(reference_bundle), settings).run()
    report(folder / "out", folder / "page.html", device="cpu")
    return folder / "page.html"


NAMES = ('=HYPERLINK("x")', 'a,b"c', "line\nbreak")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run whose names are formulas, and have commas, quotes and line breaks."""
    folder = tmp_path_factory.mktemp("odd")
    bundle = linear_bundle(folder / "bundle", names=NAMES, classes=("+no", "-5"))
    rows = np.random.default_rng(0).normal(size=(40, 3))
    pq.write_table(pa.table(dict(zip(NAMES, rows.T, strict=True))), folder / "rows.parquet")
    settings = JobSettings((str(folder / "rows.parquet"),), folder / "out", methods=("deepshap",), device="cpu")
    Job(Bundle.read(bundle), settings).run()
    report(folder / "out", folder / "page.html", device="cpu", row=3)
    return folder / "page.html"


@pytest.mark.parametrize("look", LOOKS)
def test_the_page_is_quiet_and_can_be_read(page: Path, look: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    shot = shoot(page.as_uri(), ARTEFACTS / f"report-{look}.png", *LOOKS[look], *RULES, "--eval", OVERLAPS)
    assert (shot.errors, shot.requests, shot.violations) == ([], [], [])
    assert not json.loads(shot.result)
    if look != "light":
        assert shot.width == {"dark": 1280, "phone": 390, "print": 703}[look]


def test_what_a_manager_reads_is_on_one_screen(page: Path, tmp_path: Path) -> None:
    ask = """(() => {
        const links = [...document.querySelectorAll('#glance dt a')];
        return [document.getElementById('glance').getBoundingClientRect().bottom,
            links.every(link => document.getElementById(link.hash.slice(1))), links.map(link => link.textContent)];
    })()"""
    shot = shoot(page.as_uri(), tmp_path / "page.png", "--no-page", "--eval", ask)
    bottom, all_there, labels = shot.result
    assert bottom <= 900
    assert all_there
    assert {"The model", "Rows", "Predicted", "What drives it", "Do reasons add up?", "Rejected", "Drift"} <= set(
        labels
    )


def test_contents_stay_in_view_and_links_open_what_is_folded(page: Path, tmp_path: Path) -> None:
    ask = """(async () => {
        const later = () => new Promise(done => setTimeout(done, 100));
        const top = () => document.querySelector('nav').getBoundingClientRect().top;
        document.documentElement.style.scrollBehavior = 'auto';
        window.scrollTo(0, 5000);
        await later();
        const seen = [top()];
        document.getElementById('fold').click();
        await later();
        const open = () => document.querySelectorAll('main > section > details[open]').length;
        seen.push(open(), document.getElementById('fold').textContent);
        [...document.querySelectorAll('nav a')].find(link => link.textContent === 'Drift').click();
        await later();
        seen.push(open(), Math.round(document.getElementById('trust-drift').getBoundingClientRect().top));
        return seen;
    })()"""
    for options in ((), ("--width", "390")):
        shot = shoot(page.as_uri(), tmp_path / "page.png", "--no-page", *options, "--eval", ask)
        top, none, label, one, place = shot.result
        assert (top, none, label, one) == (0, 0, "Open all", 1)
        assert 0 <= place <= 120


def test_sections_fold_by_keyboard(page: Path, tmp_path: Path) -> None:
    ask = """(() => {
        const summaries = [...document.querySelectorAll('main > section > details > summary')];
        return summaries.map(each => { each.focus(); return document.activeElement === each && each.tabIndex >= 0; });
    })()"""
    assert all(shoot(page.as_uri(), tmp_path / "page.png", "--no-page", "--eval", ask).result)


def test_nothing_is_cut_off_on_paper(page: Path, tmp_path: Path) -> None:
    # Folded before it is printed: on paper all is open.
    ask = f"""(() => {{
        document.getElementById('fold').click();
        dispatchEvent(new Event('beforeprint'));
        const wide = [...document.querySelectorAll('main *')].filter(each => each.getClientRects().length
            && !each.closest('svg svg, defs') && each.getBoundingClientRect().right > innerWidth + 1);
        const high = [...document.querySelectorAll('svg, tr, figcaption')]
            .filter(each => each.getBoundingClientRect().height > {PAPER});
        return [wide.length, high.length, document.querySelectorAll('details:not([open])').length,
            document.documentElement.scrollHeight];
    }})()"""
    pdf = tmp_path / "page.pdf"
    options = ("--print", "--width", "703", "--no-page", "--eval", ask, "--pdf", str(pdf))
    shot = shoot(page.as_uri(), tmp_path / "page.png", *options)
    wide, high, folded, height = shot.result
    assert (shot.errors, wide, high, folded) == ([], 0, 0, 0)
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes()))
    assert height / PAPER <= pages <= 1.6 * height / PAPER + 2


def saved(page: Path, tmp_path: Path) -> dict[str, list[dict[str, str]]]:
    """Every figure's CSV as the page makes it, read by Python's own reader, as records by figure."""
    ask = """(async () => Promise.all([...document.querySelectorAll('button.save:not([hidden])')]
        .map(async each => [each.dataset.figure, await csv(each.dataset.figure)])))()"""
    shot = shoot(page.as_uri(), tmp_path / "page.png", "--no-page", "--eval", ask)
    assert (shot.errors, shot.requests) == ([], [])
    found = {}
    for figure, text in shot.result:
        assert text.endswith("\r\n")
        head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        assert len(set(head)) == len(head) > 1
        assert all(len(row) == len(head) for row in rows)
        found[figure] = [dict(zip(head, row, strict=True)) for row in rows]
    return found


def test_each_figure_s_numbers_are_saved(page: Path, tmp_path: Path) -> None:
    found = saved(page, tmp_path)
    view = gather(ReportSettings(out=page.parent / "out", device="cpu"))
    assert set(found) == set(re.findall(r'<figure id="([^"]+)"', page.read_text(encoding="utf-8")))
    by_class = {each.target: each for each in view.collected.attributions}
    names = view.run.layout.features
    for record in found["bar-deepshap"]:
        for target, each in by_class.items():
            expected = each.mean_magnitude[names.index(record["feature"])]
            assert float(record[f"mean |attribution| for {target}"]) == pytest.approx(expected, rel=1e-5)
    case = view.cases[0].explanations[0]
    lines = found["waterfall-0-predicted"]
    assert lines == found["force-0-predicted"]
    assert [line["what"] for line in (lines[0], lines[1], lines[-1])] == ["base value", "attribution", "score"]
    assert len(lines) == len(names) + 2
    total = sum(float(line["logits"]) for line in lines[:-1])
    assert total == pytest.approx(case.score, abs=1e-4)
    points = found["beeswarm-deepshap-benign"]
    assert len(points) == by_class["benign"].rows
    first = by_class["benign"].sample
    column = names.index("worst radius")
    shares = {int(r): v[column] for r, v in zip(first["row"], first["values"], strict=True)}
    for point in points:
        assert float(point["attribution of worst radius"]) == pytest.approx(shares[int(point["row"])], rel=1e-5)
        assert point["file"].endswith("rows.parquet")


def test_saved_texts_are_no_formulas_and_keep_their_signs(odd: Path, tmp_path: Path) -> None:
    found = saved(odd, tmp_path)
    cells = {cell for records in found.values() for record in records for cell in (*record, *record.values())}
    assert "'" + NAMES[0] in cells
    assert set(NAMES[1:]) <= cells
    assert "'+no" in cells
    assert "-5" in cells  # a name that is a number stays one
    number = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")
    assert all(number.fullmatch(cell) for cell in cells if cell[:1] in tuple("=+-@\t\r"))


def test_a_button_saves_a_file(odd: Path, tmp_path: Path) -> None:
    click = "document.querySelector('#classes button.save').click()"
    shoot(odd.as_uri(), tmp_path / "page.png", "--no-page", "--eval", click, "--download", str(tmp_path / "saved.csv"))
    with (tmp_path / "saved.csv").open(newline="", encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    counts = gather(ReportSettings(out=odd.parent / "out", device="cpu")).run.report.predictions
    assert [int(record["rows"]) for record in records] == list(counts.values())


def test_odd_names_break_no_rule(odd: Path, tmp_path: Path) -> None:
    assert shoot(odd.as_uri(), tmp_path / "page.png", "--no-page", *RULES).violations == []
