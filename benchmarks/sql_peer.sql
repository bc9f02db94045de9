-- Both tables in DuckDB alone. Expects `working` (the working database) and `published` (a fresh file) attached, and the
-- variables `now`, `through`, `reference` (folder of the registry). Missing is NULL; ratios go through `ratio`, for a
-- division by zero is infinite here.

create temp macro ratio(a, b) as case when b > 0 then a / b end;
-- greatest and least pass over NULL.
create temp macro ramp(x, calm, stressed) as
    case when x is not null then least(greatest((x - calm) / (stressed - calm), 0), 1) end;
create temp macro zone(x, low, lower, upper, high) as case
    when x <= low then 'extremely_underpaid'
    when x <= lower then 'underpaid'
    when x < upper then 'fairly_paid'
    when x < high then 'overpaid'
    when x >= high then 'extremely_overpaid'
end;

-- One step of the walk through the states, `a` where it stands and `d` the day: the band of its points, the days since
-- the last capitulation, whether it is a day of the recovery.
create temp macro band_of(a, d) as if(
    d.known,
    greatest(
        (d.points >= 30)::int + (d.points >= 60)::int + (d.points >= 80)::int,
        least(a.band, (d.points > 20)::int + (d.points > 50)::int + (d.points > 70)::int)
    ),
    a.band
);
create temp macro capitulates(a, d) as d.known and band_of(a, d) >= 2;
create temp macro since(a, d) as if(capitulates(a, d), 0, a.since + 1);
create temp macro recovers(a, d) as band_of(a, d) = 0 and coalesce(since(a, d) <= 365, false) and a.recovered < 60;

-- Blocks in order; windows without an order of their own stream along it. Heights less ordinals are equal along an
-- unbroken stretch of heights.
create temp table chain as
select
    height,
    max(block_at) over until_here::date as day,
    difficulty,
    subsidy_claimed_sat,
    fees_sat,
    pool,
    row_number() over () as ordinal,
    height - row_number() over () as stretch,
    sum(fees_sat::double) over until_here as fees_so_far_sat,
    count(fees_sat) over until_here as fees_so_far_count
from (
    select height, block_at, difficulty, subsidy_claimed_sat, fees_sat, coalesce(pool, 'unknown') as pool
    from working.raw.latest_block
    where source = 'simulated'
    order by height
)
window until_here as (rows unbounded preceding);

create temp table chain_day as
with folded as (
    select
        day,
        count(*) as block_count,
        case when count(subsidy_claimed_sat) = count(*) then sum(subsidy_claimed_sat)::double end as issuance_sat,
        case when count(fees_sat) = count(*) then sum(fees_sat)::double end as fees_sat,
        case when count(difficulty) = count(*) then avg(difficulty) end as difficulty,
        max(height) as last_height,
        max(ordinal) as last_ordinal,
        min(stretch) as first_stretch,
        max(stretch) as last_stretch,
        max(fees_so_far_sat) as fees_so_far_sat,
        max(fees_so_far_count) as fees_so_far_count
    from chain
    group by day
),
joined as (
    select
        *,
        first_stretch = last_stretch
            and coalesce(lag(last_stretch) over (order by day) = first_stretch, first_stretch = -1)
            and coalesce(lead(first_stretch) over (order by day) = last_stretch, false) as is_whole
    from folded
)
select
    joined.* exclude (fees_so_far_sat, fees_so_far_count),
    joined.fees_so_far_count - coalesce(before.fees_so_far_count, 0) as fees_144_count,
    case
        when fees_144_count >= 130
        then (joined.fees_so_far_sat - coalesce(before.fees_so_far_sat, 0)) / fees_144_count
    end as fees_144_sat
from joined
asof left join chain as before on before.height <= joined.last_height - 144;

create temp table last_final as
select least(
    (getvariable('now')::timestamp - interval 2 hours)::date - 1,
    (select max(day) from chain_day where (select count(*) from chain) - last_ordinal >= 6)
) as day;

