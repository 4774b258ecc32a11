"""The page for pictures in Chromium: what it shows of a picture is what whyport computes of it."""

import base64
import hashlib
import json
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from PIL import Image

from support.browser_page import LOADED, look
from support.programs import serving
from whyport import Bundle, Session

SHOWN = """
const shownNow = () => ({
  prediction: byId("prediction").value,
  amounts: [...document.querySelectorAll("#target-list .number")].map((each) => each.textContent),
  chosen: [...document.querySelectorAll("#targets input[type=radio]")].findIndex((radio) => radio.checked),
  heading: byId("map-heading").textContent,
  values: JSON.parse(byId("map").dataset.values || "[]"),
  sum: ["bias", "mean", "score"].map((id) => byId(id).textContent),
  check: byId("check").textContent,
  place: byId("map-text").textContent,
  painted: [...byId("map").toDataURL()].reduce((sum, each) => (31 * sum + each.codePointAt(0)) % 1000003, 0),
  error: byId("error").hidden ? "" : byId("error").textContent,
});
const give = (base64, name) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name));
  byId("file").files = files.files;
  byId("file").dispatchEvent(new Event("change"));
};
const failed = () => new Promise((done) => {
  const observer = new MutationObserver(() => { observer.disconnect(); done(); });
  observer.observe(byId("error"), { attributes: true, childList: true });
});
"""


