"""The charts of the report, as declared: which columns each draws, how, and what is marked in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from transforms.capitulation import RULE

Kind = Literal["line", "thin", "step", "stacked", "low", "high"]
"""`low` and `high` are the ends of one band, in this order; the lines of a chart are all `stacked` or none is."""
Colour = Literal["blue", "vermillion", "green", "purple", "orange", "sky", "grey"]
Mark = Literal["halvings", "outages", "regimes"]
Group = Literal["miners", "network", "conversion"]

CAPITULATION: Final = "capitulation_daily"
CONVERSION: Final = "conversion_daily"
SECURITY: Final = "security_daily"
BREAK_EVEN: Final = "report.break_even_hashprice"
"""First part of the keys of columns that the report computes; see `flows.reports.page.computed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One column of a chart, `key` being `table.column`."""

    key: str
    label: str
    colour: Colour
    kind: Kind = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart. `guides`: horizontal lines, by value what each of them means. `log`: drawn so, until switched over.

    `shaded`: whether states of the miners are shaded behind it. `zero`: whether the scale begins at 0. `limits`: the
    scale, whatever the values. `clip`: where the scale ends at most, so that a few days do not make all others flat.
    """

    name: str
    group: Group
    title: str
    note: str
    unit: str
    lines: tuple[Line, ...]
    guides: Mapping[float, str] | None = None
    log: bool | None = None
    zero: bool = False
    shaded: bool = True
    marks: tuple[Mark, ...] = ("halvings",)
    is_wide: bool = False
    limits: tuple[float, float] | None = None
    clip: tuple[float, float] | None = None


def _lines(table: str, *lines: tuple[str, str, Colour, Kind]) -> tuple[Line, ...]:
    return tuple(
        Line(key=f"{table}.{name}", label=label, colour=colour, kind=kind) for name, label, colour, kind in lines
    )


CHARTS: Final = (
    Chart(
        name="score",
        group="miners",
        title="Capitulation score and its parts",
        note=(
            "Two sides, income and hash rate, of 50 points each: neither alone makes a capitulation. A state is "
            f"entered at its line and left {RULE.hysteresis:g} points lower."
        ),
        unit="points of 100",
        lines=_lines(
            CAPITULATION,
            ("score_income_level", "Income level", "blue", "stacked"),
            ("score_income_per_hash", "Income per hash", "green", "stacked"),
            ("score_hashrate", "Hash rate", "vermillion", "stacked"),
        ),
        guides=dict(zip(RULE.limits, ("squeeze or decline", "capitulation", "deep capitulation"), strict=True)),
        limits=(0, 100),
        marks=("halvings", "outages"),
        is_wide=True,
    ),
    Chart(
        name="price",
        group="miners",
        title="Price of bitcoin",
        note="Shaded: states of the miners. Episodes of capitulation are listed below.",
        unit="USD",
        lines=_lines(CAPITULATION, ("price_usd", "Price", "blue", "line")),
        log=True,
        marks=("halvings", "outages"),
        is_wide=True,
    ),
    Chart(
        name="puell",
        group="miners",
        title="Puell Multiple and income against its own year",
        note=(
            "Issuance in USD over its mean of a year falls by half at each halving; the other two, which the "
            "score reads, do not. Glassnode calls a Puell Multiple below 0.6 stress."
        ),
        unit="ratio",
        lines=_lines(
            CAPITULATION,
            ("puell_issuance_ratio", "Puell Multiple", "orange", "thin"),
            ("income_of_year_ratio", "Price of a week over its year", "blue", "line"),
            ("income_per_hash_of_year_ratio", "The same per hash", "green", "line"),
        ),
        guides={1.0: "own year's mean", 0.5: "full stress"},
        log=True,
    ),
    Chart(
        name="revenue_change",
        group="miners",
        title="Miner revenue against 30 days before",
        note=(
            "Means of seven days. Block luck alone has a standard deviation of 4.5 points; limits are our judgement. "
            "The scale ends at +150 %."
        ),
        clip=(-100, 150),
        unit="percent",
        lines=_lines(
            CAPITULATION,
            ("revenue_change_30d_pct", "Change", "orange", "thin"),
            ("revenue_change_30d_exhalving_pct", "Change without halvings", "blue", "line"),
        ),
        guides={0.0: "", -20.0: "extremely underpaid", 20.0: "extremely overpaid"},
    ),
    Chart(
        name="ribbon",
        group="miners",
        title="Hash ribbons: 30 against 60 days of hash rate",
        note=(
            "Below the lines hash rate leaves: the hash-rate part of the score goes from none at -2 % to all at -5 %. "
            "The scale ends at +25 %."
        ),
        clip=(-30, 25),
        unit="percent",
        lines=_lines(CAPITULATION, ("hash_ribbon_spread_pct", "Spread", "vermillion", "line")),
        guides={0.0: "", RULE.hashrate.calm: "part begins", RULE.hashrate.stressed: "part is full"},
        marks=("halvings", "outages"),
    ),
    Chart(
        name="hashprice",
        group="miners",
        title="Hash price against cost",
        note=(
            "The band is what one PH/s would have to earn a day to pay the all-in cash cost of the mean fleet: "
            "it rests on surveys, so that it is known to a factor of 1.3 at best. Below the band even a cheap fleet "
            "pays more than it earns."
        ),
        unit="USD per PH/s per day",
        lines=(
            Line(key=f"{BREAK_EVEN}_low_usd_per_phs_day", label="Cost, low", colour="orange", kind="low"),
            Line(key=f"{BREAK_EVEN}_high_usd_per_phs_day", label="Cost, high", colour="orange", kind="high"),
            Line(key=f"{BREAK_EVEN}_usd_per_phs_day", label="Cost", colour="orange", kind="thin"),
            Line(
                key=f"{CAPITULATION}.hashprice_7d_usd_per_phs_day",
                label="Hash price, 7 days",
                colour="blue",
                kind="line",
            ),
        ),
        log=True,
    ),
    Chart(
        name="exchange_flows",
        group="miners",
        title="Miners to exchanges, 30 days",
        note=(
            "Gross flow counts coins that were sent more than once; what was sold on balance is at most the net "
            "release. Values on two sides of a break of labels (R) cannot be compared."
        ),
        unit="BTC in 30 days",
        lines=_lines(
            CAPITULATION,
            ("miner_to_exchange_30d_btc", "Sent to exchanges", "blue", "line"),
            ("miner_net_release_30d_btc", "Net release", "vermillion", "line"),
        ),
        marks=("halvings", "regimes"),
    ),
    Chart(
        name="outflow",
        group="miners",
        title="Miner outflow, by the day",
        note=(
            "Coins that left miners' wallets, change and transfers among them taken out. Depends on who is "
            "labelled a miner."
        ),
        unit="BTC",
        lines=_lines(
            CAPITULATION,
            ("miner_outflow_btc", "Outflow", "purple", "thin"),
            ("miner_to_exchange_btc", "Of it to exchanges, as far as both are stated", "blue", "thin"),
        ),
        log=True,
        marks=("halvings", "regimes"),
    ),
    Chart(
        name="mpi",
        group="miners",
        title="Miners' Position Index",
        note=(
            "Outflow in USD over its mean of a year, in standard deviations. It enters no score: it is low when "
            "the price is."
        ),
        unit="standard deviations",
        lines=_lines(CAPITULATION, ("mpi_zscore", "MPI", "purple", "thin")),
        guides={0.0: "", 2.0: "vendor: most miners sell"},
        marks=("halvings", "regimes"),
    ),
    Chart(
        name="hashrate",
        group="network",
        title="Hash rate",
        note="Work that the blocks imply. Block luck alone has a relative standard deviation of 3.1 % on a week.",
        unit="EH/s",
        lines=_lines(
            CAPITULATION,
            ("hashrate_7d_ehs", "Mean of 7 days", "sky", "thin"),
            ("hashrate_60d_ehs", "Mean of 60 days", "vermillion", "line"),
        ),
        log=True,
        marks=("halvings", "outages"),
    ),
    Chart(
        name="drawdown",
        group="network",
        title="Hash rate below its highest",
        note="Seven-day mean against its highest value so far.",
        unit="percent",
        lines=_lines(SECURITY, ("hashrate_drawdown_pct", "Drawdown", "vermillion", "line")),
        marks=("halvings", "outages"),
    ),
    Chart(
        name="concentration",
        group="network",
        title="Concentration of pools",
        note=(
            "Herfindahl-Hirschman index of 4,320 blocks. The band is what blocks without a known pool leave "
            "open; merged counts pools that hand out another's templates to it. A pool chooses blocks, it does "
            "not own the machines."
        ),
        unit="index points",
        lines=_lines(
            SECURITY,
            ("pool_hhi_index", "Pools, low", "blue", "low"),
            ("pool_hhi_high_index", "Pools, high", "blue", "high"),
            ("merged_pool_hhi_index", "Merged, low", "vermillion", "low"),
            ("merged_pool_hhi_high_index", "Merged, high", "vermillion", "high"),
        ),
        guides={1000.0: "moderate", 1800.0: "high"},
        zero=True,
    ),
    Chart(
        name="top2",
        group="network",
        title="Blocks of the two largest pools",
        note="Above a half, two pools together could reorganise the chain while their miners let them.",
        unit="percent",
        lines=_lines(
            SECURITY,
            ("top2_pool_share_pct", "Two largest", "blue", "line"),
            ("merged_top2_pool_share_pct", "Two largest, merged", "vermillion", "line"),
        ),
        guides={50.0: "half"},
        zero=True,
    ),
    Chart(
        name="megawatts",
        group="conversion",
        title="Power leased to AI: contracted and switched on",
        note=(
            "Critical power, as announced and as known on the day. What is switched on is a lower bound: "
            "deliveries are reported late."
        ),
        unit="MW",
        lines=_lines(
            CONVERSION,
            ("contracted_critical_it_mw", "Contracted", "blue", "step"),
            ("energised_critical_it_mw", "Switched on", "green", "step"),
        ),
        zero=True,
        shaded=False,
        marks=(),
        is_wide=True,
    ),
    Chart(
        name="lease",
        group="conversion",
        title="A megawatt for a year: leased against mining",
        note=(
            "Revenue per megawatt drawn from the utility, GPU cloud left out. Mining is the network's mean "
            "fleet at the day's hash price."
        ),
        unit="USD per MW per year",
        lines=_lines(
            CONVERSION,
            ("lease_gross_usd_per_mw_year", "Leases", "blue", "step"),
            ("mining_usd_per_mw_year", "Mining", "orange", "thin"),
        ),
        zero=True,
        shaded=False,
        marks=(),
    ),
    Chart(
        name="backstops",
        group="conversion",
        title="Credit backstops behind leases",
        note="Guarantees and letters of credit whose amount is disclosed; several are announced without one.",
        unit="USD",
        lines=_lines(
            CONVERSION,
            ("backstop_usd", "All", "blue", "step"),
            ("google_backstop_usd", "Of these Google", "green", "step"),
        ),
        zero=True,
        shaded=False,
        marks=(),
    ),
    Chart(
        name="capex",
        group="conversion",
        title="Capital expenditure of large technology companies",
        note="Spent in the last four quarters known on the day, and their own guidance for the calendar year.",
        unit="USD",
        lines=_lines(
            CONVERSION,
            ("capex_guidance_low_usd", "Guidance, low", "orange", "low"),
            ("capex_guidance_high_usd", "Guidance, high", "orange", "high"),
            ("capex_trailing_12m_usd", "Last four quarters", "blue", "step"),
        ),
        zero=True,
        shaded=False,
        marks=(),
    ),
    Chart(
        name="displaced",
        group="conversion",
        title="Hash rate displaced by AI",
        note=(
            "A range, never a point. Low: sites that stopped mining or serve AI, half of the machines moved. "
            "High: all power under contract that has or may have mined, none of them moved."
        ),
        unit="EH/s",
        lines=_lines(
            CONVERSION,
            ("displaced_hashrate_low_ehs", "Low", "vermillion", "low"),
            ("displaced_hashrate_high_ehs", "High", "vermillion", "high"),
        ),
        zero=True,
        shaded=False,
        marks=(),
    ),
)
