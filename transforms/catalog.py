"""The one list of published tables. A derived table is one module of `transforms.tables` and one line here."""

from importlib import import_module
from typing import Final

from schemas.registry import REGISTRY
from schemas.table import Table, registry_table

_MODULES: Final = (
    "capitulation_daily",
    "rule_comparison",
    "signal_backtest",
    "signal_first_published",
    "price_low",
    "price_low_by_rule",
    "capitulation_weekly",
    "capitulation_monthly",
    "capitulation_episode",
    "conversion_daily",
    "hashrate_left_for_ai",
    "deal_current",
    "megawatts_by_company",
    "megawatts_by_tenant",
    "lease_economics",
    "security_daily",
    "pool_daily",
    "exchange_flow_daily",
    "exchange_flow_by_exchange_daily",
    "exchange_flow_by_pool_daily",
    "exchange_flow_total_daily",
    "flow_by_exchange",
    "miner_flow_daily",
    "miner_transfer",
    "filing_candidate",
    "claim",
    "latest",
)
"""Modules of the derived tables, in the order in which they are published; each has the name of its table."""

TABLES: Final[dict[str, Table]] = {name: import_module(f"transforms.tables.{name}").TABLE for name in _MODULES}
"""Tables that are derived from observations, by name."""
PUBLISHED: Final = (*TABLES.values(), *map(registry_table, REGISTRY.values()))
"""Every published table: the derived ones, then those of the registry."""
