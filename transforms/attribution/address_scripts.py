"""The output scripts behind millions of addresses: attribution compares scripts, and some sources state addresses.

A checksum of each address would take minutes a day and find nothing: these addresses were made from scripts by a node,
and never typed. `schemas.addresses.script_of` is for those that were.

Source: https://en.bitcoin.it/wiki/Base58Check_encoding and BIPs 173 and 350.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

UNKNOWN_SCRIPT: Final = "6a"
"""Stands for the script of an output that has no address: P2PK, bare multisig, OP_RETURN, and what is not standard.

It begins as OP_RETURN does, so that it never counts as anybody's.
"""
Bytes = npt.NDArray[np.uint8]
Indexes = npt.NDArray[np.int64]

_INVALID: Final = 255
_BASE58: Final = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_HEX: Final = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint8).reshape(256, 2)
_HASH_BYTES: Final = 20
_WHOLE_BYTES: Final = 25
"""Version, hash and checksum."""
_LIMBS: Final = 7
"""Of 32 bits, the lowest first: 25 bytes and what is too much."""
_DIGITS_AT_ONCE: Final = 5
"""58 to the fifth power fits a limb."""
_FRAME_OF_VERSION: Final = {
    **dict.fromkeys((0x00, 0x6F), (b"76a914", b"88ac")),
    **dict.fromkeys((0x05, 0xC4), (b"a914", b"87")),
}
"""What is around the hash in a script, P2PKH or P2SH, on the main and on test chains."""
_SHORTEST_BASE58: Final = 26
_HEADS: Final = (b"bc1", b"tb1", b"bcrt1")
_LONGEST: Final = 90
_CHECKSUM_CHARACTERS: Final = 6
_GROUP_CHARACTERS: Final = 8
"""Characters of five bits that make five whole bytes."""
_PROGRAM_BYTES: Final = range(2, 41)
_HIGHEST_WITNESS_VERSION: Final = 16
_OP_1_LESS_1: Final = 0x50


def _table(alphabet: bytes) -> Bytes:
    table = np.full(256, _INVALID, np.uint8)
    table[np.frombuffer(alphabet, np.uint8)] = np.arange(len(alphabet), dtype=np.uint8)
    return table


_OF_BASE58: Final = _table(_BASE58)
_OF_BECH32: Final = _table(_BECH32)


def scripts_of(addresses: pl.Series) -> list[str]:
    """The output script of each of `addresses` in hexadecimal, `UNKNOWN_SCRIPT` for NULL and for any other text."""
    found = np.full(len(addresses), UNKNOWN_SCRIPT, dtype=object)
    lengths = addresses.str.len_bytes().fill_null(0).to_numpy()
    for length in np.unique(lengths):
        if not 0 < length <= _LONGEST:
            continue
        places = np.flatnonzero(lengths == length)
        text = "".join(addresses.gather(places).to_list()).encode()
        characters = np.frombuffer(text, np.uint8).reshape(len(places), length)
        is_bech32 = np.zeros(len(places), bool)
        for head in _HEADS:
            if length > len(head):
                has_head = (characters[:, : len(head)] == np.frombuffer(head, np.uint8)).all(axis=1)
                is_bech32 |= has_head
                of_head = np.flatnonzero(has_head)
                for rows, scripts in _witness_scripts(characters[of_head, len(head) :]):
                    found[places[of_head[rows]]] = scripts
        others = np.flatnonzero(~is_bech32)
        for rows, scripts in _hash_scripts(characters[others]):
            found[places[others[rows]]] = scripts
    scripts_in_order: list[str] = found.tolist()
    return scripts_in_order


def _hash_scripts(characters: Bytes) -> Iterator[tuple[Indexes, Any]]:
    """Rows of Base58 that are addresses, with their scripts, by version."""
    digits = _OF_BASE58[characters].astype(np.uint64)
    rows_count, length = digits.shape
    if not rows_count or length < _SHORTEST_BASE58:
        return
    limbs = np.zeros((_LIMBS, rows_count), np.uint64)
    overflow = np.zeros(rows_count, np.uint64)
    for start in range(0, length, _DIGITS_AT_ONCE):
        part = digits[:, start : start + _DIGITS_AT_ONCE]
        carry = np.zeros(rows_count, np.uint64)
        for column in part.T:
            carry = carry * np.uint64(len(_BASE58)) + column
        factor = np.uint64(len(_BASE58) ** part.shape[1])
        for limb in limbs:
            carry += limb * factor
            limb[:] = carry & np.uint64(0xFFFFFFFF)
            carry >>= np.uint64(32)
        overflow |= carry
    whole = np.ascontiguousarray(limbs[::-1].T.astype(">u4")).view(np.uint8).reshape(rows_count, _LIMBS * 4)
    too_much, version = whole[:, :-_WHOLE_BYTES], whole[:, -_WHOLE_BYTES]
    is_address = (digits != _INVALID).all(axis=1) & (overflow == 0) & (too_much == 0).all(axis=1)
    for known, (before, after) in _FRAME_OF_VERSION.items():
        rows = np.flatnonzero(is_address & (version == known))
        hashes = whole[rows, 1 - _WHOLE_BYTES :][:, :_HASH_BYTES]
        yield rows, _framed(before, hashes, after)


def _witness_scripts(characters: Bytes) -> Iterator[tuple[Indexes, Any]]:
    """Rows of Bech32 after their head that are addresses, with their scripts, by version of the witness program."""
    values = _OF_BECH32[characters]
    rows_count, length = values.shape
    program_length = length - 1 - _CHECKSUM_CHARACTERS
    size_bytes = program_length * 5 // 8
    if not rows_count or size_bytes not in _PROGRAM_BYTES:
        return
    groups = -(-program_length // _GROUP_CHARACTERS)
    padded = np.zeros((rows_count, groups * _GROUP_CHARACTERS), np.uint64)
    padded[:, :program_length] = values[:, 1 : 1 + program_length]
    bits = np.zeros((rows_count, groups), np.uint64)
    for column in range(_GROUP_CHARACTERS):
        bits = bits << np.uint64(5) | padded[:, column::_GROUP_CHARACTERS]
    programs = bits.astype(">u8").view(np.uint8).reshape(rows_count, groups, 8)[:, :, 3:].reshape(rows_count, -1)
    is_address = (values != _INVALID).all(axis=1)
    for version in np.unique(values[:, 0]):
        if version > _HIGHEST_WITNESS_VERSION:
            continue
        rows = np.flatnonzero(is_address & (values[:, 0] == version))
        opcode = version + _OP_1_LESS_1 if version else 0
        yield rows, _framed(b"%02x%02x" % (opcode, size_bytes), programs[rows, :size_bytes], b"")


def _framed(before: bytes, middle: Bytes, after: bytes) -> Any:
    """An array of texts: `middle` in hexadecimal, one a row, between the two others."""
    rows_count, size_bytes = middle.shape
    width = len(before) + 2 * size_bytes + len(after)
    text = np.empty((rows_count, width), np.uint8)
    text[:, : len(before)] = np.frombuffer(before, np.uint8)
    text[:, len(before) : len(before) + 2 * size_bytes] = _HEX[middle].reshape(rows_count, 2 * size_bytes)
    text[:, width - len(after) :] = np.frombuffer(after, np.uint8)
    whole = text.tobytes().decode("ascii")
    texts = np.empty(rows_count, dtype=object)
    texts[:] = [whole[start : start + width] for start in range(0, len(whole), width)]
    return texts