create table published.capitulation_daily as
with fleet as (
    select *
    from read_csv(getvariable('reference') || '/fleet_efficiency.csv')
    qualify as_of >= max(as_of) over (partition by fleet order by known_at, as_of rows unbounded preceding)
),
fleet_known as (
    select
        fleet, known_at,
        last(efficiency_j_per_th * pue_ratio order by as_of) as efficiency_j_per_th,
        max(as_of) as as_of
    from fleet
    group by fleet, known_at
),
power as (
    select *
    from read_csv(getvariable('reference') || '/power_price.csv')
    where all_in_usd_per_mwh is not null and scope = 'network'
    qualify as_of >= max(as_of) over (order by known_at, as_of rows unbounded preceding)
),
power_known as (
    select known_at, last(all_in_usd_per_mwh order by as_of) as all_in_usd_per_mwh
    from power
    group by known_at
),
daily_value as (
    select
        day,
        max(value) filter (where series = 'price_usd') as price_usd,
        max(value) filter (where series = 'miner_outflow_sat') as miner_outflow_sat,
        max(value) filter (where series = 'miner_to_exchange_sat') as miner_to_exchange_sat,
        max(value) filter (where series = 'miner_to_exchange_count') as miner_to_exchange_count
    from working.raw.latest_daily_value
    where source = 'simulated'
    group by day
),
observed as (
    select
        coalesce(daily_value.day, whole.day) as day,
        daily_value.* exclude (day),
        whole.block_count, whole.issuance_sat, whole.fees_sat, whole.fees_144_sat, whole.difficulty
    from daily_value
    full join (select * from chain_day where is_whole) as whole on whole.day = daily_value.day
    where coalesce(daily_value.day, whole.day) <= getvariable('through')::date
),
calendar as (
    select unnest(generate_series(min(day), max(day), interval 1 day))::date as day
    from observed
),
-- Each estimate falls by a fifth a year, and takes over from the ones before within 90 days.
path as (
    select
        calendar.day,
        exp(list_reduce(
            list({
                'efficiency': ln(efficiency_j_per_th) + ln(0.8) * (calendar.day - as_of) / 365.25,
                'taken': least((calendar.day - known_at) / 90, 1)
            } order by known_at),
            (path, estimate) -> {
                'efficiency': path.efficiency + estimate.taken * (estimate.efficiency - path.efficiency),
                'taken': estimate.taken
            }
        ).efficiency) as efficiency_j_per_th
    from calendar
    join fleet_known on fleet_known.known_at <= calendar.day
    where fleet = 'network'
    group by calendar.day
),
inputs as (
    select
        calendar.day,
        observed.* exclude (day),
        case when observed.day is null then '' else 'simulated' end as sources,
        calendar.day <= (select day from last_final) as is_final,
        path.efficiency_j_per_th as fleet_efficiency_j_per_th,
        new.efficiency_j_per_th as new_fleet_efficiency_j_per_th,
        old.efficiency_j_per_th as old_fleet_efficiency_j_per_th,
        power_known.all_in_usd_per_mwh,
        (
            select arg_max(event, start_on)
            from read_csv(getvariable('reference') || '/outage_event.csv')
            where calendar.day between greatest(start_on, known_at) and end_on + 60
        ) as outage_event
    from calendar
    left join observed on observed.day = calendar.day
    left join path on path.day = calendar.day
    asof left join (from fleet_known where fleet = 'new') as new on new.known_at <= calendar.day
    asof left join (from fleet_known where fleet = 'old') as old on old.known_at <= calendar.day
    asof left join power_known on power_known.known_at <= calendar.day
),
-- What follows from a day and the one before it.
paid as (
    select
        *,
        issuance_sat / 1e8 as issuance_btc,
        fees_sat / 1e8 as fees_btc,
        (issuance_sat + fees_sat) / 1e8 as miner_revenue_btc,
        issuance_btc * price_usd as issuance_usd,
        miner_revenue_btc * price_usd as miner_revenue_usd,
        100 * ratio(fees_btc, miner_revenue_btc) as fee_share_pct,
        block_count * difficulty * 4294967296.0 / 86400 / 1e18 as hashrate_ehs,
        ratio(196.0, sqrt(block_count)) as hashrate_error_pct,
        ratio(issuance_usd, difficulty) as issuance_usd_per_difficulty,
        ratio(price_usd, difficulty) as price_per_difficulty,
        coalesce(
            fees_144_sat,
            case
                when block_count >= 144 then fees_sat / block_count
                when block_count + lag(block_count) over by_day >= 130
                then (fees_sat + lag(fees_sat) over by_day) / (block_count + lag(block_count) over by_day)
            end
        ) / 1e8 as fees_per_block_btc,
        ratio(1e15 * 86400, difficulty * 4294967296.0)
            * (ratio(issuance_btc, block_count) + fees_per_block_btc) * price_usd as hashprice_usd_per_phs_day,
        ratio(miner_revenue_usd, hashrate_ehs * 1000) as hashprice_realised_usd_per_phs_day,
        ratio(hashprice_usd_per_phs_day, 0.024 * fleet_efficiency_j_per_th) as revenue_usd_per_mwh,
        ratio(hashprice_usd_per_phs_day, 0.024 * new_fleet_efficiency_j_per_th)
            as new_fleet_revenue_usd_per_mwh,
        ratio(hashprice_usd_per_phs_day, 0.024 * old_fleet_efficiency_j_per_th)
            as old_fleet_revenue_usd_per_mwh,
        ratio(new_fleet_revenue_usd_per_mwh, all_in_usd_per_mwh) as new_fleet_cost_coverage_ratio,
        ratio(old_fleet_revenue_usd_per_mwh, all_in_usd_per_mwh) as old_fleet_cost_coverage_ratio,
        case
            when issuance_btc > 0 and block_count > 0
            then greatest(ceil(log2(50 / (issuance_btc / block_count)) - 0.01), 0)::bigint
        end as halving_count,
        pow(2.0, halving_count) as doublings,
        miner_outflow_sat / 1e8 as miner_outflow_btc,
        miner_outflow_btc * price_usd as miner_outflow_usd,
        miner_to_exchange_sat / 1e8 as miner_to_exchange_btc,
        ratio(miner_to_exchange_btc, miner_to_exchange_count) as miner_to_exchange_mean_btc,
        ln(1 + miner_to_exchange_btc) as log_sent
    from inputs
    window by_day as (order by day)
),
-- What follows from windows over those.
averaged as (
    select
        *,
        100 * ratio(
            case when count(fees_btc) over w7 = 7 then avg(fees_btc) over w7 end,
            case when count(miner_revenue_btc) over w7 = 7 then avg(miner_revenue_btc) over w7 end
        ) as fee_share_7d_pct,
        case when count(hashprice_usd_per_phs_day) over w7 = 7 then avg(hashprice_usd_per_phs_day) over w7 end
            as hashprice_7d_usd_per_phs_day,
        ratio(ratio(hashprice_7d_usd_per_phs_day, 0.024 * fleet_efficiency_j_per_th), all_in_usd_per_mwh)
            as cost_coverage_ratio,
        case when count(hashrate_ehs) over w7 = 7 then avg(hashrate_ehs) over w7 end as hashrate_7d_ehs,
        case when count(hashrate_ehs) over w30 = 30 then avg(hashrate_ehs) over w30 end as hashrate_30d_ehs,
        case when count(hashrate_ehs) over w60 = 60 then avg(hashrate_ehs) over w60 end as hashrate_60d_ehs,
        100 * (ratio(hashrate_30d_ehs, hashrate_60d_ehs) - 1) as hash_ribbon_spread_pct,
        hashrate_30d_ehs < hashrate_60d_ehs as rule_hash_ribbon_plain,
        case when count(difficulty) over w200 = 200 then [
            avg(difficulty) over w9, avg(difficulty) over w14, avg(difficulty) over w25, avg(difficulty) over w40,
            avg(difficulty) over w60, avg(difficulty) over w90, avg(difficulty) over w128, avg(difficulty) over w200
        ] end as ribbon,
        ratio(list_stddev_pop(ribbon), list_avg(ribbon)) as difficulty_ribbon_compression_ratio,
        ratio(issuance_usd, case when count(issuance_usd) over w365 >= 329 then avg(issuance_usd) over w365 end)
            as puell_issuance_ratio,
        ratio(
            miner_revenue_usd, case when count(miner_revenue_usd) over w365 >= 329 then avg(miner_revenue_usd) over w365 end
        ) as puell_revenue_ratio,
        ratio(
            issuance_usd_per_difficulty,
            case
                when count(issuance_usd_per_difficulty) over w365 >= 329
                then avg(issuance_usd_per_difficulty) over w365
            end
        ) as puell_difficulty_adjusted_ratio,
        ratio(
            case when count(price_usd) over w7 >= 6 then avg(price_usd) over w7 end,
            case when count(price_usd) over w365 >= 329 then avg(price_usd) over w365 end
        ) as income_of_year_ratio,
        ratio(
            case when count(price_per_difficulty) over w7 >= 6 then avg(price_per_difficulty) over w7 end,
            case when count(price_per_difficulty) over w365 >= 329 then avg(price_per_difficulty) over w365 end
        ) as income_per_hash_of_year_ratio,
        case
            when puell_issuance_ratio <= 0.5 then 'deep_stress'
            when puell_issuance_ratio <= 0.6 then 'stress'
            when puell_issuance_ratio <= 0.8 then 'pressure'
            when puell_issuance_ratio <= 1.5 then 'normal'
            when puell_issuance_ratio <= 3 then 'comfortable'
            when puell_issuance_ratio > 3 then 'hot'
        end as puell_zone,
        case when count(miner_revenue_usd) over w7 >= 6 then avg(miner_revenue_usd) over w7 end as revenue_7d_usd,
        case when count(difficulty) over w7 >= 6 then avg(difficulty) over w7 end as difficulty_7d,
        case when count(issuance_usd * doublings) over w7 >= 6 then avg(issuance_usd * doublings) over w7 end
            as first_subsidy_7d_usd,
        case when count(fees_btc * price_usd) over w7 >= 6 then avg(fees_btc * price_usd) over w7 end as fees_7d_usd,
        100 * (ratio(miner_revenue_usd, lag(miner_revenue_usd, 30) over by_day) - 1) as revenue_change_30d_raw_pct,
        last_value(halving_count ignore nulls) over until_today as halvings_so_far,
        ratio(miner_outflow_usd, case when count(miner_outflow_usd) over w365 >= 329 then avg(miner_outflow_usd) over w365 end)
            as mpi_ratio,
        case when count(issuance_btc) over w30 >= 27 then avg(issuance_btc) over w30 end as issuance_30d_btc,
        ratio(
            case when count(miner_to_exchange_btc) over w30 >= 27 then avg(miner_to_exchange_btc) over w30 end,
            issuance_30d_btc
        ) as miner_to_exchange_of_issuance_30d_ratio,
        case
            when count(log_sent) over before90 >= 81 and log_sent is not null
            then (log_sent - median(log_sent) over before90) / greatest(1.4826 * mad(log_sent) over before90, 0.10)
        end as raw_burst_score,
        case when count(miner_to_exchange_btc) over w28 >= 25 then median(miner_to_exchange_btc) over w28 end as recent_btc,
        case when count(miner_to_exchange_btc) over before_w28 >= 81 then median(miner_to_exchange_btc) over before_w28 end
            as before_btc,
        (recent_btc >= 3 * before_btc and recent_btc > 0) or (3 * recent_btc <= before_btc and before_btc > 0)
            as flow_break_suspected,
        min(day) filter (where miner_to_exchange_btc is not null) over until_today as first_stated
    from paid
    window
        by_day as (order by day),
        until_today as (order by day rows unbounded preceding),
        w7 as (order by day rows 6 preceding),
        w9 as (order by day rows 8 preceding),
        w14 as (order by day rows 13 preceding),
        w25 as (order by day rows 24 preceding),
        w28 as (order by day rows 27 preceding),
        before_w28 as (order by day rows between 117 preceding and 28 preceding),
        w30 as (order by day rows 29 preceding),
        w40 as (order by day rows 39 preceding),
        w60 as (order by day rows 59 preceding),
        w90 as (order by day rows 89 preceding),
        w128 as (order by day rows 127 preceding),
        w200 as (order by day rows 199 preceding),
        w365 as (order by day rows 364 preceding),
        before90 as (order by day rows between 90 preceding and 1 preceding)
),
-- Since when the labels of flows are the same, as far as the flow itself shows it.
broken as (
    select
        *,
        case
            when flow_break_suspected and count(*) filter (where flow_break_suspected) over quiet90 = 0 then day - 27
        end as run_start
    from averaged
    window quiet90 as (order by day rows between 90 preceding and 1 preceding)
),
settled as (
    select
        *,
        coalesce(last_value(run_start ignore nulls) over until_today, first_stated) as flow_regime_start,
        case
            when day - flow_regime_start >= 90 and not coalesce(flow_break_suspected, false) then raw_burst_score
        end as miner_to_exchange_burst_score,
        case
            when issuance_30d_btc is not null and miner_to_exchange_burst_score is not null
            then miner_to_exchange_burst_score >= 3.5 and miner_to_exchange_btc >= 0.5 * issuance_30d_btc
        end as miner_to_exchange_burst,
        case when miner_to_exchange_burst is not null then miner_to_exchange_burst and miner_to_exchange_burst_score >= 6 end
            as miner_to_exchange_burst_extreme
    from broken
    window until_today as (order by day rows unbounded preceding)
),
-- What follows from windows over windows.
changed as (
    select
        *,
        ratio(revenue_7d_usd, lag(revenue_7d_usd, 30) over by_day) as revenue_growth,
        100 * (revenue_growth - 1) as revenue_change_30d_pct,
        100 * (revenue_growth - ratio(difficulty_7d, lag(difficulty_7d, 30) over by_day))
            as revenue_less_difficulty_change_30d_pct,
        100 * (ratio(
            first_subsidy_7d_usd / doublings + fees_7d_usd,
            lag(first_subsidy_7d_usd, 30) over by_day / doublings + lag(fees_7d_usd, 30) over by_day
        ) - 1) as revenue_change_30d_exhalving_pct,
        zone(revenue_change_30d_exhalving_pct, -20, -10, 10, 20) as sustainability_zone,
        halvings_so_far > lag(halvings_so_far) over by_day as halved,
        case
            when count(mpi_ratio) over w365 >= 329 and stddev_pop(mpi_ratio) over w365 > 1e-9
            then (mpi_ratio - avg(mpi_ratio) over w365) / stddev_pop(mpi_ratio) over w365
        end as mpi_zscore,
        case
            when count(*) filter (where hash_ribbon_spread_pct <= -1) over w3 = 3 then 'capitulation'
            when count(*) filter (where hash_ribbon_spread_pct >= 0) over w3 = 3 then 'normal'
        end as turned
    from settled
    window
        by_day as (order by day),
        w3 as (order by day rows 2 preceding),
        w7 as (order by day rows 6 preceding),
        w365 as (order by day rows 364 preceding)
),
judged as (
    select
        *,
        coalesce(bool_or(halved) over w365, false) as halving_window,
        quantile_cont(revenue_change_30d_exhalving_pct, [0.05, 0.20, 0.80, 0.95]) over until_today as limits,
        case
            when count(revenue_change_30d_exhalving_pct) over until_today >= 1095
            then zone(revenue_change_30d_exhalving_pct, limits[1], limits[2], limits[3], limits[4])
        end as sustainability_zone_adaptive,
        case
            when hash_ribbon_spread_pct is not null
            then coalesce(last_value(turned ignore nulls) over until_today, 'normal')
        end as hash_ribbon_state,
        25 * ramp(income_of_year_ratio, 1.0, 0.5) as score_income_level,
        25 * ramp(income_per_hash_of_year_ratio, 1.0, 0.5) as score_income_per_hash,
        50 * ramp(hash_ribbon_spread_pct, -2, -5) as score_hashrate,
        score_income_level + score_income_per_hash as economic,
        economic + score_hashrate as capitulation_score
    from changed
    window
        until_today as (order by day rows unbounded preceding),
        w365 as (order by day rows 364 preceding)
),
-- The walk: `a` is where it stands, `d` the day; one letter a day is added to `path`.
walked as (
    select
        list_reduce(
            list({
                'known': is_final and capitulation_score is not null,
                'points': capitulation_score,
                'one_side': case when economic >= score_hashrate then 's' when outage_event is null then 'h' else 'o' end,
                'band': 0, 'since': null::int, 'recovered': 0, 'path': ''
            } order by day),
            lambda a, d: {
                'known': d.known,
                'points': d.points,
                'one_side': d.one_side,
                'band': band_of(a, d),
                'since': since(a, d),
                'recovered': if(capitulates(a, d), 0, a.recovered + recovers(a, d)::int),
                'path': a.path || case
                    when not d.known then '-'
                    when recovers(a, d) then 'r'
                    else ['n', d.one_side, 'c', 'D'][band_of(a, d) + 1]
                end
            },
            {
                'known': false, 'points': null::double, 'one_side': '',
                'band': 0, 'since': null::int, 'recovered': 0, 'path': ''
            }
        ).path as path,
        list(day order by day) as days
    from judged
),
states as (
    select
        unnest(days) as day,
        map {
            'n': 'normal', 's': 'squeeze', 'h': 'hashrate_decline', 'o': 'outage', 'c': 'capitulation',
            'D': 'deep_capitulation', 'r': 'recovery'
        }[unnest(string_split(path, ''))] as capitulation_state
    from walked
)
select
    judged.day,
    price_usd,
    block_count,
    issuance_btc,
    issuance_usd,
    fees_btc,
    miner_revenue_btc,
    miner_revenue_usd,
    fee_share_pct,
    fee_share_7d_pct,
    difficulty,
    hashrate_ehs,
    hashrate_error_pct,
    hashrate_7d_ehs,
    hashrate_30d_ehs,
    hashrate_60d_ehs,
    hash_ribbon_spread_pct,
    hash_ribbon_state,
    difficulty_ribbon_compression_ratio,
    rule_hash_ribbon_plain,
    fees_per_block_btc,
    hashprice_usd_per_phs_day,
    hashprice_realised_usd_per_phs_day,
    puell_issuance_ratio,
    puell_revenue_ratio,
    puell_difficulty_adjusted_ratio,
    puell_zone,
    revenue_change_30d_pct,
    revenue_change_30d_raw_pct,
    revenue_less_difficulty_change_30d_pct,
    halving_count,
    halving_window,
    revenue_change_30d_exhalving_pct,
    sustainability_zone,
    sustainability_zone_adaptive,
    miner_outflow_btc,
    miner_outflow_usd,
    mpi_zscore,
    mpi_ratio,
    miner_to_exchange_btc,
    miner_to_exchange_count::bigint as miner_to_exchange_count,
    miner_to_exchange_mean_btc,
    miner_to_exchange_of_issuance_30d_ratio,
    flow_break_suspected,
    flow_regime_start,
    miner_to_exchange_burst_score,
    miner_to_exchange_burst,
    miner_to_exchange_burst_extreme,
    fleet_efficiency_j_per_th,
    all_in_usd_per_mwh,
    revenue_usd_per_mwh,
    new_fleet_revenue_usd_per_mwh,
    old_fleet_revenue_usd_per_mwh,
    cost_coverage_ratio,
    new_fleet_cost_coverage_ratio,
    old_fleet_cost_coverage_ratio,
    income_of_year_ratio,
    income_per_hash_of_year_ratio,
    capitulation_score,
    score_income_level,
    score_income_per_hash,
    score_hashrate,
    capitulation_state,
    case when capitulation_state is not null then coalesce(nullif(concat_ws(
        '+',
        case when score_income_level >= 12.5 then 'income_level' end,
        case when score_income_per_hash >= 12.5 then 'income_per_hash' end,
        case when score_hashrate >= 25 then 'hashrate' end
    ), ''), 'none') end as capitulation_state_reason,
    outage_event,
    puell_issuance_ratio + difficulty_ribbon_compression_ratio < 0.65 as rule_glassnode_risk,
    puell_issuance_ratio < 0.6 as rule_puell_low,
    difficulty_ribbon_compression_ratio < 0.05 as rule_difficulty_ribbon_compressed,
    is_final,
    sources
