"""The page on a small device in Chromium: variants, what a first load costs, threads, no network, a phone's width."""

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from support.browser_page import HELPERS, LOADED, look
from support.programs import EXAMPLES, serving
from support.screenshots import Shot, shoot
from support.static_server import PAGE, StaticServer
from whyport import Bundle, Session, shrink
from whyport.runtime.bundle.precisions import bundle_in

pytestmark = pytest.mark.slow

ENGINE = f"{PAGE}node_modules/onnxruntime-web/dist/"
KEPT = ("--wait", "#kept[data-kept]")
PHONE = ("--width", "360", "--height", "740", "--touch")

TOLD = """
const told = async () => ({
  ...shown(),
  load: { ...byId("load").dataset },
  loaded: byId("load").textContent,
  kept: Number(byId("kept").dataset.kept),
  offline: byId("kept").textContent,
  threads: Number(byId("engine").dataset.threads),
  engine: byId("engine").textContent,
  isolated: crossOriginIsolated,
  cores: navigator.hardwareConcurrency,
  title: document.title,
  failed: byId("conformance").dataset.failed,
  caches: await caches.keys(),
});
"""

REACHED = """
const seen = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
const boxes = (selector) => seen(selector).map((each) => {
  const { left, right, width, height } = each.getBoundingClientRect();
  return { left, right, width, height, size: parseFloat(getComputedStyle(each).fontSize), text: each.textContent };
});
"""
"""The boxes of what is to be seen, in CSS pixels."""


def reference_rows(session: Session) -> Any:
    """The row that the page begins with."""
    return np.array([[column.statistics.median for column in session.bundle.sidecar.columns]], dtype=np.float32)


def assert_on_a_phone(shot: Shot) -> None:
    """Nothing leaves the width; what is touched can be touched; what is read can be read."""
    assert shot.width == 360
    for name, boxes in shot.result["boxes"].items():
        assert boxes, name
        for box in boxes:
            assert 0 <= box["left"] <= box["right"] <= 360, (name, box)
            assert box["width"] >= 24, (name, box)
            assert box["height"] >= (12 if name == "read" else 24), (name, box)
            assert box["size"] >= 12, (name, box)


