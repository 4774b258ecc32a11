"""Every smaller variant that there is, by Node.js and in Chromium: its test vectors are reproduced."""

from pathlib import Path

import pytest

from support.browser_page import LOADED, look
from support.programs import node, serving
from whyport import shrink
from whyport.runtime.bundle.sidecar import PRECISIONS


@pytest.fixture(scope="module")
def every_variant(reference_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference bundle with all of them, whatever they cost."""
    out = tmp_path_factory.mktemp("every") / "bundle"
    options = {"keep_slower": True, "max_changed": "100%", "max_drift": "100%"}
    return Path(shrink(reference_bundle, out=out, variants=PRECISIONS, **options).place)


def test_node_replays_every_variant(every_variant: Path) -> None:
    done = node("verify", every_variant)
    assert done.returncode == 0, done.stderr
    for name in PRECISIONS:
        for file in (f"model.{name}.onnx", f"explain.{name}.onnx"):
            assert (every_variant / file).exists()
            assert file in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", PRECISIONS)
def test_chromium_explains_by_every_variant(every_variant: Path, tmp_path: Path, name: str) -> None:
    script = 'return [byId("conformance").dataset.failed, byId("variant").value, byId("chart").children.length];'
    with serving(every_variant) as address:
        failed, chosen, reasons = look(f"{address}?variant={name}", tmp_path, script, *LOADED).result
    assert (failed, chosen) == ("0", name)
    assert reasons > 0
