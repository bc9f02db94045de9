"""The same two tables in plain pandas and NumPy, as a careful person would write them from the definitions.

Missing numbers are NaN, missing truths the NA of the nullable boolean type, whose `|` and `&` know a third value.
"""

from pathlib import Path
from time import perf_counter

import duckdb
import numpy as np
import pandas as pd

from benchmarks.facts import Facts, facts_of
from benchmarks.peer_columns import PEER_COLUMNS

THREADS = 2
SOURCE = "simulated"
REFERENCE = Path(__file__).resolve().parent.parent / "warehouse" / "reference"
SHARE_WINDOWS = (4_320, 1_008)
RIBBON_DAYS = (9, 14, 25, 40, 60, 90, 128, 200)
SERIES = ["price_usd", "miner_outflow_sat", "miner_to_exchange_sat", "miner_to_exchange_count"]
ZONES = ["extremely_underpaid", "underpaid", "fairly_paid", "overpaid", "extremely_overpaid"]
SCORE = {  # part: input, calm, stressed, points
    "score_income_level": ("income_of_year_ratio", 1.0, 0.5, 25),
    "score_income_per_hash": ("income_per_hash_of_year_ratio", 1.0, 0.5, 25),
    "score_hashrate": ("hash_ribbon_spread_pct", -2, -5, 50),
}


def recompute(home: Path, folder: Path) -> float:
    """Read the working database under `home`, compute both tables, write them to `folder`; return the seconds."""
    facts = facts_of(home)
    started = perf_counter()
    blocks, values = read(home / "warehouse" / "working.duckdb")
    chain = day_blocks(blocks)
    capitulation = capitulation_daily(chain, values, facts)
    pools = pool_daily(blocks, chain, facts)
    write(folder, {"capitulation_daily": capitulation, "pool_daily": pools})
    return perf_counter() - started