from judged
left join states on states.day = judged.day
order by judged.day;

-- Days and the ordinals between which their blocks are counted.
create temp table pool_window as
select
    day, block_count, last_ordinal,
    last_ordinal - block_count as before_day,
    case when last_ordinal - 4320 >= before_ordinal then last_ordinal - 4320 end as before_4320,
    case when last_ordinal - 1008 >= before_ordinal then last_ordinal - 1008 end as before_1008
from chain_day
join (select stretch, min(ordinal) - 1 as before_ordinal from chain group by stretch) as starts
    on starts.stretch = chain_day.last_stretch
where is_whole and day <= getvariable('through')::date;

create table published.pool_daily as
with ends as (
    select distinct unnest([last_ordinal, before_day, before_4320, before_1008]) as ordinal
    from pool_window
),
-- Each block is counted once, into the span up to the next ordinal at which a window begins or ends.
spanned as (
    select
        chain.pool,
        count(ends.ordinal) over (order by chain.ordinal rows between unbounded preceding and 1 preceding) as span
    from chain
    left join ends on ends.ordinal = chain.ordinal
),
spans as (
    select span, pool, count(*) as made_count
    from spanned
    group by span, pool
),
totals as (
    select
        ends.ordinal,
        pools.pool,
        sum(coalesce(spans.made_count, 0)) over (partition by pools.pool order by ends.ordinal)::bigint as made_count
    from (
        select ordinal, row_number() over (order by ordinal) - 1 as span
        from ends
        where ordinal > 0
    ) as ends
    cross join (select distinct pool from chain) as pools
    left join spans on spans.span = ends.span and spans.pool = pools.pool
),
counted as (
    select
        w.day,
        at_end.pool,
        at_end.made_count - coalesce(at_day.made_count, 0) as block_count,
        case when before_4320 is not null then at_end.made_count - coalesce(at_4320.made_count, 0) end as block_4320_count,
        case when before_1008 is not null then at_end.made_count - coalesce(at_1008.made_count, 0) end as block_1008_count
    from pool_window as w
    join totals as at_end on at_end.ordinal = w.last_ordinal
    left join totals as at_day on at_day.ordinal = w.before_day and at_day.pool = at_end.pool
    left join totals as at_4320 on at_4320.ordinal = w.before_4320 and at_4320.pool = at_end.pool
    left join totals as at_1008 on at_1008.ordinal = w.before_1008 and at_1008.pool = at_end.pool
)
select
    day,
    pool,
    block_count,
    100 * ratio(block_count, sum(block_count) over (partition by day)) as block_share_pct,
    block_4320_count,
    block_1008_count,
    100 * block_4320_count / 4320 as pool_share_4320_pct,
    100 * sqrt(block_4320_count / 4320 * (1 - block_4320_count / 4320) / 4320) as pool_share_4320_error_pct,
    100 * block_1008_count / 1008 as pool_share_1008_pct,
    case when block_4320_count is not null then rank() over (partition by day order by block_4320_count desc) end
        as pool_share_4320_rank,
    day <= (select day from last_final) as is_final,
    'simulated' as sources
from counted
where block_count > 0 or block_4320_count > 0 or block_1008_count > 0
order by day, pool;

copy published.capitulation_daily to (getvariable('folder') || '/capitulation_daily.parquet') (compression zstd);
copy published.pool_daily to (getvariable('folder') || '/pool_daily.parquet') (compression zstd);
