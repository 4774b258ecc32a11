import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from whyport.exporter.bundle.package import Package
from whyport.exporter.bundle.target import Target, check_target
from whyport.exporter.bundle.write import write_bundle
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import ParityError, UsageError


@pytest.fixture
def package(trained):
    return Package(trained.sidecar, {name: trained.read_bytes(name) for name in trained.sidecar.files})


def tampered(package):
    model = onnx.load_model_from_string(package.files["model.onnx"])
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "network.head.bias")
    values = onnx.numpy_helper.to_array(weights) + np.float32(0.1)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    return Package(package.sidecar, {**package.files, "model.onnx": model.SerializeToString()})


def test_writes_the_same_bundle_again(package, trained, tmp_path):
    bundle = write_bundle(tmp_path / "new" / "bundle", package)
    assert bundle.digest == trained.digest
    assert os.listdir(tmp_path / "new") == ["bundle"]
    assert (bundle.path.stat().st_mode & 0o777) == (tmp_path / "new").stat().st_mode & 0o777


def test_a_failed_replay_leaves_nothing(package, tmp_path):
    with pytest.raises(ParityError, match="conformance values"):
        write_bundle(tmp_path / "bundle", tampered(package))
    assert os.listdir(tmp_path) == []


def test_a_failed_overwrite_leaves_the_old_bundle(package, tmp_path, monkeypatch):
    old = write_bundle(tmp_path / "bundle", package)
    with pytest.raises(ParityError):
        write_bundle(tmp_path / "bundle", tampered(package), overwrite=True)
    rename, calls = os.rename, []

    def fail_second(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError("no space")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_second)
    with pytest.raises(OSError, match="no space"):
        write_bundle(tmp_path / "bundle", package, overwrite=True)
    assert os.listdir(tmp_path) == ["bundle"]
    assert Bundle.read(tmp_path / "bundle").digest == old.digest


def test_overwrites_when_asked(package, tmp_path):
    write_bundle(tmp_path / "bundle", package)
    fewer = Package(package.sidecar, {n: c for n, c in package.files.items() if not n.startswith("training/")})
    with pytest.raises(UsageError, match="bundle' exists; --overwrite replaces it"):
        write_bundle(tmp_path / "bundle", fewer)
    write_bundle(tmp_path / "bundle", fewer, overwrite=True)
    assert not (tmp_path / "bundle" / "training").exists()
    assert os.listdir(tmp_path) == ["bundle"]


def test_overwrites_nothing_but_a_bundle(tmp_path):
    (tmp_path / "precious").mkdir()
    with pytest.raises(UsageError, match="precious' is not a bundle and is not replaced"):
        check_target(tmp_path / "precious", overwrite=True)
    check_target(tmp_path / "new", overwrite=False)


def test_the_name_is_the_folders_unless_given():
    assert Target(Path("models/flowers")).bundle_name() == "flowers"
    assert Target(Path("models/flowers"), name="iris").bundle_name() == "iris"
