import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from support.browser_page import LOADED, look
from support.programs import EXAMPLES, serving
from whyport import Bundle, Session

CHANGED = "mean radius"


@pytest.fixture(scope="module")
def session(reference_bundle: Path) -> Session:
    return Session(Bundle.read(reference_bundle))


def attributions(session: Session, shown: dict[str, Any]) -> list[float]:
    """What the chart shows, in the order of the features."""
    values = dict(shown["reasons"])
    return [values[feature.name] for feature in session.bundle.sidecar.columns]


def test_test_vectors_are_shown_with_their_attributions(
    reference_bundle: Path, session: Session, tmp_path: Path
) -> None:
    vectors = json.loads((reference_bundle / "conformance.json").read_text())["tensors"]
    expected, classes = np.array(vectors["attribution"]), session.bundle.sidecar.targets
    explained = [[i, k] for i, k in enumerate(vectors["explained_target"])]
    script = """
    byId("more").click();
    await updated(() => byId("follow").click());
    const radios = document.querySelectorAll("#targets input[type=radio]");
    const rows = [];
    for (const [i, explained] of VECTORS) {
      await start(i + 1);
      if (!radios[explained].checked) await updated(() => radios[explained].click());
      rows.push(shown());
    }
    return { rows, conformance: byId("conformance").textContent, failed: byId("conformance").dataset.failed };
    """
    with serving(reference_bundle) as address:
        result = look(address, tmp_path, script.replace("VECTORS", str(explained)), *LOADED).result
    assert result["failed"] == "0"
    assert result["conformance"].startswith("This browser reproduces the bundle's test vectors: outputs within ")
    for (i, k), row in zip(explained, result["rows"], strict=True):
        assert_allclose(attributions(session, row), expected[i], rtol=1e-4, atol=1e-5)
        sizes = np.abs([value for _, value in row["reasons"]])
        assert (np.diff(sizes) <= 0).all()
        assert row["prediction"] == classes[int(np.argmax(vectors["logits"][i]))]
        assert row["heading"] == f"Reasons for {classes[k]}"
        base, total, score = (float(text.replace("\u2212", "-")) for text in row["sum"])
        assert abs(base + total - score) < 0.02  # each is rounded to two decimals
        assert row["check"].startswith("Adds up: off by ")
        assert row["error"] <= 1e-4 * max(1, abs(score - base))


def test_a_changed_value_and_another_class_change_the_reasons(
    reference_bundle: Path, session: Session, tmp_path: Path
) -> None:
    script = """
    byId("more").click();
    const before = shown();
    await updated(() => change(field("mean radius"), 31));
    const changed = shown();
    await updated(() => document.querySelectorAll("#targets input[type=radio]")[1].click());
    const second = shown();
    await updated(() => document.querySelectorAll("#targets input[type=radio]")[0].click());
    const first = shown();
    await updated(() => change(field("mean radius"), ""));
    const missing = shown();
    return { before, changed, second, first, missing };
    """
    with serving(reference_bundle) as address:
        shot = look(address, tmp_path, script, *LOADED, "--width", "390", "--dark")
    assert shot.width == 390  # nothing stands out on a phone
    result = shot.result
    features, classes = session.bundle.sidecar.columns, session.bundle.sidecar.targets
    row = np.array(
        [[31.0 if feature.name == CHANGED else feature.statistics.median for feature in features]], dtype=np.float32
    )
    medians = np.array([[feature.statistics.median for feature in features]], dtype=np.float32)
    missing = np.where(row == 31, np.float32(np.nan), row)
    for name, rows, explained in [
        ("before", medians, None),
        ("changed", row, None),
        ("second", row, 1),
        ("first", row, 0),
        ("missing", missing, 0),
    ]:
        expected = session.explain(rows, explained)
        assert_allclose(attributions(session, result[name]), expected.values[0], rtol=1e-4, atol=1e-5)
        assert result[name]["heading"] == f"Reasons for {classes[expected.target[0]]}"
    assert result["changed"]["notice"] == "mean radius is outside of what the model was trained on"
    assert result["before"]["notice"] == result["missing"]["notice"] == ""
    assert result["changed"]["reasons"] != result["before"]["reasons"]