def read(database: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Newest blocks by height, with their day, and newest daily values."""
    with duckdb.connect(str(database), read_only=True, config={"threads": THREADS}) as connection:
        blocks = connection.execute(
            "select height, block_at, difficulty, subsidy_claimed_sat, fees_sat, pool "
            "from raw.latest_block where source = ? order by height",
            [SOURCE],
        ).df()
        values = connection.execute(
            "select series, day, value from raw.latest_daily_value where source = ?", [SOURCE]
        ).df()
    blocks["day"] = blocks["block_at"].cummax().dt.floor("D")
    return blocks, values


def day_blocks(blocks: pd.DataFrame) -> pd.DataFrame:
    """Blocks folded by day: sums, the ordinals its blocks span, and whether all blocks of the day are there."""
    follows = blocks["height"].diff().eq(1)
    follows.iloc[0] = blocks["height"].iloc[0] == 0
    days = (
        blocks.assign(follows=follows, stretch=(~follows).cumsum())
        .groupby("day", sort=False)
        .agg(
            block_count=("height", "size"),
            issuance_sat=("subsidy_claimed_sat", "sum"),
            fees_sat=("fees_sat", "sum"),
            difficulty=("difficulty", "mean"),
            unbroken=("follows", "all"),
            joined=("follows", "first"),
            stretch=("stretch", "last"),
            height=("height", "last"),
        )
    )
    days["end"] = days["block_count"].cumsum()
    days["fees_144_sat"] = _recent_fees(blocks, days)
    days["is_whole"] = days["unbroken"] & days["joined"].shift(-1, fill_value=False)
    days["is_buried"] = len(blocks) - days["end"] >= 6
    # Ordinal before the stretch of contiguous heights that the day ends in: no window reaches over it.
    lengths = blocks.assign(stretch=(~follows).cumsum()).groupby("stretch").size()
    days["before_stretch"] = days["stretch"].map(lengths.cumsum().shift(fill_value=0))
    return days


def _recent_fees(blocks: pd.DataFrame, days: pd.DataFrame) -> np.ndarray:
    """Mean fees of the blocks of the 144 heights up to the last of each day, NaN with fewer than 130 of them."""
    fees = blocks["fees_sat"]
    sums = np.concatenate([[0.0], fees.fillna(0).cumsum()])
    counts = np.concatenate([[0], fees.notna().cumsum()])
    end, start = days["end"].to_numpy(), np.searchsorted(blocks["height"], days["height"] - 144, side="right")
    known = counts[end] - counts[start]
    return np.where(known >= 130, (sums[end] - sums[start]) / np.maximum(known, 1), np.nan)


def capitulation_daily(chain: pd.DataFrame, values: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """One row a day, every column of the table."""
    d = _inputs(chain, values, facts)
    _revenue(d)
    _hashrate(d)
    _hashprice_and_cost(d)
    _puell_and_sustainability(d)
    _flows(d)
    _score(d)
    _regime(d)
    return d.reset_index(names="day")[list(PEER_COLUMNS["capitulation_daily"])]


def _inputs(chain: pd.DataFrame, values: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """The gap-free calendar with everything that was observed or estimated."""
    wide = values.pivot(index="day", columns="series", values="value")
    folded = ["block_count", "issuance_sat", "fees_sat", "fees_144_sat", "difficulty"]
    d = wide[SERIES].join(chain.loc[chain["is_whole"], folded], how="outer").loc[: facts.through]
    known = d.notna().any(axis=1) | wide.reindex(d.index).notna().any(axis=1)
    d = d.reindex(pd.date_range(d.index.min(), d.index.max(), name="day", unit="us"))
    d["sources"] = np.where(known.reindex(d.index, fill_value=False), SOURCE, "")
    d["is_final"] = d.index <= _last_final_day(chain, facts)

    fleets = pd.read_csv(REFERENCE / "fleet_efficiency.csv", parse_dates=["as_of", "known_at"])
    fleets["efficiency_j_per_th"] *= fleets["pue_ratio"]
    d["fleet_efficiency_j_per_th"] = _path(d.index, fleets[fleets["fleet"] == "network"])
    for fleet in ("new", "old"):
        columns = {"efficiency_j_per_th": f"{fleet}_fleet_efficiency_j_per_th"}
        d = d.join(_as_known(d.index, fleets[fleets["fleet"] == fleet], columns))
    power = pd.read_csv(REFERENCE / "power_price.csv", parse_dates=["as_of", "known_at"])
    power = power[power["scope"] == "network"]
    return d.join(_as_known(d.index, power.dropna(subset="all_in_usd_per_mwh"), {"all_in_usd_per_mwh": None}))


def _last_final_day(chain: pd.DataFrame, facts: Facts) -> pd.Timestamp:
    """Both the clock, two hours after midnight, and six later blocks must have passed."""
    by_clock = (pd.Timestamp(facts.now).tz_localize(None) - pd.Timedelta(hours=2)).floor("D") - pd.Timedelta(days=1)
    return min(by_clock, chain.index[chain["is_buried"]].max())


def _superseding(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.sort_values(["known_at", "as_of"])
    return rows[rows["as_of"] >= rows["as_of"].cummax()].drop_duplicates("known_at", keep="last")


def _path(days: pd.DatetimeIndex, rows: pd.DataFrame) -> pd.Series:
    """Each estimate falls by a fifth a year, and takes over from the ones before within 90 days."""
    path = pd.Series(np.nan, index=days)
    for row in _superseding(rows).itertuples():
        newest = np.log(row.efficiency_j_per_th) + np.log(0.8) * (days - row.as_of).days / 365.25
        taken = np.minimum((days - row.known_at).days / 90, 1)
        path = path.mask(days >= row.known_at, (path + taken * (newest - path)).fillna(pd.Series(newest, index=days)))
    return np.exp(path)


def _as_known(days: pd.DatetimeIndex, rows: pd.DataFrame, names: dict[str, str | None]) -> pd.DataFrame:
    """The newest estimate published by each day; one about an older date supersedes nothing."""
    rows = _superseding(rows).set_index("known_at")[list(names)].rename(columns={k: v for k, v in names.items() if v})
    return rows.reindex(days, method="ffill")


def _ratio(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    return numerator / denominator.where(denominator > 0)


def _mean(column: pd.Series, days: int, least: int | None = None) -> pd.Series:
    return column.rolling(days, min_periods=least or int(np.ceil(round(0.9 * days, 9)))).mean()


def _is(comparison: pd.Series, *operands: pd.Series) -> pd.Series:
    """A comparison that is unknown where one of its operands is."""
    unknown = np.logical_or.reduce([operand.isna().to_numpy() for operand in operands])
    return pd.Series(pd.arrays.BooleanArray(comparison.to_numpy(dtype=bool), unknown), index=comparison.index)


def _labels(conditions: list[pd.Series], labels: list[str]) -> np.ndarray:
    """The label of the first condition that holds, None where none does."""
    return np.select(conditions, [np.array(label, dtype=object) for label in labels], default=None)


def _revenue(d: pd.DataFrame) -> None:
    d["issuance_btc"] = d["issuance_sat"] / 1e8
    d["fees_btc"] = d["fees_sat"] / 1e8
    d["miner_revenue_btc"] = (d["issuance_sat"] + d["fees_sat"]) / 1e8
    d["issuance_usd"] = d["issuance_btc"] * d["price_usd"]
    d["miner_revenue_usd"] = d["miner_revenue_btc"] * d["price_usd"]
    d["fee_share_pct"] = 100 * _ratio(d["fees_btc"], d["miner_revenue_btc"])
    d["fee_share_7d_pct"] = 100 * _ratio(_mean(d["fees_btc"], 7), _mean(d["miner_revenue_btc"], 7))


def _hashrate(d: pd.DataFrame) -> None:
    d["hashrate_ehs"] = d["block_count"] * d["difficulty"] * 2**32 / 86_400 / 1e18
    d["hashrate_error_pct"] = _ratio(pd.Series(196.0, index=d.index), np.sqrt(d["block_count"]))
    d["hashrate_7d_ehs"] = _mean(d["hashrate_ehs"], 7)
    d["hashrate_30d_ehs"] = _mean(d["hashrate_ehs"], 30, 30)
    d["hashrate_60d_ehs"] = _mean(d["hashrate_ehs"], 60, 60)
    spread = d["hash_ribbon_spread_pct"] = 100 * (_ratio(d["hashrate_30d_ehs"], d["hashrate_60d_ehs"]) - 1)
    entered, left = (condition.astype(float).rolling(3).sum().eq(3) for condition in (spread.le(-1.0), spread.ge(0.0)))
    turned = pd.Series(_labels([entered, left], ["capitulation", "normal"]), index=d.index)
    d["hash_ribbon_state"] = turned.ffill().fillna("normal").where(spread.notna())
    ribbon = np.column_stack([_mean(d["difficulty"], days, days) for days in RIBBON_DAYS])
    mean = pd.Series(ribbon.mean(axis=1), index=d.index)
    d["difficulty_ribbon_compression_ratio"] = _ratio(pd.Series(ribbon.std(axis=1), index=d.index), mean)
    d["rule_hash_ribbon_plain"] = _is(
        d["hashrate_30d_ehs"] < d["hashrate_60d_ehs"], d["hashrate_30d_ehs"], d["hashrate_60d_ehs"]
    )


def _hashprice_and_cost(d: pd.DataFrame) -> None:
    fees, blocks = d["fees_sat"], d["block_count"]
    two_days = blocks + blocks.shift()
    from_totals = (fees / blocks).where(blocks >= 144, ((fees + fees.shift()) / two_days).where(two_days >= 130))
    d["fees_per_block_btc"] = d["fees_144_sat"].fillna(from_totals) / 1e8
    blocks_per_day = _ratio(pd.Series(1e15 * 86_400, index=d.index), d["difficulty"] * 2**32)
    reward = _ratio(d["issuance_btc"], blocks) + d["fees_per_block_btc"]
    d["hashprice_usd_per_phs_day"] = blocks_per_day * reward * d["price_usd"]
    d["hashprice_realised_usd_per_phs_day"] = _ratio(d["miner_revenue_usd"], d["hashrate_ehs"] * 1_000)
    for prefix, revenue, coverage in (
        ("fleet", "revenue_usd_per_mwh", "cost_coverage_ratio"),
        ("new_fleet", "new_fleet_revenue_usd_per_mwh", "new_fleet_cost_coverage_ratio"),
        ("old_fleet", "old_fleet_revenue_usd_per_mwh", "old_fleet_cost_coverage_ratio"),
    ):
        power = 0.024 * d[f"{prefix}_efficiency_j_per_th"]
        hashprice = d["hashprice_usd_per_phs_day"]
        d[revenue] = _ratio(hashprice, power)
        covered = _ratio(_mean(hashprice, 7), power) if prefix == "fleet" else d[revenue]
        d[coverage] = _ratio(covered, d["all_in_usd_per_mwh"])


def _puell_and_sustainability(d: pd.DataFrame) -> None:
    puell = d["puell_issuance_ratio"] = _ratio(d["issuance_usd"], _mean(d["issuance_usd"], 365))
    d["puell_revenue_ratio"] = _ratio(d["miner_revenue_usd"], _mean(d["miner_revenue_usd"], 365))
    per_difficulty = _ratio(d["issuance_usd"], d["difficulty"])
    d["puell_difficulty_adjusted_ratio"] = _ratio(per_difficulty, _mean(per_difficulty, 365))
    d["puell_zone"] = _labels(
        [puell <= 0.5, puell <= 0.6, puell <= 0.8, puell <= 1.5, puell <= 3, puell > 3],
        ["deep_stress", "stress", "pressure", "normal", "comfortable", "hot"],
    )

    revenue, difficulty = _mean(d["miner_revenue_usd"], 7, 6), _mean(d["difficulty"], 7, 6)
    growth = _ratio(revenue, revenue.shift(30))
    d["revenue_change_30d_pct"] = 100 * (growth - 1)
    daily = d["miner_revenue_usd"]
    d["revenue_change_30d_raw_pct"] = 100 * (_ratio(daily, daily.shift(30)) - 1)
    d["revenue_less_difficulty_change_30d_pct"] = 100 * (growth - _ratio(difficulty, difficulty.shift(30)))

    subsidy = _ratio(d["issuance_btc"], d["block_count"])
    halvings = np.ceil(np.log2(50 / subsidy.where(subsidy > 0)) - 0.01).clip(lower=0)
    d["halving_count"] = halvings.astype("Int64")
    d["halving_window"] = halvings.ffill().diff().gt(0).rolling(365, min_periods=1).max().eq(1)
    doublings = 2.0**halvings
    issued = _mean(d["issuance_usd"] * doublings, 7, 6)
    fees = _mean(d["fees_btc"] * d["price_usd"], 7, 6)
    before = issued.shift(30) / doublings + fees.shift(30)
    change = d["revenue_change_30d_exhalving_pct"] = 100 * (_ratio(issued / doublings + fees, before) - 1)
    d["sustainability_zone"] = _zones(change, -20.0, -10.0, 10.0, 20.0)
    history = change.expanding(3 * 365)
    d["sustainability_zone_adaptive"] = _zones(change, *(history.quantile(q) for q in (0.05, 0.20, 0.80, 0.95)))


def _zones(change: pd.Series, low, lower, upper, high) -> np.ndarray:  # type: ignore[no-untyped-def]
    return _labels([change <= low, change <= lower, change < upper, change < high, change >= high], ZONES)


def _flows(d: pd.DataFrame) -> None:
    d["miner_outflow_btc"] = d["miner_outflow_sat"] / 1e8
    outflow = d["miner_outflow_usd"] = d["miner_outflow_btc"] * d["price_usd"]
    position = d["mpi_ratio"] = _ratio(outflow, _mean(outflow, 365))
    deviation = position.rolling(365, min_periods=329).std(ddof=0)
    d["mpi_zscore"] = (position - _mean(position, 365)) / deviation.where(deviation > 1e-9)

    sent = d["miner_to_exchange_btc"] = d["miner_to_exchange_sat"] / 1e8
    d["miner_to_exchange_mean_btc"] = _ratio(sent, d["miner_to_exchange_count"])
    issued_30d = _mean(d["issuance_btc"], 30)
    d["miner_to_exchange_of_issuance_30d_ratio"] = _ratio(_mean(sent, 30), issued_30d)

    recent, before = sent.rolling(28, min_periods=25).median(), sent.rolling(90, min_periods=81).median().shift(28)
    moved = ((recent >= 3 * before) & (recent > 0)) | ((3 * recent <= before) & (before > 0))
    d["flow_break_suspected"] = _is(moved, recent, before)
    lately = moved.astype(float).shift(fill_value=0).rolling(90, min_periods=1).sum()
    day, stated = pd.Series(pd.to_datetime(d.index), index=d.index), sent.notna()
    run_start = day.where(moved & (lately == 0)).ffill() - pd.Timedelta(days=27)
    start = d["flow_regime_start"] = run_start.fillna(day[stated].min()).where(stated.cummax())
    is_comparable = ((day - start).dt.days >= 90) & ~moved

    log_sent = np.log1p(sent)
    median, spread = _median_and_deviation_before(log_sent.to_numpy(), 90, 81)
    score = ((log_sent - median) / np.maximum(1.4826 * spread, 0.10)).where(is_comparable)
    d["miner_to_exchange_burst_score"] = score
    large = _is(sent >= 0.5 * issued_30d, sent, issued_30d)
    burst = d["miner_to_exchange_burst"] = _is((score >= 3.5) & large.fillna(False), score, large)
    d["miner_to_exchange_burst_extreme"] = _is(burst.fillna(False) & (score >= 6.0), burst)


def _median_and_deviation_before(values: np.ndarray, days: int, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Median and median absolute deviation of the `days` values before each one."""
    padded = np.concatenate([np.full(days, np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, days)[:-1]
    median, deviation = np.full((2, len(values)), np.nan)
    enough = np.count_nonzero(~np.isnan(windows), axis=1) >= least
    median[enough] = np.nanmedian(windows[enough], axis=1)
    deviation[enough] = np.nanmedian(np.abs(windows[enough] - median[enough, None]), axis=1)
    return median, deviation


def _score(d: pd.DataFrame) -> None:
    for name, column in (
        ("income_of_year_ratio", d["price_usd"]),
        ("income_per_hash_of_year_ratio", _ratio(d["price_usd"], d["difficulty"])),
    ):
        d[name] = _ratio(_mean(column, 7, 6), _mean(column, 365))
    for part, (name, calm, stressed, points) in SCORE.items():
        d[part] = points * ((d[name] - calm) / (stressed - calm)).clip(0, 1)
    d["capitulation_score"] = d[list(SCORE)].sum(axis=1, skipna=False)


def _regime(d: pd.DataFrame) -> None:
    puell, compression = d["puell_issuance_ratio"], d["difficulty_ribbon_compression_ratio"]
    d["rule_glassnode_risk"] = _is(puell + compression < 0.65, puell, compression)
    d["rule_puell_low"] = _is(puell < 0.6, puell)
    d["rule_difficulty_ribbon_compressed"] = _is(compression < 0.05, compression)

    d["outage_event"] = None
    dates = ["start_on", "end_on", "known_at"]
    events = pd.read_csv(REFERENCE / "outage_event.csv", parse_dates=dates).sort_values("start_on")
    for event in events.itertuples():
        last = event.end_on + pd.Timedelta(days=60)
        d.loc[max(event.start_on, event.known_at) : last, "outage_event"] = event.event

    d["capitulation_state"] = _states(d)
    reasons = np.full(len(d), "", dtype=object)
    for part, (*_, points) in SCORE.items():
        reasons += np.where(d[part] >= points / 2, f"{part.removeprefix('score_')}+", "")
    actual = pd.Series(reasons, index=d.index).str.rstrip("+").replace("", "none")
    d["capitulation_state_reason"] = actual.where(d["capitulation_state"].notna())


def _states(d: pd.DataFrame) -> list[str | None]:
    """Walk through the days; the band of a day depends on its points and on the band before it."""
    economic, hashrate = d["score_income_level"] + d["score_income_per_hash"], d["score_hashrate"]
    states: list[str | None] = []
    band, recovered, capitulated_on = 0, 0, -np.inf
    for today, (known, e, x, event) in enumerate(
        zip(d["is_final"] & (economic + hashrate).notna(), economic, hashrate, d["outage_event"], strict=True)
    ):
        if known:
            for lower in (1, 2, 3):
                limit = (30, 60, 80)[lower - 1]
                if e + x >= limit:
                    band = max(band, lower)
                elif e + x <= limit - 10:
                    band = min(band, lower - 1)
        if known and band >= 2:
            recovered, capitulated_on = 0, today
        recovering = band == 0 and recovered < 60 and today - capitulated_on <= 365
        recovered += recovering
        one_side = "squeeze" if e >= x else "outage" if event else "hashrate_decline"
        named = ("recovery" if recovering else "normal", one_side, "capitulation", "deep_capitulation")
        states.append(named[band] if known else None)
    return states


def pool_daily(blocks: pd.DataFrame, chain: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """One row a whole day and pool with a block in the longest window."""
    codes, pools = pd.factorize(blocks["pool"].fillna("unknown"), sort=True)
    days = chain[chain["is_whole"]].loc[: facts.through]
    end = days["end"].to_numpy()
    starts = {"block_count": end - days["block_count"].to_numpy()}
    starts |= {f"block_{n}_count": end - n for n in SHARE_WINDOWS}

    # Count between the few ordinals at which a window begins or ends, then add up.
    points = np.unique(np.concatenate([[0], end, *starts.values()]).clip(0))
    spans = np.searchsorted(points, np.arange(1, points[-1] + 1))
    counts = np.bincount(spans * len(pools) + codes[: points[-1]], minlength=len(points) * len(pools))
    totals = counts.reshape(-1, len(pools)).cumsum(axis=0)
    at_end = totals[np.searchsorted(points, end)]
    d = pd.DataFrame({"day": np.repeat(days.index, len(pools)), "pool": np.tile(pools, len(days))})
    for name, start in starts.items():
        inside = at_end - totals[np.searchsorted(points, start.clip(0))]
        known = np.repeat(start >= days["before_stretch"].to_numpy(), len(pools))
        whole_day = name == "block_count"
        d[name] = inside.ravel() if whole_day else pd.array(inside.ravel(), dtype="Int64")
        if not whole_day:
            d.loc[~known, name] = pd.NA
    d = d[(d[list(starts)] > 0).any(axis=1)].reset_index(drop=True)

    d["block_share_pct"] = 100 * d["block_count"] / d.groupby("day")["block_count"].transform("sum")
    share = d["block_4320_count"].astype("Float64") / 4_320
    d["pool_share_4320_pct"] = 100 * share
    d["pool_share_4320_error_pct"] = 100 * np.sqrt(share * (1 - share) / 4_320)
    d["pool_share_1008_pct"] = 100 * d["block_1008_count"].astype("Float64") / 1_008
    rank = d["block_4320_count"].astype("Float64").groupby(d["day"]).rank("min", ascending=False)
    d["pool_share_4320_rank"] = rank.astype("Int64")
    d["is_final"] = d["day"] <= _last_final_day(chain, facts)
    d["sources"] = SOURCE
    return d[list(PEER_COLUMNS["pool_daily"])]


def write(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    """A fresh DuckDB file and one Parquet file a table."""
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "tables.duckdb"
    database.unlink(missing_ok=True)
    with duckdb.connect(str(database), config={"threads": THREADS}) as connection:
        for name, rows in tables.items():
            connection.register("rows", rows)
            connection.execute(f"create table {name} as select * replace (day::date as day) from rows")
            connection.unregister("rows")
            connection.execute(f"copy {name} to '{folder / name}.parquet' (format parquet, compression zstd)")
