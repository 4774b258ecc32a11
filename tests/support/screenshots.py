"""Pages looked at in Chromium, by tests/browser/shoot.mjs; scripts/browser installs what it needs."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "browser"
REQUIRED = "WHYPORT_BROWSER"
"""The variable that, set to "required", makes a missing browser a failure."""


OVERLAPS = """JSON.stringify([...document.querySelectorAll('.picture svg')].flatMap(svg => {
    const isLevel = text => /[^\\s←→]/.test(text.textContent) && !/rotate/.test(text.outerHTML);
    const texts = [...svg.querySelectorAll('text')].filter(isLevel);
    const boxes = texts.map(text => text.getBoundingClientRect());
    return boxes.flatMap((a, i) => boxes.slice(0, i).flatMap((b, j) =>
        a.left + 2 < b.right && b.left + 2 < a.right && a.top + 4 < b.bottom && b.top + 4 < a.bottom
            ? [[svg.closest('figure').id, texts[i].textContent, texts[j].textContent]] : []));
}))"""
"""An expression for texts of a report that lie over each other, by their boxes less a little of each side."""


@dataclass(frozen=True)
class Shot:
    """What a page was like."""

    errors: list[str]
    """Messages on the console, exceptions, failed requests."""
    requests: list[str]
    """What the page asked for beside itself."""
    result: Any
    """Of the expression that was evaluated."""
    violations: list[str]
    """What axe-core found by the rules of --axe, a line each."""
    width: int
    """Of the whole page, in CSS pixels."""
    height: int


def shoot(url: str, out: Path, *options: str) -> Shot:
    """Photograph a page into `out`, with options of shoot.mjs; skips the test where there is no browser to be had."""
    missing = missing_tools()
    if missing:
        message = f"no {' and no '.join(missing)}: scripts/browser installs them"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(message)
        pytest.skip(message)
    done = subprocess.run(
        ["node", "shoot.mjs", url, str(out.resolve()), *options], cwd=FOLDER, capture_output=True, text=True
    )
    assert done.stdout, done.stderr
    return Shot(**json.loads(done.stdout))


def missing_tools() -> list[str]:
    """What is not installed of Chromium, Node.js, playwright-core and axe-core."""
    chromium = os.environ.get("CHROMIUM", "chromium")
    missing = [name for name in (chromium, "node") if shutil.which(name) is None]
    return missing + [name for name in ("playwright-core", "axe-core") if not (FOLDER / "node_modules" / name).exists()]
