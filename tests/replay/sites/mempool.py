"""A mempool server over an invented chain: pages of 15 down, bulks where they are switched on, adjustments.

Source: the routes and `api/blocks.ts` of https://github.com/mempool/mempool, and its example nginx.conf for the rate,
the only one that is written down anywhere.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.replay.chain import EPOCH_BLOCKS, PAYOUT, Chain, difficulty_of, mainlike
from tests.replay.site import Limit, ReplayRequest, ReplayResponse, ReplaySite, json_response

HTML_429 = b"""<html>
<head><title>429 Too Many Requests</title></head>
<body>
<center><h1>429 Too Many Requests</h1></center>
<center><h2>Sign Up for <a href="https://mempool.space/enterprise">Mempool Enterprise</a> to get increased API limits</h2></center>
</body>
</html>
"""  # noqa: E501
PAGE_BLOCKS = 15


class MempoolReplay(ReplaySite):
    """`now` decides the tip, `bulk_blocks` how many blocks a bulk may have (0: switched off, 10: the hosted server).

    `changes`: what happens right before the request of that number, counted from 1. `spoiled`: values of a block
    instead of the truth, by height; a key of the extras is looked for there.
    """

    name = "mempool"
    prefix = "/api"
    limits = (Limit(200, 60),)
    cool_down_seconds = 600
    settings: Mapping[str, str] = {"HASHPIVOT_MEMPOOL_URL": "{base}"}

    def __init__(self, chain: Chain | None = None) -> None:
        super().__init__()
        self.chain = chain or mainlike()
        self.now = datetime.now(UTC)
        self.bulk_blocks = 10
        self.withheld_count = 0
        self.adjusts_until: int | None = None
        self.changes: dict[int, Any] = {}
        self.spoiled: dict[int, dict[str, Any]] = {}
        self.received_count = 0
        self.switches = {"reorganise": self.reorganise, "next-day": self.next_day}
        self.flavours["429 html"] = ReplayResponse(429, HTML_429, "text/html")

    @property
    def tip(self) -> int:
        return self.chain.tip_at(self.now) - self.withheld_count

    def reorganise(self, depth: int = 3) -> None:
        """The newest blocks are replaced by others."""
        self.chain.replace(self.tip - depth + 1)

    def next_day(self) -> None:
        self.now += timedelta(days=1)

    def error_object(self) -> ReplayResponse:
        return json_response({"error": "Failed to get blocks"})

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        self.received_count += 1
        if change := self.changes.pop(self.received_count, None):
            change()
        _, version, *parts = request.path.split("/")
        if version != "v1" or not all(part.isdigit() for part in parts[1:] if part != "difficulty-adjustments"):
            return None
        match parts:
            case ["blocks"]:
                return self._page(self.tip)
            case ["blocks", height]:
                return self._page(int(height))
            case ["blocks-bulk", first, last]:
                return self._bulk(int(first), int(last))
            case ["mining", "difficulty-adjustments"]:
                return json_response(self.adjustments())
        return None

    def _page(self, top: int) -> ReplayResponse | None:
        last = max(top - PAGE_BLOCKS + 1, 0)
        if last < self.chain.floor:
            return None
        # Above the tip the page is shorter; it does not move down.
        return json_response([self.block(height) for height in range(min(top, self.tip), last - 1, -1)])

    def _bulk(self, first: int, last: int) -> ReplayResponse | None:
        if self.bulk_blocks == 0:
            why = "This API is disabled. Set config.MEMPOOL.MAX_BLOCKS_BULK_QUERY to a positive number to enable it."
            return json_response({"error": why}, 404)
        if first > last:
            return json_response({"error": "Parameter 'to' must be a higher block height than 'from'"}, 400)
        if last - first + 1 > self.bulk_blocks:
            return json_response({"error": f"You can only query {self.bulk_blocks} blocks at once."}, 400)
        return json_response([self._bulk_block(height) for height in range(first, min(last, self.tip) + 1)])

    def adjustments(self) -> list[list[float]]:
        heights = range(0, (self.tip if self.adjusts_until is None else self.adjusts_until) + 1, EPOCH_BLOCKS)
        rows, before = [], 0.0
        for height in heights:
            difficulty = difficulty_of(self.chain.bits(height))
            if difficulty != before:
                ratio = float(f"{difficulty / before:.6g}") if before else 0
                rows.append([self.chain.time(height), height, difficulty, ratio])
                before = difficulty
        return rows[::-1]

    def block(self, height: int) -> dict[str, Any]:
        """One block of `/v1/blocks`, every fifth without the addresses of its coinbase."""
        chain = self.chain
        name, slug, tag = chain.pool(height)
        fees = chain.fees(height)
        paid = [] if height % 5 == 0 else [PAYOUT]
        extras = {
            "totalFees": fees,
            "medianFee": 2.5,
            "feeRange": [1, 1, 1.5, 2.5, 3, 5, 400.25],
            "reward": chain.subsidy(height) + fees,
            "pool": {"id": len(name), "name": name, "slug": slug, "minerNames": None},
            "avgFee": fees // 3_000,
            "avgFeeRate": 3,
            "coinbaseRaw": chain.coinbase_script(height),
            "coinbaseAddress": paid[0] if paid else None,
            "coinbaseAddresses": paid,
            "coinbaseSignature": "OP_DUP OP_HASH160 OP_PUSHBYTES_20 62e907b1 OP_EQUALVERIFY OP_CHECKSIG",
            "coinbaseSignatureAscii": f"\u0003{tag}",
            "header": chain.header(height),
            "utxoSetSize": None,
            "totalInputAmt": None,
            "feePercentiles": None,
            "virtualSize": 998_250.25,
            "firstSeen": None,
            "orphans": [],
            "matchRate": None,
        }
        block: dict[str, Any] = {**chain.block(height), "stale": False, "extras": extras}
        for key, value in self.spoiled.get(height, {}).items():
            (extras if key in extras else block)[key] = value
        return block

    def _bulk_block(self, height: int) -> dict[str, Any]:
        block = self.block(height)
        extras = block["extras"]
        return {
            "height": height,
            "hash": block["id"],
            "timestamp": block["timestamp"],
            "median_timestamp": block["mediantime"],
            "previous_block_hash": block["previousblockhash"],
            **{key: block[key] for key in ("difficulty", "version", "bits", "nonce", "size", "weight", "tx_count")},
            "merkle_root": block["merkle_root"],
            "reward": extras["reward"],
            "total_fee_amt": extras["totalFees"],
            "fee_rate_percentiles": None,
            "coinbase_raw": extras["coinbaseRaw"],
            "coinbase_address": extras["coinbaseAddress"],
            "coinbase_addresses": extras["coinbaseAddresses"] or None,
            "pool_slug": extras["pool"]["slug"],
            "pool_id": 7,
            "orphans": [],
        }
