"""The programs of examples/, run as a user would; scripts/node-modules installs what they need."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
REQUIRED = "WHYPORT_BROWSER"
"""The variable that, set to "required", makes a missing tool a failure, as for tests that look at pages."""


def node(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run examples/node's program, which must not print anything but its own words."""
    _require("node")
    command = ["node", EXAMPLES / "node" / "whyport-bundle.mjs", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@contextmanager
def serving(bundle: Path, *, page: bool = True, port: int = 0) -> Iterator[str]:
    """The address of the browser's page while examples/browser's server serves it and a bundle.

    Without `page`, what the page itself needs may be missing. Port 0 is any that is free.
    """
    _require("browser" if page else None)
    command = ["node", EXAMPLES / "browser" / "serve.mjs", bundle, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def _require(example: str | None) -> None:
    missing = [] if shutil.which("node") else ["node"]
    if example is not None and not (EXAMPLES / example / "node_modules").exists():
        missing.append(f"examples/{example}/node_modules")
    if not missing:
        return
    message = f"no {' and no '.join(missing)}: scripts/browser and scripts/node-modules install them"
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(message)
    pytest.skip(message)
