"""Thrift's compact protocol, in which the footer of a Parquet file is written: read into plain values, and written.

A structure is a dictionary of field number to `Field`; what a number means is the caller's to know. So fields that
nobody here knows are written as they were read. Source: thrift/doc/specs/thrift-compact-protocol.md.

Apache's own package `thrift` was weighed against this and left out: its generated readers skip fields that they do not
know, so that a footer of a later format would lose them; without those it gives one field at a time, around which the
loops that are here remain; and it would be one more compiled package for each user. Tests damage footers at random and
read what is written here with pyarrow and Polars.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final


class Kind(IntEnum):
    """Types of fields and elements."""

    TRUE = 1
    FALSE = 2
    BYTE = 3
    I16 = 4
    I32 = 5
    I64 = 6
    DOUBLE = 7
    BINARY = 8
    LIST = 9
    SET = 10
    MAP = 11
    STRUCT = 12


_SHORT_LIST: Final = 15
_DEEPEST: Final = 32
"""Structures and lists in each other; a footer has about nine."""
_DOUBLE_BYTES: Final = 8
_LARGEST_STEP: Final = 15
"""From one field number to the next, in the byte of its type."""
_MORE: Final = 0x80
_LONGEST_BITS: Final = 63


@dataclass(slots=True)
class Field:
    """The value of one field and its type. Booleans have no value but their type."""

    kind: Kind
    value: Any


@dataclass(slots=True)
class Items:
    """A list and the type of its elements."""

    kind: Kind
    values: list[Any]


Struct = dict[int, Field]


class Reader:
    """Reads structures one after another from `content`. Raises `ValueError` for anything else."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def struct(self, depth: int = 0) -> Struct:
        """The next structure."""
        fields: Struct = {}
        number = 0
        while head := self._byte():
            kind, delta = Kind(head & 0x0F), head >> 4
            number = number + delta if delta else self._zigzag()
            fields[number] = Field(kind, self._value(kind, depth))
        return fields

    def _value(self, kind: Kind, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("structures nested without end")
        match kind:
            case Kind.TRUE | Kind.FALSE:
                return None
            case Kind.BYTE:
                return self._byte()
            case Kind.I16 | Kind.I32 | Kind.I64:
                return self._zigzag()
            case Kind.DOUBLE:
                return self._take(_DOUBLE_BYTES)
            case Kind.BINARY:
                return self._take(self._varint())
            case Kind.LIST | Kind.SET:
                return self._items(depth + 1)
            case Kind.STRUCT:
                return self.struct(depth + 1)
        raise ValueError(f"a field of type {kind.name} at byte {self._at:,}")

    def _items(self, depth: int) -> Items:
        head = self._byte()
        count, kind = head >> 4, Kind(head & 0x0F)
        if count == _SHORT_LIST:
            count = self._varint()
        if count > len(self._content) - self._at:
            raise ValueError(f"a list of {count:,} at byte {self._at:,}")
        return Items(kind, [self._value(_in_list(kind), depth) for _ in range(count)])

    def _byte(self) -> int:
        if self._at >= len(self._content):
            raise ValueError(f"{len(self._content):,} bytes that end early")
        self._at += 1
        return self._content[self._at - 1]

    def _take(self, size: int) -> bytes:
        found = self._content[self._at : self._at + size]
        if len(found) != size:
            raise ValueError(f"{len(self._content):,} bytes that end early")
        self._at += size
        return found

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < _MORE:
                return number
            shift += 7
            if shift > _LONGEST_BITS:
                raise ValueError(f"a number above 64 bits at byte {self._at:,}")

    def _zigzag(self) -> int:
        number = self._varint()
        return number >> 1 if not number & 1 else -((number + 1) >> 1)


def _in_list(kind: Kind) -> Kind:
    """How an element of that kind is written: a boolean, which a field has in its type, as a byte."""
    return Kind.BYTE if kind in (Kind.TRUE, Kind.FALSE) else kind


def written(fields: Struct) -> bytes:
    """`fields` in the compact protocol."""
    out = bytearray()
    _write_struct(out, fields)
    return bytes(out)


def _write_struct(out: bytearray, fields: Struct) -> None:
    last = 0
    for number, field in sorted(fields.items()):
        if 0 < number - last <= _LARGEST_STEP:
            out.append((number - last) << 4 | field.kind)
        else:
            out.append(field.kind)
            _write_zigzag(out, number)
        _write_value(out, field.kind, field.value)
        last = number
    out.append(0)


def _write_value(out: bytearray, kind: Kind, value: Any) -> None:
    match kind:
        case Kind.BYTE:
            out.append(value)
        case Kind.I16 | Kind.I32 | Kind.I64:
            _write_zigzag(out, value)
        case Kind.DOUBLE:
            out += value
        case Kind.BINARY:
            _write_varint(out, len(value))
            out += value
        case Kind.LIST | Kind.SET:
            short = min(len(value.values), _SHORT_LIST)
            out.append(short << 4 | value.kind)
            if short == _SHORT_LIST:
                _write_varint(out, len(value.values))
            for each in value.values:
                _write_value(out, _in_list(value.kind), each)
        case Kind.STRUCT:
            _write_struct(out, value)


def _write_varint(out: bytearray, number: int) -> None:
    while number >= _MORE:
        out.append(number & 0x7F | _MORE)
        number >>= 7
    out.append(number)


def _write_zigzag(out: bytearray, number: int) -> None:
    _write_varint(out, number << 1 if number >= 0 else (-number << 1) - 1)
