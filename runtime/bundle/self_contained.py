"""Graphs that would read files outside the bundle, refused before any engine opens them.

ONNX can keep tensors in other files, and ONNX Runtime looks for these in the working directory. TorchScript can read
and write files by name. No digest covers such a file, so no bundle may need one.
"""

import io
import re
import zipfile
from collections.abc import Iterator

from whyport.runtime.bundle.sidecar import DEEPSHAP_MODEL, TORCHSCRIPT_MODEL
from whyport.runtime.errors import BundleFormatError, message_line

EMBEDDED: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}
"""The fields of ONNX's messages that can hold a tensor, at any depth: field number to message (onnx.proto)."""

NAME, EXTERNAL_DATA, DATA_LOCATION = 8, 13, 14
"""Fields of TensorProto."""

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
"""Protobuf's wire types, but for the groups, which ONNX does not have."""

FILE_OPERATORS = re.compile(rb"\b(?:torch|aten)\s*\.\s*(from_file|save)\b")
"""TorchScript's operators that read or write a file by name."""


MOST_UNPACKED = 64
"""The most bytes that a byte of a TorchScript archive may unpack to: weights are stored, and code shrinks tenfold."""


def check_self_contained(name: str, content: bytes) -> None:
    """Raise BundleFormatError for a graph that needs other files, or that is no graph; other files pass.

    Args:
        name: the file's name in the bundle.
        content: its content.
    """
    if name.endswith(".onnx"):
        _check_onnx(memoryview(content))
    elif name in (TORCHSCRIPT_MODEL, DEEPSHAP_MODEL):
        _check_torchscript(content)


def _check_onnx(content: memoryview) -> None:
    messages = [("ModelProto", content)]
    while messages:  # no recursion: the file decides how deep it goes
        kind, message = messages.pop()
        embedded = EMBEDDED[kind]
        tensor, elsewhere = "", False
        for number, value in _fields(message):
            if isinstance(value, memoryview) and number in embedded:
                messages.append((embedded[number], value))
            elif kind == "TensorProto" and isinstance(value, memoryview) and number == NAME:
                tensor = str(value, "utf-8", "replace")
            elif kind == "TensorProto":
                # Old files say DEFAULT, 0, of every tensor.
                elsewhere |= number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0)
        if elsewhere:
            raise BundleFormatError(f"expected every tensor inside the file, got tensor {tensor!r} with external data")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a protobuf message: their numbers, and a number, or the bytes of what has a length."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire_type == LENGTH:
            length, at = _varint(message, at)
        elif wire_type in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if wire_type == EIGHT_BYTES else 4
        else:
            raise _no_onnx()
        if at + length > len(message):
            raise _no_onnx()
        if wire_type == LENGTH:
            yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number in protobuf's variable length, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at == len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _no_onnx()


def _no_onnx() -> BundleFormatError:
    return BundleFormatError("expected an ONNX file, got content that is not one")


def _check_torchscript(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > MOST_UNPACKED * len(content):
                raise ValueError(f"{len(content)} bytes unpack to {unpacked}")
            code = [entry for entry in archive.infolist() if entry.filename.endswith(".py")]
            found = [match for entry in code for match in FILE_OPERATORS.findall(archive.read(entry))]
    except Exception as error:  # zipfile raises many kinds for damaged archives
        raise BundleFormatError(f"cannot load TorchScript: expected its archive, got {message_line(error)}") from None
    if found:
        operator = found[0].decode()
        raise BundleFormatError(f"expected TorchScript without access to other files, got the operator {operator!r}")
