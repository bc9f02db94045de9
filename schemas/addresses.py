"""The output script behind an address: attribution compares scripts, labels name addresses.

Sources: BIP 13 and BIP 16 (Base58Check), BIP 173 and BIP 350 (Bech32, Bech32m), BIP 141 (witness programs).
"""

import hashlib
from typing import Final

_BASE58: Final = {c: i for i, c in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32: Final = {c: i for i, c in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_BECH32_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CONSTANT: Final = 1
_BECH32M_CONSTANT: Final = 0x2BC830A3
_WITNESS_PREFIXES: Final = ("bc", "tb", "bcrt")
"""Main net, test net and signet, regtest."""
_KEY_HASH_VERSIONS: Final = (0x00, 0x6F)
_SCRIPT_HASH_VERSIONS: Final = (0x05, 0xC4)
_HASH_BYTES: Final = 20
_CHECKSUM_BYTES: Final = 4
_CHECKSUM_SYMBOLS: Final = 6
_WITNESS_VERSIONS: Final = 17
_WITNESS_LENGTHS_BYTES: Final = range(2, 41)
_WITNESS_0_LENGTHS_BYTES: Final = (20, 32)


def script_of(address: str) -> str:
    """The scriptPubKey that pays `address`, in lower-case hexadecimal, of whatever Bitcoin network.

    Raises `ValueError` with what is wrong: a letter, the checksum, the length, the version.
    """
    prefix, separator, _ = address.lower().rpartition("1")
    if separator and prefix in _WITNESS_PREFIXES:
        return _witness_script(address, prefix)
    return _hash_script(address)


def _hash_script(address: str) -> str:
    number = 0
    for letter in address:
        digit = _BASE58.get(letter)
        if digit is None:
            raise ValueError(f"the letter {letter!r}, which Base58 does not have")
        number = number * 58 + digit
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    raw = bytes(len(address) - len(address.lstrip("1"))) + raw
    if len(raw) != 1 + _HASH_BYTES + _CHECKSUM_BYTES:
        raise ValueError(f"{len(raw)} bytes in Base58, not {1 + _HASH_BYTES + _CHECKSUM_BYTES}")
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if hashlib.sha256(hashlib.sha256(body).digest()).digest()[:_CHECKSUM_BYTES] != checksum:
        raise ValueError("a wrong Base58 checksum")
    if body[0] in _KEY_HASH_VERSIONS:
        return f"76a914{body[1:].hex()}88ac"
    if body[0] in _SCRIPT_HASH_VERSIONS:
        return f"a914{body[1:].hex()}87"
    raise ValueError(f"the Base58 version {body[0]}, which Bitcoin does not have")


def _witness_script(address: str, prefix: str) -> str:
    if address not in (address.lower(), address.upper()):
        raise ValueError("capital and small letters mixed")
    symbols = []
    for letter in address.lower()[len(prefix) + 1 :]:
        symbol = _BECH32.get(letter)
        if symbol is None:
            raise ValueError(f"the letter {letter!r}, which Bech32 does not have")
        symbols.append(symbol)
    if len(symbols) <= _CHECKSUM_SYMBOLS:
        raise ValueError("no data in Bech32")
    version = symbols[0]
    expected = _BECH32M_CONSTANT if version else _BECH32_CONSTANT
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    if _polymod(expanded + symbols) != expected:
        raise ValueError("a wrong Bech32 checksum")
    program = _bytes_of(symbols[1:-_CHECKSUM_SYMBOLS])
    lengths = _WITNESS_LENGTHS_BYTES if version else _WITNESS_0_LENGTHS_BYTES
    if version >= _WITNESS_VERSIONS or len(program) not in lengths:
        raise ValueError(f"a witness program of version {version} and {len(program)} bytes")
    opcode = 0x50 + version if version else 0
    return f"{opcode:02x}{len(program):02x}{program.hex()}"


def _polymod(symbols: list[int]) -> int:
    check = 1
    for symbol in symbols:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ symbol
        for i, generator in enumerate(_BECH32_GENERATORS):
            if top >> i & 1:
                check ^= generator
    return check


def _bytes_of(symbols: list[int]) -> bytes:
    """Five bits a symbol into eight bits a byte; what is left over must be fewer than five zero bits."""
    number = 0
    for symbol in symbols:
        number = number << 5 | symbol
    length, rest = divmod(5 * len(symbols), 8)
    if rest >= 5 or number & ((1 << rest) - 1):
        raise ValueError("bits left over in Bech32")
    return (number >> rest).to_bytes(length, "big")
