"""The examples of docs/bring-your-own.md, one a kind, run as they are written."""

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import Whyport
from support.pages import ROOT
from whyport import Bundle
from whyport.exporter.kinds import KINDS

PAGE = (ROOT / "docs" / "bring-your-own.md").read_text(encoding="utf-8")
PART = PAGE[PAGE.index("## One example a kind") :].partition("\n## ")[0]
TABLE, *EXAMPLES = re.split(r"^### ", PART, flags=re.MULTILINE)
TITLES = {
    "scikit-learn": ("sklearn", "treeshap"),
    "A pickle or joblib file": ("sklearn", "treeshap"),
    "XGBoost": ("xgboost", "treeshap"),
    "LightGBM": ("lightgbm", "treeshap"),
    "CatBoost": ("catboost", "treeshap"),
    "Keras": ("keras", "deepshap"),
    "PyTorch": ("pytorch", "deepshap"),
    "ONNX": ("onnx", ""),
}
"""By the example's title: the kind, and the exact method that its bundle must have."""


def run_files(text: str) -> None:
    """Write a section's Python files into the working folder, and run each one."""
    for name, code in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        Path(name).write_text(code, encoding="utf-8")
        runpy.run_path(name, run_name="__main__")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the table, as the working folder and on the path of modules."""
    made = tmp_path_factory.mktemp("examples")
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.syspath_prepend(made)
        run_files(TABLE)
        yield made
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(made)):
            del sys.modules[name]


# Keras' variables say it of themselves when the optimiser's are saved.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.partition("\n")[0])
def test_the_example_gives_a_bundle(folder: Path, whyport: Whyport, example: str) -> None:
    _, method = TITLES[example.partition("\n")[0]]
    run_files(example)
    (lines,) = re.findall(r"^```bash\n(.*?)^```$", example, re.MULTILINE | re.DOTALL)
    for line in lines.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "whyport"
        whyport(*arguments)
    bundle = Bundle.read(folder / arguments[-1])
    assert bundle.sidecar.targets == ("no", "yes")
    assert not method or bundle.sidecar.capabilities[method].available


def test_every_kind_has_an_example() -> None:
    assert [example.partition("\n")[0] for example in EXAMPLES] == list(TITLES)
    assert {kind for kind, _ in TITLES.values()} == set(KINDS)