def test_a_variant_is_shown_and_reproduced_on_a_phone(shrunk_bundle: Path, tmp_path: Path) -> None:
    script = f"""{TOLD} {REACHED}
    byId("more").click();
    const options = [...byId("variant").options].map((each) => [each.value, each.selected, each.text]);
    const result = {{ ...(await told()), options, boxes: {{
      touched: boxes("select, button, #editor input"), read: boxes(".reason-name, .reason .number, .sum dd"),
    }} }};
    return result;
    """
    with serving(shrunk_bundle) as address:
        shot = look(f"{address}?variant=int8", tmp_path, script, *LOADED, *PHONE)
    stored = Bundle.read(shrunk_bundle)
    session, full = Session(bundle_in(stored, "int8")), Session(stored)
    rows, found = reference_rows(session), dict(shot.result["reasons"])
    got = [found[column.name] for column in session.bundle.sidecar.columns]
    assert_allclose(got, session.explain(rows).values[0], rtol=1e-3, atol=1e-4)
    assert np.abs(got - full.explain(rows).values[0]).max() > 5e-4
    assert shot.result["failed"] == "0"
    options = shot.result["options"]
    assert [(value, chosen) for value, chosen, _ in options] == [("", False), ("float16", False), ("int8", True)]
    sizes = [-(-(shrunk_bundle / f"explain{part}.onnx").stat().st_size // 1000) for part in ("", ".float16", ".int8")]
    assert [int(text.split(", ")[1].removesuffix(" kB")) for _, _, text in options] == sizes
    assert_on_a_phone(shot)


def test_an_unknown_variant_is_refused_with_the_known_ones(shrunk_bundle: Path, tmp_path: Path) -> None:
    with serving(shrunk_bundle) as address:
        script = 'return byId("error").textContent'
        shot = look(f"{address}?variant=int4", tmp_path, script, "--wait", "#error:not([hidden])")
    assert shot.result == "unknown variant 'int4' of /bundle/; it has float16, int8"


def test_a_variant_beyond_its_tolerance_is_no_conformance(shrunk_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(shrunk_bundle, tmp_path / "bundle"))
    vectors, document = (json.loads((bundle / name).read_text()) for name in ("conformance.json", "bundle.json"))
    vectors["variants"]["int8"]["tolerances"]["attributions"] = 1e-5
    text = json.dumps(vectors)
    (bundle / "conformance.json").write_text(text)
    document["files"]["conformance.json"] = hashlib.sha256(text.encode()).hexdigest()
    (bundle / "bundle.json").write_text(json.dumps(document))
    with serving(bundle) as address:
        script = 'return byId("conformance").textContent'
        shot = look(f"{address}?variant=int8", tmp_path, script, *LOADED)
    expected = "This browser does not reproduce the bundle's test vectors: attribution of explain.int8.onnx"
    assert shot.result == expected


def test_pictures_are_explained_by_a_variant_on_a_phone(image_bundle: Path, tmp_path: Path) -> None:
    small = shrink(image_bundle, out=tmp_path / "small", variants="float16", keep_slower=True).path
    script = f"""{REACHED}
    return {{
      check: byId("check").textContent, failed: byId("conformance").dataset.failed,
      load: {{ ...byId("load").dataset }}, variant: byId("variant").value,
      boxes: {{ touched: boxes("select, button, .button"), read: boxes(".target-name, .sum dd, #map-text") }},
    }};
    """
    with serving(small) as address:
        shot = look(f"{address}?variant=float16", tmp_path, script, *LOADED, *PHONE)
    assert (shot.result["failed"], shot.result["variant"]) == ("0", "float16")
    assert shot.result["check"].startswith("Adds up: off by ")
    # The page that gave way to this one had asked for bundle.json.
    loaded = ("prepare.onnx", "model.float16.onnx", "cam.float16.onnx", "pictures.json")
    assert int(shot.result["load"]["bundle"]) == sum((small / name).stat().st_size for name in loaded)
    assert_on_a_phone(shot)


@dataclass
class Visits:
    """One browser's visits to a static host."""

    first: dict[str, Any]
    sent: list[tuple[str, int]]
    """What the host had sent by the end of the first visit."""
    again: dict[str, Any]
    sent_again: list[tuple[str, int]]
    changed: dict[str, Any]
    """After the host's page and bundle have become others."""
    offline: dict[str, Any]
    """When the host is gone."""
    other_variant: str
    """What is said when a variant that was never loaded is asked for then."""


@pytest.fixture(scope="module")
def visits(reference_bundle: Path, shrunk_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Visits:
    folder = tmp_path_factory.mktemp("host")
    root = static_root(folder / "root", reference_bundle)
    host, found = StaticServer(root), []

    def visit() -> Any:
        return look(host.page, folder, f"{TOLD} return told();", "--profile", str(folder / "profile"), *KEPT).result

    with host.serving():
        for _ in range(2):
            found.append(visit())
            found.append(host.sent.copy())
            host.sent.clear()
        page = root / "examples" / "browser" / "page.mjs"
        page.write_text(page.read_text().replace(": predictions and reasons", ": changed"))
        shutil.rmtree(root / "bundle")
        shutil.copytree(shrunk_bundle, root / "bundle")
        found.append(visit())
    found.append(visit())
    # What cannot be had is an error in the browser's own log, too.
    options = ("--no-page", "--profile", str(folder / "profile"), "--wait", "#error:not([hidden])")
    said = 'document.getElementById("error").textContent'
    shot = shoot(f"{host.page}&variant=int8", folder / "page.png", *options, "--eval", said)
    return Visits(*found, other_variant=shot.result)


def static_root(root: Path, bundle: Path) -> Path:
    """A folder that any static host may serve: the examples, and a bundle."""
    shutil.copytree(EXAMPLES / "shared", root / "examples" / "shared")
    ignored = shutil.ignore_patterns("node_modules", "*.map")
    shutil.copytree(EXAMPLES / "browser", root / "examples" / "browser", ignore=ignored)
    if (EXAMPLES / "browser" / "node_modules").exists():
        (root / "examples" / "browser" / "node_modules").symlink_to(EXAMPLES / "browser" / "node_modules")
    shutil.copytree(bundle, root / "bundle")
    return root


def test_the_figures_of_the_first_load_are_what_the_server_sent(visits: Visits, reference_bundle: Path) -> None:
    twice = [path for path, count in Counter(path for path, _ in visits.sent).items() if count > 1]
    assert twice in ([], [PAGE])  # the page itself is kept without its query
    sent, told = dict(visits.sent), {kind: int(count) for kind, count in visits.first["load"].items()}
    later = ("conformance.json", "model.onnx", "gradient.onnx")  # of which the first reason needs none
    engine = {path: size for path, size in sent.items() if path.startswith(ENGINE)}
    bundle = {path: size for path, size in sent.items() if path.startswith("/bundle/")}
    assert bundle.keys() == {f"/bundle/{name}" for name in ("bundle.json", "explain.onnx", *later)}
    assert told["engine"] == sum(engine.values())
    assert told["bundle"] == sum(bundle.values()) - sum(bundle[f"/bundle/{name}"] for name in later)
    page = sum(sent.values()) - sum(engine.values()) - sum(bundle.values()) - sent[f"{PAGE}service-worker.js"]
    assert page - told["page"] in (0, sent[f"{PAGE}icon.svg"])  # browsers ask for the icon when they like
    total = told["page"] + told["engine"] + told["bundle"]
    assert f"with {total:,} bytes transferred: page {told['page']:,}, engine " in visits.first["loaded"]
    assert f"First reason {told['milliseconds']:,} ms after opening" in visits.first["loaded"]


def test_threads_need_the_headers_which_the_service_worker_adds(visits: Visits) -> None:
    assert (visits.first["isolated"], visits.first["threads"]) == (False, 1)
    assert "(WebAssembly with SIMD, 1 thread)" in visits.first["engine"]
    threads = min(visits.again["cores"], 4)
    assert (visits.again["isolated"], visits.again["threads"]) == (True, threads)
    again, first = (dict(each["reasons"]) for each in (visits.again, visits.first))
    assert again == pytest.approx(first, rel=1e-3, abs=1e-5)


def test_threads_are_there_at_once_with_the_headers(reference_bundle: Path, tmp_path: Path) -> None:
    with serving(reference_bundle) as address:
        found = look(address, tmp_path, f"{TOLD} return told();", *LOADED).result
    assert (found["isolated"], found["threads"], found["failed"]) == (True, min(found["cores"], 4), "0")


def test_what_is_kept_is_not_sent_again(visits: Visits) -> None:
    assert [path for path, _ in visits.sent_again if path.startswith((ENGINE, "/bundle/"))] == []
    assert "from the files that this browser keeps" in visits.again["loaded"]


def test_a_changed_page_and_bundle_are_not_shown_as_they_were(visits: Visits, shrunk_bundle: Path) -> None:
    digest = hashlib.sha256((shrunk_bundle / "bundle.json").read_bytes()).hexdigest()
    assert (visits.changed["failed"], visits.first["title"] != visits.changed["title"]) == ("0", True)
    assert visits.changed["title"].endswith(": changed")
    assert sorted(visits.changed["caches"]) == [f"whyport bundle /bundle/ {digest}", "whyport page"]
    assert visits.again["caches"] != visits.changed["caches"]


def test_the_page_works_without_a_network(visits: Visits) -> None:
    for same in ("prediction", "reasons", "failed", "title", "kept", "threads", "caches"):
        assert visits.offline[same] == visits.changed[same], same
    assert visits.offline["offline"].startswith("Works offline: this browser keeps ")
    assert visits.other_variant == "explain.int8.onnx of /bundle/: no answer (Failed to fetch)"


def test_the_page_needs_no_service_worker(reference_bundle: Path, tmp_path: Path) -> None:
    host = StaticServer(static_root(tmp_path / "root", reference_bundle))
    host.lacks.add(f"{PAGE}service-worker.js")
    script = f"(async () => {{ {HELPERS} {TOLD} return told(); }})()"
    with host.serving():
        shot = shoot(host.page, tmp_path / "page.png", "--no-page", *KEPT, "--eval", script)
    assert (shot.result["failed"], shot.result["kept"], shot.result["threads"]) == ("0", 0, 1)
    assert shot.result["offline"].startswith("Needs a network when opened again: ")
    assert [error for error in shot.errors if "service-worker.js" not in error and "404" not in error] == []
