import sys

import numpy as np
import pytest
import torch

from support import example_networks as networks
from whyport.exporter.kinds.pytorch import load_weights, with_plain_weights
from whyport.runtime.errors import ExportError, UsageError


def test_loads_weights(tmp_path):
    source, target = networks.linear(), networks.linear()
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    load_weights(target, tmp_path / "weights.pt")
    np.testing.assert_array_equal(target.weight.detach(), source.weight.detach())


def test_parametrized_weights_are_computed_once():
    network = torch.nn.Sequential(torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(3, 3)), torch.nn.ReLU())
    plain = with_plain_weights(network)
    assert "parametrizations" not in dict(plain[0].named_modules())
    weight = plain[0].weight.detach()
    np.testing.assert_allclose(weight @ weight.T, np.eye(3), atol=1e-6)
    np.testing.assert_array_equal(weight, network[0].weight.detach())
    assert torch.nn.utils.parametrize.is_parametrized(network[0])
    assert with_plain_weights(plain) is plain


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
