"""The miner set on disk: compact, with a checksum, replaced in one step.

One file: a line of JSON (version, height and hash of the last block, pool names, length of each section, SHA-256 of
everything behind the line), then the sections: little-endian columns and the scripts' bytes one after another.
"""

import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

from schemas.errors import WarehouseError
from schemas.miner_set import Credit, MinerSet, OneHop, ZeroHop
from warehouse.atomic_files import sync, whole_file

FORMAT: Final = "hashpivot miner set"
VERSION: Final = 3
WITHOUT_LATENT: Final = 2
"""The version before, whose files are still read: it had no latent scripts."""
TXID_BYTES: Final = 32
_HEADER_LIMIT_BYTES: Final = 1 << 20


def save_miner_set(path: Path, miners: MinerSet) -> str:
    """Write `miners` to `path` in one step; return the digest of its content.

    The bytes depend on the chain only, not on how it was split into runs or shards. Raises `WarehouseError` when it
    cannot be written; the previous file stays.
    """
    pools, sections = _sections(miners)
    sha256 = hashlib.sha256()
    for section in sections:
        sha256.update(section)
    digest, size_bytes = sha256.hexdigest(), sum(map(len, sections))
    header = {
        "format": FORMAT,
        "version": VERSION,
        "height": miners.height,
        "block_hash": miners.block_hash,
        "whole_from_height": miners.whole_from_height,
        "zero_hop_count": len(miners.zero_hop),
        "one_hop_count": len(miners.one_hop.credits),
        "pools": pools,
        "section_bytes": [len(section) for section in sections],
        "sha256": digest,
    }
    try:
        with whole_file(path) as draft, draft.open("wb") as file:
            file.writelines((json.dumps(header).encode(), b"\n", *sections))
    except OSError as error:
        raise WarehouseError(
            f"{path}: {error.strerror}, expected room for {size_bytes} bytes; the last miner set stays, free space and "
            "run again"
        ) from error
    return digest


def load_miner_set(path: Path) -> MinerSet:
    """The miner set at `path`. Raises `WarehouseError` where it is missing, damaged or of another version."""
    try:
        with path.open("rb") as file:
            head, body = file.readline(_HEADER_LIMIT_BYTES), file.read()
    except OSError as error:
        raise WarehouseError(f"{path}: {error.strerror}, expected a miner set; build it from the node") from error
    try:
        header = json.loads(head)
        found = (header["format"], header["version"])
        if (
            found in ((FORMAT, VERSION), (FORMAT, WITHOUT_LATENT))
            and header["sha256"] == hashlib.sha256(body).hexdigest()
        ):
            return _miner_set(header, body)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _damaged(path, str(error) or type(error).__name__) from error
    raise _damaged(
        path, "another checksum" if found[1] in (VERSION, WITHOUT_LATENT) else f"{found[0]} version {found[1]}"
    )


def move_miner_set(path: Path, folder: Path) -> Path:
    """Move a miner set that was written whole to `folder`, in one step; returns its new path."""
    try:
        moved = path.replace(folder / path.name)
        sync(folder)
    except OSError as error:
        raise WarehouseError(f"{path}: {error.strerror}, expected to move it to {folder}; run again") from error
    return moved


