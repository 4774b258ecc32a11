"""Graphs that would read files outside the bundle, refused before any engine opens them.

ONNX can keep tensors in other files, and ONNX Runtime looks for these in the working directory. TorchScript can read
and write files by name. No digest covers such a file, so no bundle may need one.
"""

import io
import re
import zipfile

from whyport.runtime.bundle.protobuf import LENGTH, VARINT, fields
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
        _check_onnx(content)
    elif name in (TORCHSCRIPT_MODEL, DEEPSHAP_MODEL):
        _check_torchscript(content)


def _check_onnx(content: bytes) -> None:
    messages = [("ModelProto", 0, len(content))]
    while messages:  # no recursion: the file decides how deep it goes
        kind, start, stop = messages.pop()
        embedded = EMBEDDED[kind]
        tensor, elsewhere = "", False
        for number, wire_type, value, after in fields(content, start, stop):
            if wire_type == LENGTH and number in embedded:
                messages.append((embedded[number], value, after))
            elif kind == "TensorProto" and number == NAME:
                tensor = content[value:after].decode("utf-8", "replace")
            elif kind == "TensorProto":
                # Old files say DEFAULT, 0, of every tensor.
                elsewhere |= number == EXTERNAL_DATA or (number == DATA_LOCATION and wire_type == VARINT and value != 0)
        if elsewhere:
            raise BundleFormatError(f"expected every tensor inside the file, got tensor {tensor!r} with external data")


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
