"""Who supplies data: licence, delay and how far each is trusted. A closed list, published as `meta.sources`."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """One origin of observations.

    `licence` is the tightest term that a table derived from it inherits; `trust` says what its numbers are good for.
    """

    name: str
    title: str
    licence: str
    delay: str
    trust: str
    address: str


SIMULATED: Final = Supplier(
    name="simulated",
    title="Deterministic chain of our own",
    licence="no restriction",
    delay="none",
    trust="invented: shows the machinery, says nothing about the market",
    address="flows/sources/simulated/",
)
COINMETRICS_EXPORT: Final = Supplier(
    name="coinmetrics_export",
    title="Coin Metrics community data set, daily CSV",
    licence="CC BY-NC 4.0: attribution, no commercial use",
    delay="a day; recent flow rows are revised",
    trust="chain totals exact; exchange flows are lower bounds that move as addresses are tagged",
    address="https://docs.coinmetrics.io/",
)
CRYPTOQUANT_EXPORT: Final = Supplier(
    name="cryptoquant_export",
    title="CryptoQuant web exports, one metric a CSV file",
    licence="vendor terms: internal use, no redistribution",
    delay="a day; clustering is rewritten every Tuesday, so history moves",
    trust="'miner' means pool participants; levels differ from other vendors by 100 %",
    address="https://userguide.cryptoquant.com/",
)
POOL_BLOCKS_EXPORT: Final = Supplier(
    name="pool_blocks_export",
    title="Pool of each block, Parquet file",
    licence="BSD 2-Clause",
    delay="as old as the file",
    trust="heights and header times exact; pool names by coinbase tag and payout address",
    address="https://github.com/mempool/mining-pools",
)
NODE: Final = Supplier(
    name="node",
    title="Own Bitcoin Core node",
    licence="none: the chain is nobody's",
    delay="minutes; the newest blocks can still be replaced",
    trust="exact: every amount in satoshi; pool names by payout address and coinbase tag",
    address="https://bitcoincore.org/en/doc/",
)
COINMETRICS: Final = Supplier(
    name="coinmetrics",
    title="Coin Metrics, daily metrics of the community API",
    licence="CC BY-NC 4.0: attribution, no commercial use",
    delay="1 to 5 hours after the day; flows of recent days are revised",
    trust="chain totals exact; exchange flows are lower bounds that move as addresses are tagged",
    address="https://docs.coinmetrics.io/api/v4",
)
MEMPOOL: Final = Supplier(
    name="mempool",
    title="mempool.space, or a mempool server of one's own",
    licence="none stated: no bulk redistribution",
    delay="minutes; the newest blocks can still be replaced",
    trust="headers prove themselves, amounts are the server's; pools that our list lacks are as the server named them",
    address="https://mempool.space/docs/api/rest",
)
ESPLORA: Final = Supplier(
    name="esplora",
    title="Esplora, blockstream.info or a server of one's own",
    licence="none stated: no bulk redistribution",
    delay="minutes; the newest blocks can still be replaced",
    trust="headers prove themselves; pool names by payout address and coinbase tag; fees of small blocks only",
    address="https://github.com/Blockstream/esplora/blob/master/API.md",
)
COINBASE: Final = Supplier(
    name="coinbase",
    title="Coinbase Exchange, BTC-USD daily candles",
    licence="exchange terms: own use, no redistribution",
    delay="none once the UTC day is over",
    trust="close of one venue in USD",
    address="https://docs.cdp.coinbase.com/exchange/reference/",
)
KRAKEN: Final = Supplier(
    name="kraken",
    title="Kraken, XBT/USD daily candles",
    licence="exchange terms: own use, no redistribution",
    delay="none once the UTC day is over",
    trust="close of one venue in USD; only the last 720 days",
    address="https://docs.kraken.com/api/",
)
BINANCE: Final = Supplier(
    name="binance",
    title="Binance, BTC/USDT daily candles",
    licence="exchange terms: own use, no redistribution",
    delay="none once the UTC day is over",
    trust="close of one venue in USDT, which is not the US dollar",
    address="https://developers.binance.com/docs/binance-spot-api-docs",
)
BITSTAMP: Final = Supplier(
    name="bitstamp",
    title="Bitstamp, BTC/USD daily candles",
    licence="exchange terms: own use, no redistribution",
    delay="none once the UTC day is over",
    trust="close of one venue in USD",
    address="https://www.bitstamp.net/api/",
)
CRYPTOQUANT: Final = Supplier(
    name="cryptoquant",
    title="CryptoQuant API",
    licence="vendor terms: internal use, no redistribution",
    delay="a day; clustering is rewritten every Tuesday, so history moves",
    trust="'miner' means pool participants; levels differ from other vendors by 100 %",
    address="https://docs.cryptoquant.com/",
)
GLASSNODE: Final = Supplier(
    name="glassnode",
    title="Glassnode API",
    licence="vendor terms: internal use, no redistribution",
    delay="a day; labels are updated all the time, so history moves",
    trust="miners to exchanges are direct transfers only; levels differ from other vendors by 100 %",
    address="https://docs.glassnode.com/",
)
EDGAR: Final = Supplier(
    name="edgar",
    title="SEC EDGAR: company facts and filings",
    licence="public domain",
    delay="minutes to a day after a filing",
    trust="amounts as filed, with the basis of the element; keywords are found by machine and prove nothing",
    address="https://www.sec.gov/search-filings/edgar-application-programming-interfaces",
)
REGISTRY: Final = Supplier(
    name="registry",
    title="Curated registry of AI leases, credit support and capital expenditure",
    licence="compiled facts, each row with its source",
    delay="days to weeks after an announcement",
    trust="confidence is given per row; undisclosed terms are left empty",
    address="warehouse/reference/",
)

SUPPLIERS: Final = {
    supplier.name: supplier
    for supplier in (
        SIMULATED,
        COINMETRICS_EXPORT,
        CRYPTOQUANT_EXPORT,
        POOL_BLOCKS_EXPORT,
        NODE,
        COINMETRICS,
        MEMPOOL,
        ESPLORA,
        COINBASE,
        KRAKEN,
        BINANCE,
        BITSTAMP,
        CRYPTOQUANT,
        GLASSNODE,
        EDGAR,
        REGISTRY,
    )
}
