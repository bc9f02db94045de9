"""An invented chain for the explorers: headers that hash, coinbases that pay, blocks that can be replaced.

`mainlike` keeps to the same days, counts, subsidies and fees as the replayed Coin Metrics, so that the two agree to the
satoshi. `young` has twelve blocks a day from block 0 on, for explorers that are queried for each block.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from tests.replay.sites.coinmetrics import BLOCKS_OF_ERA, HALVINGS, noise

DAY_S = 86_400
EPOCH_BLOCKS = 2_016
MAX_TARGET = 0xFFFF << 208
PAYOUT = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
PAYOUT_SCRIPT = "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"
POOLS = (
    ("Foundry USA", "foundryusa", "/Foundry USA Pool #dropgold/"),
    ("AntPool", "antpool", "Mined by AntPool"),
    ("ViaBTC", "viabtc", "/ViaBTC/"),
    ("Backwater Pool", "backwaterpool", "/Backwater/"),
    ("OCEAN", "ocean", "an unlisted tag"),
    ("Unknown", "unknown", ""),
)
"""Names as the server has them; the last three are in no list of ours, or not by that tag."""


def bits_of(difficulty: float) -> int:
    target = min(int(MAX_TARGET / difficulty), MAX_TARGET)
    size = (target.bit_length() + 7) // 8
    mantissa = target >> 8 * (size - 3)
    return (size + 1) << 24 | mantissa >> 8 if mantissa & 0x800000 else size << 24 | mantissa


@cache
def bits_of_epoch(epoch: int) -> int:
    """The least at first, then four times as hard each time until some mine, then what consensus has by the times."""
    if epoch < 8:
        return 0x1D00FFFF
    before = difficulty_of(bits_of_epoch(epoch - 1))
    if epoch < 18:
        return bits_of(3.99 * before)
    first, last = ((epoch - 1) * EPOCH_BLOCKS, epoch * EPOCH_BLOCKS - 1)
    return bits_of(before * 14 * DAY_S / (header_time(mainlike_slot, last) - header_time(mainlike_slot, first)))


def header_time(slot_of: Callable[[int], "Slot"], height: int, branch: int = 0) -> int:
    """It steps backward now and then, but never over midnight."""
    slot = slot_of(height)
    jitter = 1_200 * (noise(slot.day, f"{height} {branch}") - 0.5)
    into = (slot.number + 0.5) * DAY_S / slot.count + jitter
    return int(datetime.combine(slot.day, time(), UTC).timestamp()) + int(min(max(into, 0), DAY_S - 1))


def difficulty_of(bits: int) -> float:
    return MAX_TARGET / ((bits & 0xFFFFFF) << 8 * ((bits >> 24) - 3))


def twice(content: bytes) -> bytes:
    return sha256(sha256(content).digest()).digest()


@dataclass(frozen=True)
class Slot:
    """Where a height lies: its day, and its number among the blocks of the day."""

    day: date
    number: int
    count: int


def mainlike_slot(height: int) -> Slot:
    era, passed = divmod(height, BLOCKS_OF_ERA)
    days = (HALVINGS[era + 1] - HALVINGS[era]).days
    day = passed * days // BLOCKS_OF_ERA
    while BLOCKS_OF_ERA * (day + 1) // days <= passed:
        day += 1
    first, after = BLOCKS_OF_ERA * day // days, BLOCKS_OF_ERA * (day + 1) // days
    return Slot(HALVINGS[era] + timedelta(days=day), passed - first, after - first)


def young_slot(height: int) -> Slot:
    day, number = divmod(height, 12)
    return Slot(date(2026, 1, 1) + timedelta(days=day), number, 12)


class Chain:
    """Blocks from `floor` up, made when they are requested. `replace` makes others in their place."""

    def __init__(self, slot: Callable[[int], Slot], floor: int) -> None:
        self.slot, self.floor = slot, floor
        self.replaced_from: list[int] = []
        self._hashes: list[str] = []
        self._heights: dict[str, int] = {}

    def replace(self, height: int) -> None:
        self.replaced_from.append(height)
        del self._hashes[max(height - self.floor, 0) :]

    def branch(self, height: int) -> int:
        return sum(first <= height for first in self.replaced_from)

    def time(self, height: int) -> int:
        return header_time(self.slot, height, self.branch(height))

    def median_time(self, height: int) -> int:
        times = sorted(self.time(each) for each in range(max(height - 10, 0), height + 1))
        return times[len(times) // 2]

    def tip_at(self, at: datetime) -> int:
        """The newest block at a time."""

        def is_known(height: int) -> bool:
            slot = self.slot(height)
            return datetime.combine(slot.day, time(), UTC) + timedelta(days=(slot.number + 1) / slot.count) <= at

        low, high = self.floor, self.floor + EPOCH_BLOCKS
        while is_known(high):
            low, high = high, high + EPOCH_BLOCKS
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if is_known(middle) else (low, middle)
        return low

    def bits(self, height: int) -> int:
        return bits_of_epoch(height // EPOCH_BLOCKS)

    def subsidy(self, height: int) -> int:
        return 50 * 10**8 >> height // BLOCKS_OF_ERA

    def fees(self, height: int) -> int:
        slot = self.slot(height)
        total = round(slot.count * 2_000_000 * noise(slot.day, "fees"))
        return total // slot.count + (total % slot.count if slot.number == slot.count - 1 else 0)

    def pool(self, height: int) -> tuple[str, str, str]:
        return POOLS[int(6 * noise(self.slot(height).day, f"pool {height} {self.branch(height)}"))]

    def coinbase_script(self, height: int) -> str:
        return (b"\x03" + height.to_bytes(3, "little") + self.pool(height)[2].encode()).hex()

    def hash(self, height: int) -> str:
        while len(self._hashes) <= height - self.floor:
            new = self.floor + len(self._hashes)
            self._hashes.append(twice(self._header(new))[::-1].hex())
            self._heights[self._hashes[-1]] = new
        return self._hashes[height - self.floor]

    def know(self, hashes: list[str]) -> None:
        """Take the first blocks as they are."""
        self._hashes = list(hashes)
        self._heights = {block_hash: height for height, block_hash in enumerate(hashes, self.floor)}

    def height_of(self, block_hash: str) -> int | None:
        height = self._heights.get(block_hash)
        return height if height is not None and self.hash(height) == block_hash else None

    def parent(self, height: int) -> str | None:
        if height == 0:
            return None
        return self.hash(height - 1) if height > self.floor else sha256(f"{height}".encode()).hexdigest()

    def merkle_root(self, height: int) -> str:
        return sha256(f"{height} {self.branch(height)}".encode()).hexdigest()

    def _header(self, height: int) -> bytes:
        return struct.pack(
            "<I32s32sIII",
            0x20000000,
            bytes.fromhex(self.parent(height) or "00" * 32)[::-1],
            bytes.fromhex(self.merkle_root(height))[::-1],
            self.time(height),
            self.bits(height),
            height * 7,
        )

    def block(self, height: int) -> dict[str, Any]:
        """The block as Esplora states it."""
        block_hash = self.hash(height)
        return {
            "id": block_hash,
            "height": height,
            "version": 0x20000000,
            "timestamp": self.time(height),
            "bits": self.bits(height),
            "nonce": height * 7,
            "difficulty": difficulty_of(self.bits(height)),
            "merkle_root": self.merkle_root(height),
            "tx_count": 3 if height % 7 == 0 else 3_000,
            "size": 1_500_000,
            "weight": 3_993_000,
            "previousblockhash": self.parent(height),
            "mediantime": self.median_time(height),
        }

    def header(self, height: int) -> str:
        self.hash(height)
        return self._header(height).hex()


def mainlike() -> Chain:
    """From April 2026 on."""
    chain = Chain(mainlike_slot, 945_000)
    chain.know(_trunk())
    return chain


@cache
def _trunk() -> list[str]:
    """Hashes up to now: made once, as making them takes longer than a scaled time-out."""
    chain = Chain(mainlike_slot, 945_000)
    return [chain.hash(height) for height in range(chain.floor, chain.tip_at(datetime.now(UTC)) + 1)]


def young() -> Chain:
    return Chain(young_slot, 0)
