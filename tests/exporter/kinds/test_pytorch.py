import sys

import numpy as np
import pytest
import torch

from support import example_networks as networks
from whyport.exporter.kinds.pytorch import load_weights, make_network
from whyport.runtime.errors import ExportError, UsageError


def test_calls_the_factory_with_the_seed():
    first, again, other = (make_network("example_networks:linear", seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.weight.detach(), again.weight.detach())
    assert (first.weight != other.weight).any()


def test_imports_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "module_of_mine.py").write_text("import torch\n\ndef make():\n    return torch.nn.Linear(2, 2)\n")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    assert make_network("module_of_mine:make", 0).in_features == 2
    assert sys.path == path


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("example_networks", UsageError, "expected MODULE:FACTORY, or a file named"),
        ("no_such_module:make", UsageError, "cannot import 'no_such_module': ModuleNotFoundError"),
        ("example_networks:nothing", UsageError, "module 'example_networks' has no function 'nothing'"),
        ("example_networks:needs_argument", ExportError, r"needs_argument\(\) fails: TypeError"),
        ("example_networks:no_module", ExportError, "expected a torch.nn.Module, got int"),
    ],
)
def test_sources_that_give_no_network(source, error, message):
    with pytest.raises(error, match=f"source '{source}': {message}"):
        make_network(source, 0)


def test_loads_weights(tmp_path):
    source, target = networks.linear(), networks.linear()
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    load_weights(target, tmp_path / "weights.pt")
    np.testing.assert_array_equal(target.weight.detach(), source.weight.detach())


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("the file ran code",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Evil(), "expected tensors only, as torch.save.*Unpickling"),
        (torch.nn.Linear(4, 3), "expected tensors only"),
        ([1], "expected a state dict, tensors by name, got list"),
        ({"epoch": 3}, "expected a state dict, tensors by name, got dict"),
        ({"weight": torch.ones(1)}, "weights bad.pt do not fit the network: .*Missing key.*bias"),
    ],
)
def test_weights_that_are_none(tmp_path, content, message):
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(ExportError, match=message):
        load_weights(networks.linear(), tmp_path / "bad.pt")


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        load_weights(networks.linear(), tmp_path / "none.pt")


def test_safetensors_without_its_library(tmp_path, monkeypatch):
    (tmp_path / "w.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(UsageError, match="pip install safetensors"):
        load_weights(networks.linear(), tmp_path / "w.safetensors")


def test_safetensors_with_its_library(tmp_path):
    library = pytest.importorskip("safetensors.torch")
    source, target = networks.linear(), networks.linear()
    library.save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_weights(target, tmp_path / "w.safetensors")
    np.testing.assert_array_equal(target.weight.detach(), source.weight.detach())
