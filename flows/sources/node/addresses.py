"""Addresses of scripts, as a node writes them: the serialised block holds scripts only.

Source: BIP 13, BIP 16, BIP 173, BIP 350 and Core's `ExtractDestination`.
"""

from base64 import b32encode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from schemas.errors import SettingsError

RECENT_SCRIPTS_COUNT: Final = 65_536
"""Scripts whose address is remembered: most coins move between few of them."""
P2PKH_HEAD, P2PKH_TAIL = b"\x76\xa9\x14", b"\x88\xac"
P2SH_HEAD, P2SH_TAIL = b"\xa9\x14", b"\x87"
P2PKH_BYTES, P2SH_BYTES = 25, 23
OP_0, OP_1, OP_16 = 0x00, 0x51, 0x60
SHORTEST_PROGRAM_BYTES, LONGEST_PROGRAM_BYTES = 2, 40
WITNESS_0_PROGRAM_BYTES: Final = (20, 32)

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32: Final = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_TO_BECH32: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", BECH32)
_GROUP_OF: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bytes(range(32)))
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_GROUPS_COUNT: Final = 6
_BECH32_CONSTANT, _BECH32M_CONSTANT = 1, 0x2BC830A3


@dataclass(frozen=True, slots=True)
class Chain:
    """How the addresses of one chain begin."""

    p2pkh_version: int
    p2sh_version: int
    prefix: str


_TEST: Final = Chain(0x6F, 0xC4, "tb")
CHAINS: Final = {
    "main": Chain(0x00, 0x05, "bc"),
    "test": _TEST,
    "testnet4": _TEST,
    "signet": _TEST,
    "regtest": Chain(0x6F, 0xC4, "bcrt"),
}


def chain_named(name: str) -> Chain:
    """The chain that a node calls `name`. Raises `SettingsError` for another one."""
    if name not in CHAINS:
        raise SettingsError("HASHPIVOT_NODE_CHAIN", name, f"one of {', '.join(CHAINS)}", "correct it")
    return CHAINS[name]


@lru_cache(RECENT_SCRIPTS_COUNT)
def address_of(script: bytes, chain: Chain) -> str | None:
    """The address whose output script this is; None for P2PK, bare multisig and everything else that has none."""
    size_bytes = len(script)
    if size_bytes == P2PKH_BYTES and script.startswith(P2PKH_HEAD) and script.endswith(P2PKH_TAIL):
        return _base58check(chain.p2pkh_version, script[len(P2PKH_HEAD) : -len(P2PKH_TAIL)])
    if size_bytes == P2SH_BYTES and script.startswith(P2SH_HEAD) and script.endswith(P2SH_TAIL):
        return _base58check(chain.p2sh_version, script[len(P2SH_HEAD) : -len(P2SH_TAIL)])
    if not SHORTEST_PROGRAM_BYTES <= size_bytes - 2 <= LONGEST_PROGRAM_BYTES or script[1] != size_bytes - 2:
        return None
    if script[0] == OP_0:
        return _bech32(chain.prefix, 0, script[2:]) if size_bytes - 2 in WITNESS_0_PROGRAM_BYTES else None
    return _bech32(chain.prefix, script[0] - OP_1 + 1, script[2:]) if OP_1 <= script[0] <= OP_16 else None


def _base58check(version: int, digest: bytes) -> str:
    payload = bytes([version]) + digest
    payload += sha256(sha256(payload).digest()).digest()[:4]
    number, letters = int.from_bytes(payload, "big"), []
    while number:
        number, rest = divmod(number, len(BASE58))
        letters.append(BASE58[rest])
    zeros_count = len(payload) - len(payload.lstrip(b"\x00"))
    return BASE58[0] * zeros_count + "".join(reversed(letters))


def _bech32(prefix: str, version: int, program: bytes) -> str:
    # Base 32 of the standard library cuts the same groups of five bits; only its alphabet differs.
    groups = b32encode(program).rstrip(b"=")
    checksum = _after_prefix(prefix)
    for group in (version, *groups.translate(_GROUP_OF), *bytes(_CHECKSUM_GROUPS_COUNT)):
        checksum = _step(checksum, group)
    checksum ^= _BECH32M_CONSTANT if version else _BECH32_CONSTANT
    tail = bytes(BECH32[checksum >> 5 * place & 31] for place in reversed(range(_CHECKSUM_GROUPS_COUNT)))
    return f"{prefix}1{chr(BECH32[version])}{(groups.translate(_TO_BECH32) + tail).decode('ascii')}"


@lru_cache
def _after_prefix(prefix: str) -> int:
    checksum = 1
    for group in (*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)):
        checksum = _step(checksum, group)
    return checksum


def _step(checksum: int, group: int) -> int:
    top = checksum >> 25
    return (checksum & 0x1FFFFFF) << 5 ^ group ^ _FOLDED[top]


def _folded(top: int) -> int:
    value = 0
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            value ^= generator
    return value


_FOLDED: Final = tuple(_folded(top) for top in range(32))
