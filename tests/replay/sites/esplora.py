"""An Esplora server over an invented chain: pages of 10 down, and transactions by 25.

Source: https://github.com/Blockstream/esplora/blob/master/API.md. No rate is published; 250 ms between requests are
reported to be borne in its issue 449.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.replay.chain import PAYOUT_SCRIPT, Chain, young
from tests.replay.site import Limit, ReplayRequest, ReplayResponse, ReplaySite, json_response

PAGE_BLOCKS = 10
PAGE_TRANSACTIONS = 25


class EsploraReplay(ReplaySite):
    """`now` decides the tip. Blocks of a height that seven divides have three transactions, others 3,000."""

    name = "esplora"
    prefix = "/api"
    limits = (Limit(4, 1),)
    cool_down_seconds = 600
    settings: Mapping[str, str] = {"HASHPIVOT_ESPLORA_URL": "{base}"}

    def __init__(self, chain: Chain | None = None) -> None:
        super().__init__()
        self.chain = chain or young()
        self.now = datetime.now(UTC)
        self.spoiled: dict[int, dict[str, Any]] = {}
        self.switches = {"reorganise": self.reorganise, "next-day": self.next_day}

    @property
    def tip(self) -> int:
        return self.chain.tip_at(self.now)

    def reorganise(self, depth: int = 3) -> None:
        """The newest blocks are replaced by others."""
        self.chain.replace(self.tip - depth + 1)

    def next_day(self) -> None:
        self.now += timedelta(days=1)

    def error_object(self) -> ReplayResponse:
        return ReplayResponse(200, b"Block not found", "text/plain")

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        match request.path.split("/"):
            case ["", "blocks"]:
                return self._page(self.tip)
            case ["", "blocks", height] if height.isdigit():
                return self._page(int(height))
            case ["", "block", block_hash, "txs", start] if start.isdigit():
                return self._transactions(block_hash, int(start))
        return None

    def _page(self, top: int) -> ReplayResponse:
        if top > self.tip:
            return ReplayResponse(404, b"Block not found", "text/plain")
        return json_response([self.chain.block(height) for height in range(top, max(top - PAGE_BLOCKS, -1), -1)])

    def _transactions(self, block_hash: str, start: int) -> ReplayResponse:
        height = self.chain.height_of(block_hash)
        if height is None:
            return ReplayResponse(404, b"Block not found", "text/plain")
        if start % PAGE_TRANSACTIONS:
            return ReplayResponse(400, b"start index must be a multipication of 25", "text/plain")
        stop = min(start + PAGE_TRANSACTIONS, self.chain.block(height)["tx_count"])
        return json_response([self._transaction(height, number) for number in range(start, stop)])

    def _transaction(self, height: int, number: int) -> dict[str, Any]:
        chain = self.chain
        is_coinbase = number == 0
        fee = 0 if is_coinbase else chain.fees(height) // 2 + (chain.fees(height) % 2 if number == 1 else 0)
        value = chain.subsidy(height) + chain.fees(height) if is_coinbase else 10**8
        transaction = {
            "txid": f"{height:032x}{number:032x}",
            "version": 2,
            "locktime": 0,
            "vin": [
                {
                    "txid": "00" * 32 if is_coinbase else "11" * 32,
                    "vout": 4_294_967_295 if is_coinbase else 0,
                    "prevout": None if is_coinbase else {"scriptpubkey": PAYOUT_SCRIPT, "value": value + fee},
                    "scriptsig": chain.coinbase_script(height) if is_coinbase else "",
                    "is_coinbase": is_coinbase,
                    "sequence": 4_294_967_295,
                }
            ],
            "vout": [{"scriptpubkey": PAYOUT_SCRIPT, "scriptpubkey_type": "p2pkh", "value": value}],
            "fee": fee,
            "status": {"confirmed": True, "block_height": height, "block_hash": chain.hash(height)},
        }
        return {**transaction, **self.spoiled.get(height, {})}