def test_a_changed_file_is_refused(reference_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(reference_bundle, tmp_path / "bundle"))
    (bundle / "explain.onnx").write_bytes((bundle / "explain.onnx").read_bytes() + b"\0")
    with serving(bundle) as address:
        shot = look(address, tmp_path, 'return byId("error").textContent', "--wait", "#error:not([hidden])")
    assert shot.result.startswith("explain.onnx of /bundle/ has changed: expected sha256 ")


@contextmanager
def serving_folder(folder: Path) -> Iterator[str]:
    """The address of Python's own server, for a folder."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().split("(")[1].split("/)")[0]
        finally:
            server.terminate()


def test_any_static_server_will_do(reference_bundle: Path, tmp_path: Path) -> None:
    with serving_folder(EXAMPLES.parent) as address:
        page = f"{address}/examples/browser/?bundle=/models/{reference_bundle.name}"
        assert look(page, tmp_path, 'return byId("conformance").dataset.failed', *LOADED).result == "0"


def test_the_server_gives_nothing_else_away(reference_bundle: Path) -> None:
    with serving(reference_bundle, page=False) as address:
        for path in ("/bundle/../bundle.json", "/bundle/%2e%2e/README.md", "/%2e%2e/README.md", "/bundle/", "/%"):
            assert asked(address, path) in (400, 404)


def asked(address: str, path: str, **headers: str) -> int:
    """The status of the answer to a request; 200 only with content."""
    connection = http.client.HTTPConnection(address.split("/")[2])
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    assert (answer.status == 200) == bool(answer.read())
    connection.close()
    return answer.status


def test_the_server_follows_no_link_out_of_the_bundle(reference_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(reference_bundle, tmp_path / "bundle"))
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    for name in ("secret.json", "deep/secret.json"):
        (outside / name).write_text("{}")
    (tmp_path / "bundle-2").mkdir()
    (tmp_path / "bundle-2" / "secret.json").write_text("{}")  # its path begins with the bundle's
    links = {
        "file.json": outside / "secret.json",
        "relative.json": Path("../outside/secret.json"),
        "folder": outside,
        "alike.json": tmp_path / "bundle-2" / "secret.json",
        "gone.json": tmp_path / "gone",
        "round": Path("round"),
        "twice.json": Path("file.json"),
    }
    for name, target in links.items():
        (bundle / name).symlink_to(target)
    (bundle / "inside.json").symlink_to("bundle.json")
    os.mkfifo(bundle / "pipe.json")
    (tmp_path / "named").symlink_to(bundle)
    for root in (bundle, tmp_path / "named"):
        with serving(root, page=False) as address:
            for name in (*links, "folder/secret.json", "folder/deep/secret.json", "pipe.json", "%00"):
                assert asked(address, f"/bundle/{name}") == 404, name
            for name in ("bundle.json", "inside.json", "model.onnx"):
                assert asked(address, f"/bundle/{name}") == 200, name


def test_the_server_answers_its_own_names_alone(reference_bundle: Path) -> None:
    with serving(reference_bundle, page=False) as address:
        port = address.split("/")[2].split(":")[1]
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
            assert asked(address, "/bundle/bundle.json", Host=host) == 200
            assert asked(address, "/", Host=host) == 302
        others = [
            "evil.example",
            f"evil.example:{port}",
            f"127.0.0.1.evil.example:{port}",
            "127.0.0.1",
            "localhost:1",
            "",
        ]
        for host in (*others, f"localhost:{port}.evil.example", f"user@localhost:{port}", f"[::1]:{port}"):
            for path in ("/bundle/bundle.json", "/", "/browser/", f"http://localhost:{port}/bundle/bundle.json"):
                assert asked(address, path, Host=host) == 421, host
