"""The invented market: dates, prices, hash rates, pools and rates. Changing a figure here changes every history.

Everything here is invented. Dates, prices and hash rates are of the size of the real ones so that the metrics move
through their usual range, but no row describes the real market, a pool or an exchange.
"""

from datetime import date
from typing import Final, NamedTuple


class Turn(NamedTuple):
    """A turning point of the invented market. Between two of them everything is linear on a log scale."""

    day: date
    price_usd: float
    hashrate_ehs: float
    fees_btc_per_block: float


SCENARIO: Final = (
    Turn(date(2009, 1, 3), 0.001, 7.2e-12, 1e-6),
    Turn(date(2010, 7, 15), 0.06, 1.5e-9, 1e-4),
    Turn(date(2011, 6, 8), 25, 1e-5, 0.03),
    Turn(date(2011, 11, 18), 2.5, 8.5e-6, 0.01),
    Turn(date(2013, 4, 9), 180, 6e-5, 0.3),
    Turn(date(2013, 7, 5), 70, 1.8e-4, 0.2),
    Turn(date(2013, 12, 4), 1_000, 7e-3, 0.15),
    Turn(date(2015, 1, 14), 210, 0.28, 0.1),
    Turn(date(2016, 7, 9), 650, 1.5, 0.4),
    Turn(date(2017, 12, 17), 18_000, 14, 4),
    Turn(date(2018, 11, 10), 6_300, 52, 0.15),
    Turn(date(2018, 12, 15), 3_500, 37, 0.15),
    Turn(date(2019, 7, 1), 10_800, 66, 0.3),
    # The demo begins here: a calm winter, then the squeeze of a halving.
    Turn(date(2019, 10, 24), 9_000, 92, 0.18),
    Turn(date(2020, 5, 10), 9_400, 118, 0.4),
    Turn(date(2020, 6, 5), 9_500, 105, 0.5),
    Turn(date(2020, 10, 20), 12_000, 134, 0.5),
    Turn(date(2021, 1, 8), 32_000, 152, 0.5),
    Turn(date(2021, 4, 14), 46_000, 182, 0.5),
    Turn(date(2021, 7, 20), 36_000, 176, 0.2),
    Turn(date(2021, 11, 9), 59_000, 214, 0.12),
    # First capitulation: the price loses two thirds in seven months, hash rate follows weeks later.
    Turn(date(2022, 3, 28), 46_000, 232, 0.1),
    Turn(date(2022, 5, 5), 38_000, 244, 0.12),
    Turn(date(2022, 6, 18), 18_500, 236, 0.12),
    Turn(date(2022, 7, 28), 20_000, 170, 0.1),
    Turn(date(2022, 9, 5), 20_500, 176, 0.1),
    Turn(date(2022, 11, 10), 20_000, 248, 0.12),
    # A long calm climb through the next halving.
    Turn(date(2023, 7, 10), 30_000, 375, 0.2),
    Turn(date(2023, 10, 15), 28_500, 425, 0.15),
    Turn(date(2024, 3, 14), 70_000, 590, 0.5),
    Turn(date(2024, 4, 20), 64_000, 625, 0.5),
    Turn(date(2024, 7, 7), 58_000, 580, 0.12),
    Turn(date(2024, 10, 15), 66_000, 690, 0.08),
    Turn(date(2024, 12, 17), 100_000, 775, 0.08),
    # An outage with no reason in income: a storm takes a fifth of the machines for two months.
    Turn(date(2025, 1, 14), 98_000, 790, 0.06),
    Turn(date(2025, 1, 24), 99_000, 625, 0.06),
    Turn(date(2025, 3, 4), 95_000, 640, 0.05),
    Turn(date(2025, 3, 20), 92_000, 800, 0.05),
    Turn(date(2025, 8, 13), 118_000, 960, 0.05),
    Turn(date(2025, 10, 6), 128_000, 1_080, 0.04),
    # Second capitulation: more than half in four months, below the cash cost of the fleet.
    Turn(date(2025, 11, 21), 88_000, 1_100, 0.03),
    Turn(date(2026, 2, 5), 59_000, 1_010, 0.025),
    Turn(date(2026, 3, 10), 63_000, 790, 0.02),
    Turn(date(2026, 4, 15), 71_000, 810, 0.025),
    Turn(date(2026, 6, 10), 89_000, 980, 0.03),
    Turn(date(2026, 7, 25), 103_000, 1_040, 0.03),
    # Third: the state in which the demo ends.
    Turn(date(2026, 9, 10), 85_000, 1_080, 0.03),
    Turn(date(2026, 10, 20), 67_000, 1_030, 0.025),
    Turn(date(2026, 11, 30), 65_000, 840, 0.02),
    Turn(date(2027, 2, 1), 70_000, 830, 0.02),
    Turn(date(2027, 5, 1), 90_000, 1_010, 0.03),
    Turn(date(2028, 4, 15), 125_000, 1_400, 0.05),
    Turn(date(2030, 1, 1), 180_000, 1_800, 0.05),
)
"""The whole scenario. After the last turn everything stays where it is."""

