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
    for supplier in (SIMULATED, COINMETRICS_EXPORT, CRYPTOQUANT_EXPORT, POOL_BLOCKS_EXPORT, NODE, EDGAR, REGISTRY)
}
