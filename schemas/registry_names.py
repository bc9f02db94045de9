"""The closed lists of names in the registry: a name that is typed otherwise would be a second party in every sum.

A new party is a new line here, in the same edit as its first row.
"""

from typing import Final

TICKERS: Final[dict[str, str | None]] = {
    "Alphabet": "GOOGL",
    "Amazon": "AMZN",
    "American Bitcoin": "ABTC",
    "Applied Digital": "APLD",
    "Bit Digital / WhiteFiber": "BTBT",
    "Bitdeer": "BTDR",
    "Bitzero": "AIBZ",
    "Canaan (bought from Cipher)": "CAN",
    "Cango": "CANG",
    "Cipher Digital": "CIFR",
    "Cipher Mining (Cipher Digital)": "CIFR",
    "CleanSpark": "CLSK",
    "Core Scientific": "CORZ",
    "CoreWeave": "CRWV",
    "Crusoe": None,
    "Crusoe (private, ex gas-flare miner)": None,
    "Digi Power X": "DGXX",
    "Galaxy Digital": "GLXY",
    "HIVE Digital": "HIVE",
    "HIVE Digital / BUZZ HPC": "HIVE",
    "Hut 8": "HUT",
    "IREN": "IREN",
    "Keel Infrastructure (ex Bitfarms)": "KEEL",
    "MARA Holdings": "MARA",
    "Meta": "META",
    "Microsoft": "MSFT",
    "NVIDIA": "NVDA",
    "Oracle": "ORCL",
    "Riot Platforms": "RIOT",
    "Soluna": "SLNH",
    "TeraWulf": "WULF",
    "TeraWulf / Fluidstack JV": "WULF",
    "WhiteFiber (Bit Digital)": "WYFI",
}
"""Ticker of each miner, operator and spender; None for a private one."""

MAKERS: Final = ("Bitdeer", "Bitmain", "Canaan", "MicroBT")

TENANT_GROUPS: Final = (
    "AMD",
    "Amazon",
    "Anthropic",
    "Cerebras",
    "Core42",
    "CoreWeave",
    "Fluidstack",
    "Microsoft",
    "NVIDIA",
    "Nscale",
    "OneQode",
    "Oracle",
    "Volta",
)

TENANTS: Final = (
    *TENANT_GROUPS,
    "AI cloud developer (not named)",
    "AMD (377 MW direct) and a neocloud (152 MW, AMD credit support)",
    "Amazon Data Services",
    "Amazon Web Services",
    "Cerebras Systems",
    "Fluidstack and an unnamed leading AI lab",
    "High-investment-grade global technology company (not named)",
    "Neocloud (non-binding LOI)",
    "None yet",
    "One of the world's leading frontier AI labs",
    "Same hyperscaler as Delta Forge 1",
    "Several",
    "Several customers (not named)",
    "Single tenant (not named)",
    "Sovereign Swedish technology company (not named)",
    "Together AI; Fluidstack; Fireworks AI",
    "US hyperscaler (not named)",
    "US investment-grade hyperscaler (Oracle, per bond table)",
    "US investment-grade hyperscaler (not named)",
    "Undisclosed (same campus)",
    "Undisclosed high-investment-grade company",
)

END_CUSTOMERS: Final = (
    "AMD",
    "Amazon Web Services",
    "Anthropic",
    "Anthropic (Bloomberg/DCD/CNBC; not confirmed by Riot)",
    "Anthropic (local press 2026-09)",
    "G42",
    "Investment-grade technology clients",
    "Leading AI lab (not named)",
    "NVIDIA internal workloads",
    "OpenAI",
    "hyperscale AI platform (not named)",
    "hyperscaler, not named (multi-trillion-dollar investment-grade)",
)

SUPPORTERS: Final = (
    "AMD",
    "Amazon.com",
    "Core42",
    "G42 / Abu Dhabi",
    "Google",
    "Letter-of-credit bank (not named)",
    "Meta",
    "Microsoft",
    "NVIDIA",
    "Nscale",
    "Several AI cloud customers",
)
"""Parties that give credit support."""

BACKSTOPS: Final = (
    "AMD (credit support on 152 MW of neocloud leases)",
    "Amazon.com (tenant parent guarantee)",
    "Core42 (12-month revenue prepayment)",
    "Customers (prepayments about 45% of associated GPU capex)",
    "Google",
    "Letters of credit (anticipated)",
    "Meta (guarantee behind CoreWeave, per bond table)",
    "Microsoft (20% prepayment, see credit_support)",
    "Nscale (prepayment, see credit_support)",
)
"""Who supports a deal, and how, as the row of the deal puts it."""
