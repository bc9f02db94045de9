"""What the article states about the conversion to AI and the security of the network. Tolerances are our judgement."""

from typing import Final

from transforms.claims.evidence import DAY, YEAR, Claim, Evidence, Finding, graded

BILLION: Final = 1e9
BACKSTOP_USD: Final = 5e9
LEASE_YEARS: Final = 15.0
LEASE_TOLERANCE_YEARS: Final = 0.5
CAPEX_USD: Final = 500e9
CAPEX_TOLERANCE: Final = 0.1


def _backstop(given: Evidence) -> Finding:
    amount, covered = given.on("google_backstop_usd", DAY), given.on("backstop_coverage_pct", DAY)
    return Finding(
        figure=amount,
        verdict=graded(amount >= BACKSTOP_USD, amount > 0),
        finding=f"{amount / BILLION:.2f} bn USD of disclosed amounts were known on {DAY}.",
        left_out=(
            f"It is a promise, not a payment, and covers {covered:.0f} % of the value of the leases it stands behind. "
            f"Backstops without a disclosed amount: {given.on('backstop_undisclosed_count', DAY)}."
        ),
    )


def _leases(given: Evidence) -> Finding:
    years, deals = given.on("mean_term_years", DAY), given.on("deal_count", DAY)
    power, value = given.on("contracted_critical_it_mw", DAY), given.on("contracted_value_usd", DAY)
    return Finding(
        figure=years,
        verdict=graded(years >= LEASE_YEARS - LEASE_TOLERANCE_YEARS, years > 1),
        finding=(
            f"{deals} contracts of {power:,.0f} MW and {value / BILLION:.1f} bn USD were known on {DAY}; their mean "
            f"term, weighted by power, is {years:.1f} years."
        ),
        left_out=(
            f"{given.on('top_tenant_share_pct', DAY):.0f} % of it is leased to one tenant: the cash flow is as good as "
            "tenants and guarantors, and begins when a hall is switched on."
        ),
    )


def _lease_against_mining(given: Evidence) -> Finding:
    times, newest = given.on("lease_to_mining_ratio", DAY), given.on("new_fleet_lease_to_mining_ratio", DAY)
    parity = given.on("parity_hashprice_usd_per_phs_day", DAY)
    return Finding(
        figure=times,
        verdict=graded(times > 1 and newest > 1, times > 1),
        finding=f"A lease pays {times:.1f} times what the mean machine earned with the same power from the grid.",
        left_out=(
            f"The newest machines: {newest:.1f} times. At a hashprice of {parity:.0f} USD both earn the same. A data "
            "centre costs more to build than a mine, which the ratio does not count."
        ),
    )


def _removed(given: Evidence) -> Finding:
    low, high = given.on("drawdown_permanent_low_ehs", DAY), given.on("drawdown_permanent_high_ehs", DAY)
    missing, temporary = given.on("drawdown_total_ehs", DAY), given.on("drawdown_temporary_ehs", DAY)
    return Finding(
        figure=high,
        verdict=graded(low > 0, high > 0),
        finding=f"{low:,.0f} to {high:,.0f} EH/s, of {missing:,.0f} EH/s below the year's peak, can be gone for good.",
        left_out=(
            "The low end counts sites known to have been switched over, the high end all contracts; machines may move "
            f"elsewhere. {temporary:,.0f} EH/s fit a temporary shut-down."
        ),
    )


def _attack(given: Evidence) -> Finding:
    cost, rate = (
        [given.on(name, day) for day in (DAY - YEAR, DAY)]
        for name in ("attack_energy_usd_per_hour", "attack_hashrate_ehs")
    )
    return Finding(
        figure=cost[1],
        verdict=graded(cost[1] < cost[0] and rate[1] < rate[0], cost[1] < cost[0]),
        finding=f"{cost[1]:,.0f} USD of energy an hour, against {cost[0]:,.0f} USD 365 days before.",
        left_out=(
            f"The hash rate to outdo went from {rate[0]:,.0f} to {rate[1]:,.0f} EH/s; the rest is the estimated "
            "efficiency of machines and price of power, whose bands are wide."
        ),
    )