def photo(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Waves of three colours."""
    y, x = np.mgrid[:height, :width] / height
    waves = [np.sin(5 * x + seed), np.cos(4 * y), np.sin(3 * (x + y) + seed)]
    return (np.stack(waves, axis=-1) * 110 + 128).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def computed(session: Session, pixels: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The probabilities [C], the scores [C] and the maps [C, h, w] of a picture, by Python."""
    rows = session.matrix(pa.table({"photo": pa.array([png(pixels)], pa.binary())}))
    outputs, maps = session.run(rows, ["logits", "probabilities"]), session.class_maps(rows)
    return outputs["probabilities"][0], outputs["logits"][0], maps["cam"][0]


@pytest.fixture(scope="module")
def session(image_bundle: Path) -> Session:
    return Session(Bundle.read(image_bundle))


def test_a_picture_and_a_changed_view_of_it(image_bundle: Path, session: Session, tmp_path: Path) -> None:
    first, second = photo(37, 52, 1), photo(80, 61, 2)
    script = f"""{SHOWN}
    await updated(() => give("{base64.b64encode(png(first)).decode()}", "first.png"));
    const first = shownNow();
    await updated(() => document.querySelectorAll("#targets input[type=radio]")[1 - first.chosen].click());
    const other = shownNow();
    await updated(() => give("{base64.b64encode(png(second)).decode()}", "second.png"));
    const second = shownNow();
    await updated(() => change(byId("zoom"), 2));
    await updated(() => change(byId("down"), 1));
    const zoomed = shownNow();
    await updated(() => change(byId("brightness"), 0.5));
    const darker = shownNow();
    await updated(() => byId("reset").click());
    const again = shownNow();
    change(byId("strength"), 0);
    const bare = shownNow();
    return {{ first, other, second, zoomed, darker, again, bare }};
    """
    with serving(image_bundle) as address:
        shot = look(address, tmp_path, script, *LOADED, "--width", "390", "--dark")
    assert shot.width == 390  # nothing stands out on a phone
    found = shot.result
    part = second[40:, 15:46]  # the lower half of the height, and of the width the middle
    darker = np.rint(part * 0.5).astype(np.uint8)
    for name, pixels in [
        ("first", first),
        ("other", first),
        ("second", second),
        ("zoomed", part),
        ("darker", darker),
        ("again", second),
        ("bare", second),
    ]:
        shown = found[name]
        probabilities, scores, maps = computed(session, pixels)
        target = shown["chosen"]
        # A pixel that prepare.onnx makes may be off by 1 of 255.
        assert_allclose(shown["values"], maps[target].ravel(), atol=1e-3, err_msg=name)
        assert shown["heading"] == f"Class activation map of {session.bundle.sidecar.targets[target]}"
        assert shown["prediction"] == session.bundle.sidecar.targets[int(scores.argmax())]
        assert shown["check"].startswith("Adds up: off by ")
        bias, mean, score = (float(text.replace("\u2212", "-")) for text in shown["sum"])
        assert abs(bias + mean - score) < 0.02  # each is rounded to two decimals
        assert abs(score - scores[target]) < 0.02
        assert shown["error"] == ""
        assert shown["place"].startswith("Strongest at the ")
        for text, share in zip(shown["amounts"], probabilities, strict=True):
            assert abs(float(text.split()[0]) - 100 * share) < 0.2
    assert found["other"]["chosen"] == 1 - found["first"]["chosen"]
    painted = [found[name]["painted"] for name in ("first", "other", "second", "zoomed", "bare")]
    assert len(set(painted)) == len(painted)
    assert found["again"]["painted"] == found["second"]["painted"]


def test_the_test_pictures_are_reproduced(image_bundle: Path, tmp_path: Path) -> None:
    script = 'return { text: byId("conformance").textContent, ...byId("conformance").dataset }'
    with serving(image_bundle) as address:
        found = look(address, tmp_path, script, *LOADED).result
    assert found["failed"] == "0"
    assert float(found["furthest"]) <= 3  # JPEG decoders round differently
    assert found["text"].startswith("This browser reproduces the bundle's test vectors: outputs and maps within ")


def rewrite(bundle: Path, document: dict[str, Any], name: str, content: dict[str, Any]) -> None:
    """Write a file of a bundle anew, with its digest in the sidecar."""
    text = json.dumps(content)
    (bundle / name).write_text(text)
    document["files"][name] = hashlib.sha256(text.encode()).hexdigest()
    (bundle / "bundle.json").write_text(json.dumps(document))


def test_other_pixels_are_no_conformance(image_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(image_bundle, tmp_path / "bundle"))
    pictures = json.loads((bundle / "pictures.json").read_text())
    pixels = bytearray(base64.b64decode(pictures["pictures"][2]["prepared"]))
    pixels[5] ^= 64
    pictures["pictures"][2]["prepared"] = base64.b64encode(pixels).decode()
    rewrite(bundle, json.loads((bundle / "bundle.json").read_text()), "pictures.json", pictures)
    script = 'return { text: byId("conformance").textContent, failed: byId("conformance").dataset.failed }'
    with serving(bundle) as address:
        found = look(address, tmp_path, script, *LOADED).result
    expected = "This browser does not reproduce the bundle's test vectors: pixels of test picture 3"
    assert found == {"failed": "1", "text": expected}


def test_what_is_no_picture_is_said(image_bundle: Path, tmp_path: Path) -> None:
    script = f"""{SHOWN}
    const before = shownNow();
    const told = failed();
    give("{base64.b64encode(b"no picture").decode()}", "notes.txt");
    await told;
    const after = shownNow();
    await updated(() => give("{base64.b64encode(png(photo(20, 20, 3))).decode()}", "good.png"));
    return {{ before, after, good: shownNow() }};
    """
    with serving(image_bundle) as address:
        found = look(address, tmp_path, script, *LOADED).result
    assert found["after"]["error"] == "expected a picture that this browser can read, got notes.txt"
    assert found["after"]["values"] == found["before"]["values"]
    assert found["good"]["error"] == ""
    assert found["good"]["values"] != found["before"]["values"]


def test_a_bundle_without_maps_predicts(image_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(image_bundle, tmp_path / "bundle"))
    document = json.loads((bundle / "bundle.json").read_text())
    document["capabilities"]["cam"] = {"available": False, "reason": "the network does not end in a mean"}
    document["graphs"] = [graph for graph in document["graphs"] if graph["kind"] != "cam"]
    vectors = json.loads((bundle / "conformance.json").read_text())
    del vectors["graphs"]["cam.onnx"]
    rewrite(bundle, document, "conformance.json", vectors)
    script = f"{SHOWN} return {{ ...shownNow(), failed: byId('conformance').dataset.failed, sum: byId('sum').hidden }};"
    with serving(bundle) as address:
        found = look(address, tmp_path, script, *LOADED).result
    assert (found["failed"], found["sum"]) == ("0", True)
    assert found["check"] == "no map: the network does not end in a mean"
    assert found["values"] == []
    assert found["prediction"]
