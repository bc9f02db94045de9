"""Faults that were put into the real data: each is found by the check that was made for it, and sound data by none."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from flows.settings import read_profile
from flows.sources.files.folder import Files
from flows.sources.protocol import Request
from schemas.check import Check
from schemas.observations import EXCHANGE_FLOW, Batch, ObservedTable
from schemas.series import Group
from transforms.build import build
from transforms.checks import difficulty, holes, identities, last_publication, own_scale, recent_sources
from transforms.checks.catalogue import CATALOGUE
from transforms.prepare import Inputs, prepare
from transforms.tables.capitulation_daily import check_series
from warehouse.registry import load_registry

NOW = datetime(2026, 11, 22, tzinfo=UTC)
VENDOR, CHAIN = "cryptoquant_export", "coinmetrics_export"
LAST = {VENDOR: date(2026, 4, 10), CHAIN: date(2026, 3, 22)}
"""Last days of the two files."""
ALWAYS: Final = date(2009, 1, 1)
FEES: Final = identities.SAME_FEES.of(f"fees_sat: {CHAIN}")

Change = Callable[[Inputs], Inputs]


@pytest.fixture(scope="module")
def sound(shared_data: Path) -> Inputs:
    observed = Files(shared_data).observe(Request(since=None, through=NOW.date(), now=NOW))
    batches = [each for each in observed if isinstance(each, Batch)]
    daily = [each for each in batches if each.table is ObservedTable.DAILY_VALUE]
    precedence = read_profile("files").precedence
    return Inputs(
        blocks=next(each.rows for each in batches if each.table is ObservedTable.BLOCK),
        block_source=precedence[Group.BLOCKS][0],
        values=pl.concat(each.rows.select(pl.lit(each.source).alias("source"), pl.all()) for each in daily),
        flows=pl.DataFrame(schema={name: column.dtype.type for name, column in EXCHANGE_FLOW.columns.items()}),
        flow_source=None,
        reference=load_registry(),
        precedence=precedence,
        through=NOW.date(),
        now=NOW,
    )


def found(inputs: Inputs) -> dict[str, Check]:
    """What breaks, by name."""
    return {check.check_name: check for check in check_series(prepare(inputs)) if not check.passed}


def scaled(source: str, series: str, factor: float, first: date, last: date | None = None) -> Change:
    """The series times `factor` from `first` to `last`, by default its last day."""
    chosen = pl.col("day").is_between(first, last or LAST[source]) & (pl.col("series") == series)
    value = pl.when(chosen & (pl.col("source") == source)).then(pl.col("value") * factor).otherwise("value")
    return lambda inputs: replace(inputs, values=inputs.values.with_columns(value.alias("value")))


def last(source: str, days: int) -> date:
    """The first of the last `days` days of a file."""
    return LAST[source] - timedelta(days=days - 1)


def hole(source: str, series: str, first: date, days: int) -> Change:
    gone = (
        (pl.col("source") == source)
        & (pl.col("series") == series)
        & pl.col("day").is_between(first, first + timedelta(days=days - 1))
    )
    return lambda inputs: replace(inputs, values=inputs.values.filter(~gone))


def every_second_pool_unknown(inputs: Inputs) -> Inputs:
    """As the reader makes it of a NULL, with the display name of the list that lies beside the file."""
    pool = pl.when(pl.col("height") % 2 == 0).then(pl.lit("Unknown")).otherwise("pool")
    return replace(inputs, blocks=inputs.blocks.with_columns(pool.alias("pool")))


OUTFLOW, FLOW, COUNT = "miner_outflow_sat", "miner_to_exchange_sat", "miner_to_exchange_count"
FAULTS: list[tuple[str, Change, str, bool]] = [
    # what is wrong, how it is made, the check that finds it, whether it stops
    ("outflow x1000 over 322 days", scaled(VENDOR, OUTFLOW, 1e3, last(VENDOR, 322)), own_scale.LEVEL.name, True),
    ("the same out of balance", scaled(VENDOR, OUTFLOW, 1e3, last(VENDOR, 322)), identities.BALANCE.of("miners"), True),
    (
        "outflow x1000 in old years",
        scaled(VENDOR, OUTFLOW, 1e3, date(2017, 1, 1), date(2017, 11, 18)),
        own_scale.LEVEL.name,
        True,
    ),
    ("outflow x10 always", scaled(VENDOR, OUTFLOW, 10, ALWAYS), identities.BALANCE.of("miners"), True),
    ("flow x0.001 always", scaled(VENDOR, FLOW, 1e-3, ALWAYS), identities.MEAN.of("miner_to_exchange"), True),
    ("flow x0.001 over 200 days", scaled(VENDOR, FLOW, 1e-3, last(VENDOR, 200)), own_scale.LEVEL.name, True),
    ("outflow x0.001 on the last day", scaled(VENDOR, OUTFLOW, 1e-3, last(VENDOR, 1)), own_scale.DAY_LEVEL.name, True),
    ("last rows 0", scaled(VENDOR, OUTFLOW, 0, last(VENDOR, 5)), own_scale.NOT_ZERO.name, True),
    (
        "inflow x3",
        scaled(VENDOR, "miner_inflow_sat", 3, last(VENDOR, 40)),
        identities.RECENT_BALANCE.of("miners"),
        False,
    ),
    (
        "difficulty x1.5 for 20 days",
        scaled(VENDOR, "difficulty", 1.5, last(VENDOR, 60), last(VENDOR, 41)),
        difficulty.CONSTANT.name,
        True,
    ),
    (
        "the same from a retarget on",
        scaled(VENDOR, "difficulty", 1.5, date(2026, 2, 20), date(2026, 3, 11)),
        difficulty.BY_TIMES.name,
        True,
    ),
    (
        "the same before blocks are known",
        scaled(VENDOR, "difficulty", 1.5, date(2018, 3, 6), date(2018, 3, 25)),
        difficulty.BY_COUNT.name,
        True,
    ),
    ("fees x10", scaled(CHAIN, "fees_sat", 10, last(CHAIN, 1)), FEES, True),
    ("fees x100 always", scaled(CHAIN, "fees_sat", 100, ALWAYS), FEES, True),
    (
        "supply x0.9 on the last day",
        scaled(CHAIN, "supply_sat", 0.9, last(CHAIN, 1)),
        identities.SUPPLY_GROWS.name,
        True,
    ),
    (
        "supply a thousandth more",
        scaled(CHAIN, "supply_sat", 1.001, last(CHAIN, 1)),
        identities.SUPPLY_IS_ISSUANCE.name,
        True,
    ),
    (
        "count 0 with flow above 0",
        scaled(VENDOR, COUNT, 0, last(VENDOR, 3)),
        identities.ZERO_TOGETHER.of("miner_to_exchange"),
        True,
    ),
    (
        "reserve x10 on two days",
        scaled(VENDOR, "exchange_reserve_sat", 10, last(VENDOR, 2)),
        identities.RESERVE.of("exchanges"),
        True,
    ),
    (
        "exchange inflow x0.01 always",
        scaled(VENDOR, "exchange_inflow_sat", 0.01, ALWAYS),
        identities.LARGEST.of("exchange_inflow_sat"),
        True,
    ),
    ("price x10", scaled(CHAIN, "price_usd", 10, last(CHAIN, 2)), own_scale.STEP.name, True),
    ("40-day hole", hole(VENDOR, OUTFLOW, date(2025, 5, 1), 40), holes.NO_GAP.name, False),
    (
        "another vendor's inflow x4",
        scaled(CHAIN, "exchange_inflow_sat", 4, last(CHAIN, 30)),
        recent_sources.DRIFT.of(f"exchange_inflow_sat: {CHAIN}"),
        False,
    ),
    (
        "a count that others do not have",
        scaled(CHAIN, "block_count", 1.5, last(CHAIN, 20)),
        recent_sources.SAME.of(f"block_count: {CHAIN}"),
        False,
    ),
    ("half of the pools NULL", every_second_pool_unknown, holes.POOLS_NAMED.name, False),
]


@pytest.mark.parametrize(("change", "name", "stops"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_fault_is_found_by_its_check(sound: Inputs, change: Change, name: str, stops: bool) -> None:
    broken = found(change(sound))
    assert name in broken
    assert broken[name].stops == stops
    assert broken[name].detail


def test_sound_data_breaks_none(sound: Inputs) -> None:
    assert found(sound) == {}


def test_result_of_all_series_states_what_was_expected_where_none_is_broken(sound: Inputs) -> None:
    names = {facts.name for facts in own_scale.CATALOGUE}
    stated = [check for check in build(sound).checks if check.check_name in names]
    assert stated
    assert [check.check_name for check in stated if not check.expected] == []


def test_every_result_is_in_the_catalogue_with_its_severity(sound: Inputs) -> None:
    known = {(pattern(each.name), each.severity) for each in CATALOGUE}
    results = {(check.check_name, check.severity) for check in build(sound).checks}
    listed = {
        (name, severity) for name, severity in results for p, kind in known if kind == severity and p.fullmatch(name)
    }
    assert len(results) > 45
    assert results - listed == set()


def pattern(name: str) -> re.Pattern[str]:
    """A name of the catalogue, in which words in angle brackets stand for a name, after any subject."""
    return re.compile("(.+: )?" + re.sub(r"<\w+>", ".+", re.escape(name)))


@pytest.fixture(scope="module")
def published(sound: Inputs) -> pl.DataFrame:
    return build(sound).tables["capitulation_daily"].select(last_publication.COLUMNS)


def times(column: str, factor: float, days: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The last `days` days on which the column is known, times the factor."""
    return lambda frame: frame.with_columns(
        pl.when(pl.col("day") > frame.drop_nulls(column)["day"][-1] - timedelta(days=days))
        .then(pl.col(column) * factor)
        .otherwise(column)
        .cast(frame.schema[column])
        .alias(column)
    )


