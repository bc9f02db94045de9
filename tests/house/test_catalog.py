"""The catalogue is complete: nothing promised is missing, nothing written is left out, every column says what it is."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import polars as pl
import pytest

import transforms.metrics
from schemas.metric import Metric, metric
from schemas.series import SERIES
from schemas.table import MOST_STARTERS, Origin
from schemas.units import Aggregation, Unit
from tests.house.columns import of_every_column
from transforms.catalog import PUBLISHED, TABLES
from transforms.lineage import column_sources
from transforms.tables.capitulation_daily import TABLE as CAPITULATION_DAILY

PROMISED = [
    "day",
    "price_usd",
    "block_count",
    "issuance_btc",
    "fees_btc",
    "miner_revenue_btc",
    "miner_revenue_usd",
    "fee_share_pct",
    "difficulty",
    "hashrate_ehs",
    "hashprice_usd_per_phs_day",
    "puell_issuance_ratio",
    "puell_revenue_ratio",
    "revenue_change_30d_pct",
    "revenue_change_30d_raw_pct",
    "revenue_less_difficulty_change_30d_pct",
    "revenue_change_30d_exhalving_pct",
    "sustainability_zone",
    "miner_outflow_btc",
    "miner_outflow_usd",
    "mpi_zscore",
    "mpi_ratio",
    "mpi_spans_break",
    "miner_to_exchange_btc",
    "miner_to_exchange_count",
    "miner_to_exchange_mean_btc",
    "miner_to_exchange_of_issuance_30d_ratio",
    "miner_to_exchange_30d_btc",
    "miner_to_exchange_30d_rank_pct",
    "miner_to_exchange_30d_of_prior_90d_ratio",
    "miner_to_exchange_max_30d_btc",
    "miner_net_release_30d_btc",
    "flow_regime_start",
    "flow_break_suspected",
    "flow_null_reason",
    "miner_to_exchange_burst_score",
    "miner_to_exchange_burst",
    "hash_ribbon_spread_pct",
    "hash_ribbon_state",
    "difficulty_ribbon_compression_ratio",
    "fleet_efficiency_j_per_th",
    "fleet_efficiency_low_j_per_th",
    "fleet_efficiency_high_j_per_th",
    "fleet_efficiency_age_days",
    "revenue_usd_per_mwh",
    "cost_coverage_ratio",
    "cost_coverage_low_ratio",
    "cost_coverage_high_ratio",
    "fleet_unprofitable_share_pct",
    "fleet_unprofitable_share_low_pct",
    "fleet_unprofitable_share_high_pct",
    "capitulation_score",
    "score_income_level",
    "score_income_per_hash",
    "score_hashrate",
    "income_of_year_ratio",
    "income_per_hash_of_year_ratio",
    "capitulation_state",
    "capitulation_state_reason",
    "outage_event",
    "rule_puell_low",
    "rule_difficulty_ribbon_compressed",
    "rule_hash_ribbon_plain",
    "rule_glassnode_risk",
    "is_final",
]
"""Columns of `capitulation_daily` that readers were promised. One may be added; none may be renamed or taken away."""

COST_INPUTS = {
    "fleet_efficiency_j_per_th",
    "fleet_efficiency_as_of",
    "new_fleet_efficiency_j_per_th",
    "old_fleet_efficiency_j_per_th",
    "all_in_usd_per_mwh",
    "all_in_as_of",
}
REGIMES = {"flow_regime_dated_on", "outflow_regime_dated_on"}
LAID_OUT = {"covering_event"}
WIDE = 20
"""A table with more columns than this has some to begin with."""

MODULES = [import_module(f"transforms.metrics.{found.name}") for found in iter_modules(transforms.metrics.__path__)]


def metrics_of(module: ModuleType) -> Iterator[Metric]:
    """Metrics written in the module, and none that it borrows from another."""
    yield from (value for value in vars(module).values() if isinstance(value, Metric))


def test_daily_table_has_every_promised_column() -> None:
    assert [name for name in PROMISED if name not in {m.name for m in CAPITULATION_DAILY.metrics}] == []


def test_no_promised_column_is_listed_twice() -> None:
    assert len(PROMISED) == len(set(PROMISED)) == 65


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_names_of_a_table_are_unique(table) -> None:
    assert [name for name, count in Counter(m.name for m in table.metrics).items() if count > 1] == []


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_wide_table_begins_with_the_columns_to_begin_with(table) -> None:
    ranks = [column.starter_rank for column in table.columns]
    count = sum(rank is not None for rank in ranks)
    assert ranks == [*range(1, count + 1), *[None] * (len(ranks) - count)]
    assert (count > 0) == (len(ranks) > WIDE)
    assert count <= MOST_STARTERS
    assert set(table.key) <= {column.name for column in table.columns[:count]} or not count


def test_more_columns_to_begin_with_than_a_reader_takes_in_are_refused() -> None:
    with pytest.raises(TypeError, match="found 16 columns to begin with, expected at most 15"):
        replace(CAPITULATION_DAILY, starter_count=16)


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_verbose_names_of_a_table_are_unique_and_begin_with_a_capital(table) -> None:
    names = [column.verbose_name for column in table.columns]
    assert [name for name, count in Counter(names).items() if count > 1 or not name[0].isupper()] == []


@pytest.mark.parametrize(
    ("column", "verbose"),
    [
        ("capitulation_daily.miner_to_exchange_30d_btc", "Miner to exchange 30 days (BTC)"),
        ("capitulation_daily.hashprice_usd_per_phs_day", "Hashprice (USD per PH/s per day)"),
        ("capitulation_daily.mpi_zscore", "MPI z-score"),
        ("capitulation_daily.difficulty", "Difficulty"),
        ("capitulation_daily.miner_outflow_top10_btc", "Miner outflow top 10 (BTC)"),
        ("conversion_daily.contracted_critical_it_mw", "Contracted critical IT (MW)"),
        ("conversion_daily.capex_trailing_12m_usd", "Capex trailing 12 months (USD)"),
        ("capex_quarter.period_end", "Period end"),
    ],
)
def test_verbose_name_has_words_and_unit(column: str, verbose: str) -> None:
    facts = {f"{table.name}.{each.name}": each for table in PUBLISHED for each in table.columns}
    assert facts[column].verbose_name == verbose


def test_group_of_a_column_is_the_topic_it_is_written_in() -> None:
    groups = {column.name: column.group for column in CAPITULATION_DAILY.columns}
    assert (groups["puell_issuance_ratio"], groups["miner_outflow_btc"]) == ("puell", "miner flows")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def test_every_metric_written_is_published(module: ModuleType) -> None:
    listed = {id(m) for table in TABLES.values() for m in table.metrics}
    written = list(metrics_of(module))
    assert written
    assert [m.name for m in written if id(m) not in listed] == []
    if hasattr(module, "METRICS"):
        assert {m.name for m in module.METRICS} == {m.name for m in written}


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_keys_and_truths_speak_of_published_columns(table) -> None:
    named = {m.name for m in table.metrics}
    assert set(table.key) <= named
    assert {m.name for m in table.metrics if m.nullable}.isdisjoint(table.key)
    for truth in table.truths.values():
        assert set(truth.meta.root_names()) <= named


def test_daily_table_reads_known_series_cost_inputs_and_dated_regimes_only() -> None:
    named = {m.name for m in CAPITULATION_DAILY.metrics}
    read = {name for m in CAPITULATION_DAILY.metrics for name in m.inputs} - named
    given = {m.name for m in CAPITULATION_DAILY.metrics if m.is_given} - {"day", "is_final", "sources"}
    assert read | given <= set(SERIES) | COST_INPUTS | REGIMES | LAID_OUT


@of_every_column
def test_name_ends_in_its_unit(m: Metric) -> None:
    assert m.unit.fits(m.name)


@of_every_column
def test_name_ends_in_no_other_unit(m: Metric) -> None:
    """A label or a yes-or-no has no ending of its own, so nothing else would catch one that ends like a number."""
    longest = max((e for unit in Unit for e in unit.endings if m.name == e or m.name.endswith(e)), key=len)
    assert longest in m.unit.endings


@of_every_column
def test_description_is_a_sentence(m: Metric) -> None:
    assert re.fullmatch(r"[A-Z].*\.", m.description)
    assert not m.description.startswith("The ")
    assert "\n" not in m.description
    assert "  " not in m.description


@of_every_column
def test_error_and_null_rule_are_sentences(m: Metric) -> None:
    assert re.fullmatch(r"\S.*\.", m.error)
    assert m.null_rule is None or re.fullmatch(r"NULL .*\.", m.null_rule)


@of_every_column
def test_type_fits_the_unit(m: Metric) -> None:
    types = {
        Unit.DAY: pl.Date(),
        Unit.LABEL: pl.String(),
        Unit.YES_NO: pl.Boolean(),
        Unit.COUNT: pl.Int64(),
        Unit.RANK: pl.Int64(),
        Unit.DAYS: pl.Int64(),
        Unit.HEIGHT: pl.Int64(),
        Unit.SAT: pl.Int64(),
    }
    assert m.dtype == types.get(m.unit, pl.Float64())


@of_every_column
def test_shares_of_a_hundred_and_amounts_are_bounded_from_below(m: Metric) -> None:
    signed = {Unit.STANDARD_DEVIATIONS, Unit.FIGURE, Unit.SCORE, Unit.LABEL, Unit.YES_NO, Unit.DAY}
    changes = (
        "_change_30d_pct",
        "_raw_pct",
        "_exhalving_pct",
        "_spread_pct",
        "netflow_btc",
        "_release_30d_btc",
        "lag_median_days",
        "_to_low_days",
    )
    if m.unit not in signed and not m.name.endswith(changes):
        assert m.ge is not None


def test_same_name_has_the_same_unit_in_every_table() -> None:
    units: dict[str, set[Unit]] = {}
    for table in TABLES.values():
        for m in table.metrics:
            units.setdefault(m.name, set()).add(m.unit)
    assert {name: found for name, found in units.items() if len(found) > 1} == {}


@of_every_column
def test_window_in_the_name_is_the_one_that_is_declared(m: Metric) -> None:
    """A column of `7d`, `30d` or `60d` looks at least that many days back."""
    for days in re.findall(r"_(\d+)d_", m.name):
        assert m.history_days >= int(days)


LEAST = {
    Unit.COUNT: {0, 1},
    Unit.DAYS: {0, 1},
    Unit.RANK: {1},
    Unit.PERCENT: {0, -100},
}
"""By unit the lowest values that columns may state, where they state one; of all others only 0."""
MOST = {
    Unit.PERCENT: {0, 100},
    Unit.INDEX: {10_000},
    Unit.SCORE: {100},
    Unit.SCORE_PART: {25, 50},
}
"""By unit the highest values; of all others none."""
UNUSUAL = {
    "supply_btc": (0, 21_000_000),
    "hop_count": (0, 1),
    "price_response_ratio": (0, 1),
    "contracted_to_miner_revenue_365d_ratio": (-100, None),
    "drawdown_residual_low_ehs": (-100_000, None),
    "drawdown_residual_high_ehs": (-100_000, None),
    "contracted_critical_it_added_30d_mw": (-20_000, None),
    "contracted_critical_it_added_90d_mw": (-20_000, None),
    "excess_median_pct": (-100_000, None),
}


@of_every_column
def test_range_of_a_column_is_one_that_its_unit_has(m: Metric) -> None:
    """A share ends at 100 and an amount begins at 0; what may be negative without a natural end is named."""
    if m.name in UNUSUAL:
        assert (m.ge, m.le) == UNUSUAL[m.name]
    elif m.ge is not None and not (m.unit is Unit.USD and m.ge == -1e12):
        assert m.ge in LEAST.get(m.unit, {0})
    if m.name not in UNUSUAL and m.le is not None:
        assert m.le in MOST.get(m.unit, set())


def test_figures_of_security_and_conversion_are_traced_to_whoever_stated_them() -> None:
    chosen = {"price_usd": "coinmetrics_export", "difficulty": "node", "block_count": "node", "supply_sat": "node"}
    origins = {Origin.BLOCKS: "pool_blocks_export", Origin.REGISTRY: "registry"}
    traced = column_sources(PUBLISHED, chosen, origins)
    security = {name: traced["security_daily", name] for name in ("supply_btc", "recovery_class", "pool_hhi_index")}
    assert security == {"supply_btc": "node", "recovery_class": "node", "pool_hhi_index": "pool_blocks_export"}
    assert traced["security_daily", "merged_pool_hhi_index"] == "pool_blocks_export,registry"
    assert traced["conversion_daily", "deal_count"] == "registry"
    assert traced["conversion_daily", "share_removed_low_pct"] == "node,registry"
    assert traced["conversion_daily", "mining_usd_per_mw_year"] == "coinmetrics_export,node,registry"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": Unit.PERCENT, "aggregation": Aggregation.SUM_OF_DAY}, "is in percent, whose values have no sum"),
        ({"unit": Unit.BTC, "aggregation": Aggregation.SUM, "history_days": 30}, "looks at 30 days, which overlap"),
    ],
)
def test_sum_of_what_cannot_be_added_up_is_refused_where_it_is_declared(changes, message: str) -> None:
    def amount() -> pl.Expr:
        """An amount."""
        return pl.col("amount")

    amount.__name__ += changes["unit"].endings[0]
    with pytest.raises(TypeError, match=message):
        metric(error="Exact.", null_rule=None, **changes)(amount)
