import sys

import numpy as np
import pytest

from whyport.exporter.kinds.factory import make_model
from whyport.runtime.errors import ExportError, UsageError


def test_calls_the_factory_with_the_seed():
    first, again, other = (make_model("example_networks:linear", seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.weight.detach(), again.weight.detach())
    assert (first.weight != other.weight).any()


def test_imports_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "module_of_mine.py").write_text("import torch\n\ndef make():\n    return torch.nn.Linear(2, 2)\n")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    assert make_model("module_of_mine:make", 0).in_features == 2
    assert sys.path == path


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("example_networks", UsageError, "expected MODULE:FACTORY, or a file named"),
        ("no_such_module:make", UsageError, "cannot import 'no_such_module': ModuleNotFoundError"),
        ("example_networks:nothing", UsageError, "module 'example_networks' has no function 'nothing'"),
        ("example_networks:needs_argument", ExportError, r"needs_argument\(\) fails: TypeError"),
    ],
)
def test_sources_that_give_no_model(source, error, message):
    with pytest.raises(error, match=f"source '{source}': {message}"):
        make_model(source, 0)