def without(column: str, days: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """All but the first `days` days unknown."""
    known = pl.when(pl.int_range(pl.len()) < days).then(pl.col(column))
    return lambda frame: frame.with_columns(known.alias(column))


REWRITTEN: list[tuple[str, Callable[[pl.DataFrame], pl.DataFrame], list[str]]] = [
    ("as it was", lambda frame: frame, []),
    ("two newest days revised", times("miner_outflow_btc", 1.4, 2), []),
    ("a vendor that finds wallets", times("miner_outflow_btc", 1.6, 2_000), [last_publication.REWRITTEN.name]),
    ("flow x0.001 on 20 days", times("miner_to_exchange_btc", 0.001, 20), [last_publication.RESCALED.name]),
    (
        "outflow x10 on all days",
        times("miner_outflow_btc", 10, 9_999),
        [last_publication.REWRITTEN.name, last_publication.RESCALED.name],
    ),
    ("last rows 0", times("miner_to_exchange_count", 0, 6), [last_publication.RESCALED.name]),
    ("difficulty x1.6 for 20 days", times("difficulty", 1.6, 20), [last_publication.RESCALED.name]),
    ("history cut to 100 days", without("price_usd", 700), [last_publication.COVERED.name, last_publication.LOST.name]),
]


@pytest.mark.parametrize(("change", "names"), [each[1:] for each in REWRITTEN], ids=[each[0] for each in REWRITTEN])
def test_published_history_that_changes_is_found(
    published: pl.DataFrame, change: Callable[[pl.DataFrame], pl.DataFrame], names: list[str]
) -> None:
    # Which days are final is not the point here: the vendors' files end long before the clock of the run.
    finished = published.with_columns(is_final=pl.lit(True))
    checks = list(last_publication.check_last_publication(change(finished), finished))
    assert [check.check_name for check in checks if not check.passed] == names


def test_gap_is_named_with_its_days(sound: Inputs) -> None:
    broken = found(hole(VENDOR, OUTFLOW, date(2025, 5, 1), 40)(sound))
    assert "miner_outflow_sat: 2025-05-01 to 2025-06-09" in broken[holes.NO_GAP.name].detail


def test_long_gap_of_early_years_is_named(sound: Inputs) -> None:
    broken = found(hole(VENDOR, "difficulty", date(2012, 5, 1), 40)(sound))
    assert "difficulty: 2012-05-01 to 2012-06-09" in broken[holes.NO_GAP.name].detail


def test_series_that_is_wrong_is_named_with_its_weeks(sound: Inputs) -> None:
    broken = found(scaled(VENDOR, OUTFLOW, 1e3, last(VENDOR, 322))(sound))
    detail = broken[own_scale.LEVEL.name].detail
    assert detail.startswith("1 of 23 series broken: miner_outflow_sat: ")
    assert "26 of 640 weeks broken: 2025-05-25" in detail


def test_missing_blocks_are_named_with_their_heights_and_days(sound: Inputs) -> None:
    first, last = 700_000, 700_999
    without = replace(sound, blocks=sound.blocks.filter(~pl.col("height").is_between(first, last)))
    detail = found(without)[holes.NO_BLOCK_MISSING.name].detail
    assert detail == "700,000 to 700,999 (2021-09-11 to 2021-09-17)"
