import sys

import numpy as np
import pytest
from torch import nn

from support import example_networks
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


EXPECTED = r"expected MODULE:NAME, or a file named \*.onnx or [^;]*\*.pkl or \*.pickle or \*.joblib"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("example_networks", f"{EXPECTED}$"),
        ("example_networks:", f"{EXPECTED}$"),
        (":linear", f"{EXPECTED}$"),
        ("example_networks.linear", f"{EXPECTED}; did you mean example_networks:linear\\?$"),
        ("example_networks.py:linear", f"{EXPECTED}; a module goes by its name: example_networks:linear$"),
        ("./example_networks.py:linear", f"{EXPECTED}; a module goes by its name: example_networks:linear$"),
        ("example_networks.py", f"{EXPECTED}; a module goes by its name: example_networks:NAME$"),
        (
            "src/My.PY:make",
            f"{EXPECTED}; a module goes by its name: My:make, in the folder 'src' or with it in PYTHONPATH",
        ),
        ("best.pt", f"{EXPECTED}; a file of weights goes with its network: MODULE:NAME --weights FILE$"),
        ("folder/model", f"{EXPECTED}$"),
        ("a/b.safetensors", f"{EXPECTED}; a file of weights goes with its network"),
        ("no_such_module:make", "cannot import 'no_such_module': ModuleNotFoundError"),
        (
            "example_networks:linaer",
            r"module 'example_networks': unknown model or function 'linaer' \(did you mean 'linear'\?\); known: ",
        ),
        (
            "example_networks:needs_argument",
            r"needs_argument\(\) needs arguments \(missing .*'width'\); write a function",
        ),
    ],
)
def test_sources_that_name_no_factory(source, message):
    with pytest.raises(UsageError, match=f"^source '{source}': {message}"):
        make_model(source, 0)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scripted", nn.Identity, None),
        ("Net", nn.Linear, r"Net\(\) needs arguments \(missing a required argument: 'in_features'\); write a function"),
        ("state", nn.Linear(2, 2).state_dict(), "state is an object of type OrderedDict, no model; name a fitted"),
        ("number", 3, "number is an object of type int, no model; name a fitted model, or a function without"),
    ],
)
def test_objects_in_place_of_a_factory(name, value, message, monkeypatch):
    monkeypatch.setattr(example_networks, name, value, raising=False)
    source = f"{example_networks.__name__}:{name}"
    if message is None:
        assert isinstance(make_model(source, 0), value)
        return
    with pytest.raises(UsageError, match=message):
        make_model(source, 0)


@pytest.mark.parametrize("net", [nn.Linear(2, 2), nn.Sequential()])
def test_a_model_by_its_name(net, monkeypatch):
    monkeypatch.setattr(example_networks, "net", net, raising=False)
    assert make_model(f"{example_networks.__name__}:net", 0) is net


def test_a_factory_that_fails(monkeypatch):
    monkeypatch.setattr(example_networks, "broken", lambda: 1 / 0, raising=False)
    with pytest.raises(ExportError, match=r"broken\(\) fails: ZeroDivisionError: division by zero"):
        make_model(f"{example_networks.__name__}:broken", 0)