def miner_set_block(path: Path) -> tuple[int | None, str]:
    """Height and hash of the last block of the miner set at `path`, from its first line. Raises `WarehouseError`."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline(_HEADER_LIMIT_BYTES))
        return header["height"], header["block_hash"]
    except OSError as error:
        raise WarehouseError(f"{path}: {error.strerror}, expected a miner set; build it from the node") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, str(error) or type(error).__name__) from error


def _damaged(path: Path, detail: str) -> WarehouseError:
    return WarehouseError(
        f"{path}: found {detail[:120]!r}, expected an undamaged {FORMAT} of version {VERSION}; remove it and build it "
        "anew from the node"
    )


def _sections(miners: MinerSet) -> tuple[list[str], list[bytes]]:
    """Pool names by number, and the columns. Pools are numbered by name, so that the bytes depend on the chain only."""
    first_heights, pool_heights, pool_of, names = miners.zero_hop.columns()
    one_hop = miners.one_hop
    used = {names[number] for number in set(pool_of)} | {credit.pool for credit in set(one_hop.credits.values())}
    pools = sorted(used)
    number_of = {name: number for number, name in enumerate(pools)}
    renumbered = [number_of.get(name, 0) for name in names]
    credited = sorted(one_hop.credits)
    credits = [one_hop.credits[script] for script in credited]
    latent = sorted(one_hop.latent)
    return pools, [
        *_script_sections(miners.zero_hop.index),
        _bytes(first_heights),
        _bytes(pool_heights),
        _bytes(array("H", map(renumbered.__getitem__, pool_of))),
        *_script_sections(credited),
        _bytes(array("I", (credit.height for credit in credits))),
        _bytes(array("H", (number_of[credit.pool] for credit in credits))),
        *_partner_sections(one_hop.partners),
        *_script_sections(sorted(one_hop.hubs)),
        b"".join(sorted(miners.coinbase_txids)),
        *_script_sections(latent),
        _bytes(array("I", map(one_hop.latent.__getitem__, latent))),
        *_partner_sections(one_hop.latent_partners),
    ]


def _partner_sections(partners_of: dict[str, set[int]]) -> tuple[bytes, ...]:
    met = sorted((script, sorted(partners)) for script, partners in partners_of.items() if partners)
    return (
        *_script_sections([script for script, _ in met]),
        _bytes(array("H", (len(partners) for _, partners in met))),
        _bytes(array("I", (partner for _, partners in met for partner in partners))),
    )


def _miner_set(header: dict[str, Any], body: bytes) -> MinerSet:
    ends = list(accumulate(header["section_bytes"], initial=0))
    if ends[-1] != len(body):
        raise ValueError(f"{len(body)} bytes, not {ends[-1]}")
    view = memoryview(body)
    sections = iter([view[start:end] for start, end in pairwise(ends)])
    pools: list[str] = header["pools"]
    scripts = _scripts(next(sections), next(sections))
    zero_hop = ZeroHop.of_columns(
        scripts, _array("I", next(sections)), _array("I", next(sections)), _array("H", next(sections)), pools
    )
    credited = _scripts(next(sections), next(sections))
    heights, numbers = _array("I", next(sections)), _array("H", next(sections))
    shared: dict[tuple[int, int], Credit] = {}
    credits = {
        script: shared.get(key) or shared.setdefault(key, Credit(key[0], pools[key[1]]))
        for script, key in zip(credited, zip(heights, numbers, strict=True), strict=True)
    }
    partners = _partners(sections)
    hubs = set(_scripts(next(sections), next(sections)))
    txids = bytes(next(sections))
    latent: dict[str, int] = {}
    latent_partners: dict[str, set[int]] = {}
    if header["version"] != WITHOUT_LATENT:
        scripts = _scripts(next(sections), next(sections))
        latent = dict(zip(scripts, _array("I", next(sections)), strict=True))
        latent_partners = _partners(sections)
    return MinerSet(
        height=header["height"],
        block_hash=header["block_hash"],
        whole_from_height=header["whole_from_height"],
        zero_hop=zero_hop,
        coinbase_txids={txids[at : at + TXID_BYTES] for at in range(0, len(txids), TXID_BYTES)},
        one_hop=OneHop(credits=credits, partners=partners, hubs=hubs, latent=latent, latent_partners=latent_partners),
    )


def _partners(sections: Iterator[memoryview]) -> dict[str, set[int]]:
    met = _scripts(next(sections), next(sections))
    counts, partners = _array("H", next(sections)), _array("I", next(sections))
    starts = pairwise(accumulate(counts, initial=0))
    return {script: set(partners[start:end]) for script, (start, end) in zip(met, starts, strict=True)}


def _script_sections(scripts: Iterable[str]) -> tuple[bytes, bytes]:
    """Lengths in bytes, and the bytes; half the size of the hexadecimal that the set works with."""
    texts = list(scripts)
    return _bytes(array("H", (len(text) // 2 for text in texts))), bytes.fromhex("".join(texts))


def _scripts(lengths: memoryview, content: memoryview) -> list[str]:
    text = content.hex()
    ends = list(accumulate((2 * length for length in _array("H", lengths)), initial=0))
    if ends[-1] != len(text):
        raise ValueError(f"{len(text) // 2} bytes of scripts, not {ends[-1] // 2}")
    return [text[start:end] for start, end in pairwise(ends)]


def _bytes(column: "array[int]") -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _array(kind: str, content: memoryview | Sequence[int]) -> "array[int]":
    column = array(kind)
    column.frombytes(bytes(content))
    if sys.byteorder == "big":
        column.byteswap()
    return column