SQUEEZES: Final = (
    (date(2014, 12, 20), date(2015, 2, 10)),
    (date(2018, 11, 14), date(2019, 1, 10)),
    (date(2020, 5, 12), date(2020, 6, 10)),
    (date(2022, 5, 10), date(2022, 8, 5)),
    (date(2025, 11, 15), date(2026, 3, 20)),
    (date(2026, 9, 20), date(2027, 1, 15)),
)
"""First and last day on which miners sell in bursts because they must."""

FEE_SPIKES: Final = (
    (date(2017, 12, 10), date(2017, 12, 30), 2.0),
    (date(2021, 2, 18), date(2021, 3, 3), 2.5),
    (date(2023, 5, 4), date(2023, 5, 13), 9.0),
    (date(2023, 12, 12), date(2023, 12, 24), 10.0),
    (date(2024, 6, 6), date(2024, 6, 10), 6.0),
    (date(2025, 12, 4), date(2025, 12, 9), 5.0),
)
"""First and last day of a rush for block space, and how many times the usual fees it pays."""

POOL_WEIGHT_DAYS: Final = (date(2009, 1, 3), date(2012, 1, 1), date(2019, 10, 1), date(2022, 6, 1), date(2024, 6, 1),
                           date(2026, 12, 1))  # fmt: skip
POOL_WEIGHTS: Final = {
    "sim-alder": (0, 10, 15, 19, 27, 30),
    "sim-birch": (0, 0, 12, 17, 24, 19),
    "sim-cedar": (0, 25, 17, 14, 11, 12),
    "sim-fir": (0, 0, 6, 13, 13, 11),
    "sim-hazel": (0, 20, 11, 9, 4, 3),
    "sim-juniper": (0, 0, 0, 3, 7, 9),
    "sim-larch": (0, 0, 10, 6, 3, 2),
    "sim-maple": (0, 0, 0, 0, 2, 6),
    "sim-oak": (0, 12, 8, 5, 2, 1),
    "sim-pine": (0, 0, 0, 4, 3, 3),
    "sim-rowan": (0, 8, 9, 5, 0, 0),
    "sim-spruce": (0, 15, 7, 0, 0, 0),
    "sim-willow": (0, 6, 4, 2, 1, 1),
    "sim-yew": (0, 0, 0, 2, 2, 2),
    "unknown": (100, 4, 1, 1, 1, 1),
}
"""Weight of each pool on each of `POOL_WEIGHT_DAYS`, straight lines in between; zero is a pool that does not exist."""

EXCHANGE_WEIGHTS: Final = {
    "sim-exchange-a": 0.40,
    "sim-exchange-b": 0.22,
    "sim-exchange-c": 0.15,
    "sim-exchange-d": 0.10,
    "sim-exchange-e": 0.08,
    "sim-exchange-f": 0.05,
}
"""Part of the coins sent to exchanges that each receives."""

FIRST_EXCHANGE_DAY: Final = date(2011, 1, 1)

PRICE_WANDER: Final = (0.95, 0.022)
"""Part of yesterday's distance from the scenario that is left today, and the daily shock to it, in logarithms."""
HASHRATE_WANDER: Final = (0.90, 0.008)
POOL_WANDER: Final = (0.98, 0.03)

CLOCK_EVERY_BLOCKS: Final = 3
CLOCK_AHEAD_RATIO: Final = 0.025
CLOCK_AHEAD_MEAN_S: Final = 600
CLOCK_AHEAD_LIMIT_S: Final = 7_000
"""Below the two hours that consensus allows, with room for headers of the same second."""

UNDERCLAIM_RATIO: Final = 5e-5
UNDERCLAIM_LIMIT_SAT: Final = 1_000
EMPTY_BLOCK_RATIO: Final = 0.004
FEE_SPREAD: Final = 0.8
"""Standard deviation of the logarithm of the fees of a block."""
HALVING_FEE_FACTOR: Final = 12.0
HALVING_FEE_FADE_BLOCKS: Final = 500

TRANSFERS_PER_DAY: Final = 120
SOLD_RATIO: Final = 0.35
"""Part of the issuance of an ordinary day that miners send to exchanges."""
OTHER_OUTFLOW_RATIO: Final = 0.45
PAIR_SPREAD: Final = 0.6
DAY_SPREAD: Final = 0.22
BURST_RATIO_IN_SQUEEZE: Final = 0.09
BURST_RATIO: Final = 0.002
BURST_FACTOR: Final = (5.0, 20.0)
TOP_TRANSFERS: Final = 10
TOP_CONCENTRATION: Final = 0.6
"""Transfers differ in size: the ten largest of n hold (10 / n) to this power of the coins."""
TOP10_RATIO: Final = (0.15, 0.55)
"""Part of a day's outflow that its ten largest transactions carry, from and to."""
EXCHANGE_TURNOVER_BTC: Final = 28_000

PRICE_DIGITS: Final = 8
"""Significant digits kept, so that the last bit of a machine's `exp` does not show."""
