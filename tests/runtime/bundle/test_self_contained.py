"""No graph of a bundle can read a file outside it, wherever in the graph the reference is."""

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import AttributeProto, GraphProto, ModelProto, SparseTensorProto, TensorProto

from support.bundles import linear_bundle, linear_sidecar, refresh_digests
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.self_contained import check_self_contained
from whyport.runtime.errors import BundleFormatError
from whyport.runtime.session import Session

SIDECAR = linear_sidecar(True, ("a", "b", "c"), ("no", "yes"))


def outside(name: str = "weights") -> TensorProto:
    """A tensor whose values are in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2, 3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def sparse() -> SparseTensorProto:
    return SparseTensorProto(values=outside(), dims=[2, 3])


def subgraph() -> GraphProto:
    return GraphProto(name="inner", initializer=[outside()])


def attribute(**fields: object) -> AttributeProto:
    return AttributeProto(name="value", **fields)


def _sparse_indices(model: ModelProto) -> None:
    model.graph.sparse_initializer.add(indices=outside(), dims=[2, 3])


def _twice_nested(model: ModelProto) -> None:
    inner = GraphProto(name="outer")
    inner.node.add(op_type="If").attribute.append(attribute(g=subgraph()))
    model.graph.node.add(op_type="Loop").attribute.append(attribute(graphs=[GraphProto(), inner]))


def _location_alone(model: ModelProto) -> None:
    model.graph.initializer.add(name="weights", data_location=TensorProto.EXTERNAL)


def _entries_alone(model: ModelProto) -> None:
    model.graph.initializer.add(name="weights").external_data.add(key="location", value="secret.bin")


def _memory(model: ModelProto) -> None:
    tensor = outside()
    tensor.external_data[0].value = "*/_ORT_MEM_ADDR_/*"
    model.graph.initializer.append(tensor)


PLACES: dict[str, Callable[[ModelProto], object]] = {
    "initializer": lambda model: model.graph.initializer.append(outside()),
    "sparse values": lambda model: model.graph.sparse_initializer.append(sparse()),
    "sparse indices": _sparse_indices,
    "attribute": lambda model: model.graph.node.add(op_type="Constant").attribute.append(attribute(t=outside())),
    "attributes": lambda model: model.graph.node.add().attribute.append(attribute(tensors=[outside(), outside()])),
    "sparse attribute": lambda model: model.graph.node.add().attribute.append(attribute(sparse_tensor=sparse())),
    "sparse attributes": lambda model: model.graph.node.add().attribute.append(attribute(sparse_tensors=[sparse()])),
    "subgraph": lambda model: model.graph.node.add(op_type="If").attribute.append(attribute(g=subgraph())),
    "twice nested": _twice_nested,
    "function": lambda model: model.functions.add(name="f").node.add().attribute.append(attribute(t=outside())),
    "function's default": lambda model: model.functions.add(name="f").attribute_proto.append(attribute(t=outside())),
    "training": lambda model: model.training_info.add().initialization.CopyFrom(subgraph()),
    "training's step": lambda model: model.training_info.add().algorithm.CopyFrom(subgraph()),
    "location alone": _location_alone,
    "entries alone": _entries_alone,
    "memory": _memory,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linear_bundle(tmp_path_factory.mktemp("sound") / "bundle")


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_found(sound: Path, place: str) -> None:
    model = onnx.load_from_string((sound / "model.onnx").read_bytes())
    check_self_contained("model.onnx", model.SerializeToString())
    PLACES[place](model)
    with pytest.raises(BundleFormatError, match=r"expected every tensor inside the file, got tensor '(weights)?'"):
        check_self_contained("model.onnx", model.SerializeToString())


@pytest.mark.parametrize("name", ["model.onnx", "explain.onnx", "gradient.onnx", "training/other.onnx"])
def test_a_bundle_with_external_data_is_refused_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = linear_bundle(tmp_path / "bundle")
    model = onnx.load_from_string((path / "model.onnx").read_bytes())
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "weights")
    (tmp_path / "secret.bin").write_bytes(np.full((2, 3), 7, np.float32).tobytes())
    weights.CopyFrom(outside())
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_bytes(model.SerializeToString())
    refresh_digests(path, SIDECAR)
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would look for the file
    for opens in (Bundle.read, Session):
        with pytest.raises(BundleFormatError, match=rf"tensor 'weights' with external data, in .*{name}"):
            opens(path)


def _varint(value: int) -> bytes:
    bytes_ = bytearray()
    while value > 127:
        bytes_.append(value & 127 | 128)
        value >>= 7
    return bytes(bytes_) + bytes([value])


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


@pytest.mark.parametrize(
    "content",
    [
        b"\x7f",
        b"\xff" * 20,
        b"\x3a\x05ab",
        b"\x3b\x3c",  # a group
        _message(7, b"\x2a\xff"),
        b"\x39\x00",
        b"ORTM" * 8,
        struct.pack("<I", 24) + b"ORTM" + bytes(40),
    ],
)
def test_content_that_is_no_onnx_is_refused(content: bytes) -> None:
    with pytest.raises(BundleFormatError, match="expected an ONNX file"):
        check_self_contained("explain.onnx", content)


def test_deeply_nested_graphs_are_walked() -> None:
    content = _message(5, _message(13, b""))
    for _ in range(3000):
        content = _message(1, _message(5, _message(6, content)))
    with pytest.raises(BundleFormatError, match="external data"):
        check_self_contained("model.onnx", _message(7, content))


class Reads(torch.nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows + torch.from_file("secret.bin", shared=False, size=3)


class Writes(torch.nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        torch.save(rows, "stolen.bin")
        return rows


class Plain(torch.nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows + 1


def scripted(module: torch.nn.Module) -> bytes:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(module.eval()), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["model.pt", "deepshap.pt"])
def test_torchscript_that_reads_or_writes_files_is_refused(name: str) -> None:
    check_self_contained(name, scripted(Plain()))
    for module, operator in ((Reads(), "from_file"), (Writes(), "save")):
        with pytest.raises(BundleFormatError, match=f"the operator '{operator}'"):
            check_self_contained(name, scripted(module))


def test_a_torchscript_archive_that_unpacks_without_end_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/code/bomb.py", bytes(50_000_000))
    with pytest.raises(BundleFormatError, match="unpack to 50000000"):
        check_self_contained("model.pt", buffer.getvalue())
