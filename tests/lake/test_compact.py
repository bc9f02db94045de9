"""Thrift's compact protocol, byte by byte as its specification has it, which no code of ours has written."""

import struct

import pytest

from flows.sources.lake.compact import Field, Items, Kind, Reader, written

# Each field has the step from the number before in the high half of its first byte, and its type in the low half.
SPECIFIED = {
    b"\x11": Field(Kind.TRUE, None),
    b"\x12": Field(Kind.FALSE, None),
    b"\x13\x7f": Field(Kind.BYTE, 127),
    b"\x14\x05": Field(Kind.I16, -3),
    b"\x15\xac\x02": Field(Kind.I32, 150),
    b"\x16\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01": Field(Kind.I64, -(2**63)),
    b"\x17" + struct.pack("<d", 1.5): Field(Kind.DOUBLE, struct.pack("<d", 1.5)),
    b"\x18\x03abc": Field(Kind.BINARY, b"abc"),
    b"\x19\x25\x02\x04": Field(Kind.LIST, Items(Kind.I32, [1, 2])),
    b"\x1a\x14\x01": Field(Kind.SET, Items(Kind.I16, [-1])),
    b"\x1c\x14\x02\x00": Field(Kind.STRUCT, {1: Field(Kind.I16, 1)}),
}


@pytest.mark.parametrize("content", SPECIFIED, ids=[field.kind.name for field in SPECIFIED.values()])
def test_field_of_each_type_is_read_and_written_as_specified(content: bytes) -> None:
    whole = content + b"\x00"
    assert Reader(whole).struct() == {1: SPECIFIED[content]}
    assert written({1: SPECIFIED[content]}) == whole


def test_map_which_no_footer_has_is_named() -> None:
    with pytest.raises(ValueError, match="a field of type MAP at byte 1"):
        Reader(b"\x1b\x00\x00").struct()