def _centralised(given: Evidence) -> Finding:
    merged, by_name, majority = (
        [given.on(name, day) for day in (DAY - YEAR, DAY)]
        for name in ("merged_pool_hhi_index", "pool_hhi_index", "merged_nakamoto_coefficient_count")
    )
    rose = [now > before for before, now in (merged, by_name)]
    return Finding(
        figure=merged[1],
        verdict=graded(all(rose), any(rose)),
        finding=(
            f"{merged[1]:,.0f} points where pools that hand out each other's work count as one, {merged[0]:,.0f} "
            f"365 days before; {by_name[1]:,.0f} and {by_name[0]:,.0f} by name."
        ),
        left_out=(
            f"{majority[1]} pools had a majority together, {majority[0]} a year before. A pool decides what goes into "
            "blocks; it does not own the machines."
        ),
    )


def _capex(given: Evidence) -> Finding:
    planned, spent = given.on("capex_guidance_usd", DAY), given.on("capex_trailing_12m_usd", DAY)
    companies = given.on("capex_guidance_company_count", DAY)
    return Finding(
        figure=planned,
        verdict=graded(abs(planned / CAPEX_USD - 1) <= CAPEX_TOLERANCE, planned > spent),
        finding=f"{companies} companies had planned {planned / BILLION:,.0f} bn USD for the year by {DAY}.",
        left_out=f"{spent / BILLION:,.0f} bn USD were spent in the twelve months before. Not all of it is for AI.",
    )


def _of(table: str, *columns: str) -> tuple[str, ...]:
    return tuple(f"{table}.{column}" for column in columns)


CLAIMS: Final = (
    Claim(
        name="ai_capex",
        statement="Large technology companies plan about 500 bn USD of capital expenditure for AI.",
        day=DAY,
        article_figure=CAPEX_USD,
        columns=_of("conversion_daily", "capex_guidance_usd", "capex_guidance_company_count", "capex_trailing_12m_usd"),
        judge=_capex,
    ),
    Claim(
        name="google_backstop",
        statement="Google supports the credit of miners' AI projects with at least 5 bn USD.",
        day=DAY,
        article_figure=BACKSTOP_USD,
        columns=_of("conversion_daily", "google_backstop_usd", "backstop_coverage_pct", "backstop_undisclosed_count"),
        judge=_backstop,
    ),
    Claim(
        name="long_leases",
        statement="Power-ready sites are leased for 15 years: contracted cash flow in place of a volatile reward.",
        day=DAY,
        article_figure=LEASE_YEARS,
        columns=_of(
            "conversion_daily",
            "mean_term_years",
            "deal_count",
            "contracted_critical_it_mw",
            "contracted_value_usd",
            "top_tenant_share_pct",
        ),
        judge=_leases,
    ),
    Claim(
        name="leases_pay_more",
        statement="Mining pays less than AI for the same power.",
        day=DAY,
        columns=_of(
            "conversion_daily",
            "lease_to_mining_ratio",
            "new_fleet_lease_to_mining_ratio",
            "parity_hashprice_usd_per_phs_day",
        ),
        judge=_lease_against_mining,
    ),
    Claim(
        name="hashrate_gone_for_good",
        statement=(
            "Sites that are converted take their power out of the security budget for good; difficulty makes up for "
            "temporary shut-downs only."
        ),
        day=DAY,
        columns=_of(
            "security_daily",
            "drawdown_permanent_high_ehs",
            "drawdown_permanent_low_ehs",
            "drawdown_total_ehs",
            "drawdown_temporary_ehs",
        ),
        judge=_removed,
    ),
    Claim(
        name="more_centralised",
        statement="Mining becomes more centralised.",
        day=DAY,
        columns=_of("security_daily", "merged_pool_hhi_index", "pool_hhi_index", "merged_nakamoto_coefficient_count"),
        judge=_centralised,
    ),
    Claim(
        name="cheaper_attack",
        statement="An attack becomes cheaper at the margin.",
        day=DAY,
        columns=_of("security_daily", "attack_energy_usd_per_hour", "attack_hashrate_ehs"),
        judge=_attack,
    ),
)
