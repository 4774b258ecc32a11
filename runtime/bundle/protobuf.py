"""The wire format of ONNX files, protobuf: the fields of a message, whatever they mean."""

from collections.abc import Iterator

from whyport.runtime.errors import BundleFormatError

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
"""Protobuf's wire types, but for the groups, which ONNX does not have."""


def fields(content: bytes, at: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of the protobuf message in content[at:stop].

    Yields the number, the wire type, the value of a VARINT or the start of a LENGTH, and the place after the field.
    Raises BundleFormatError where the content is no message.
    """
    while at < stop:
        tag, at = _varint(content, at, stop)
        number, wire_type = tag >> 3, tag & 7
        if wire_type in (VARINT, LENGTH):
            value, at = _varint(content, at, stop)
        elif wire_type in (EIGHT_BYTES, FOUR_BYTES):
            value = 8 if wire_type == EIGHT_BYTES else 4
        else:
            raise _no_onnx()
        start = at
        if wire_type != VARINT:
            at += value
        if at > stop:
            raise _no_onnx()
        yield number, wire_type, value if wire_type == VARINT else start, at


def _varint(content: bytes, at: int, stop: int) -> tuple[int, int]:
    """A number in protobuf's variable length, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            break
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _no_onnx()


def _no_onnx() -> BundleFormatError:
    return BundleFormatError("expected an ONNX file, got content that is not one")
