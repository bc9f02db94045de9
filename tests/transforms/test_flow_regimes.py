"""Figures of flows compare days of one regime only: dated by the registry, by labels of our own, or suspected."""

from datetime import date, timedelta

import polars as pl
import pytest

from schemas.enforce import enforce
from schemas.errors import ContractError
from transforms.build import build
from transforms.inputs.flow_regimes import regime_days
from transforms.inputs.transfer_days import miner_flow_values
from transforms.metrics.flow_regimes import COMPARED
from transforms.tables.capitulation_daily import TABLE

FIRST = date(2024, 1, 1)
DAYS = pl.DataFrame({"day": [FIRST + timedelta(days=n) for n in range(10)]})


def test_day_knows_a_dated_start_once_it_was_known_and_only_of_its_own_supplier(registry_table) -> None:
    found = {"source": "cryptoquant", "valid_from": FIRST + timedelta(days=3), "known_at": FIRST + timedelta(days=5)}
    rows = [found | {"series": series} for series in ("miner_to_exchange", "miner_outflow")]
    older = found | {"series": "miner_to_exchange", "valid_from": FIRST, "known_at": FIRST + timedelta(days=7)}
    regimes = registry_table("flow_regime", [*rows, older])
    chosen = {"miner_to_exchange_sat": "cryptoquant_export", "miner_outflow_sat": "cryptoquant"}
    laid_out = regime_days(DAYS, regimes, chosen, None)
    assert laid_out["flow_regime_dated_on"].to_list() == [None] * 5 + [found["valid_from"]] * 5
    assert laid_out["outflow_regime_dated_on"].to_list() == [None] * 3 + [found["valid_from"]] * 7
    others = regime_days(DAYS, regimes, dict.fromkeys(chosen, "glassnode"), None)
    assert others.select(pl.all().exclude("day").null_count()).row(0) == (10, 10)


def test_each_set_of_our_own_labels_is_a_regime(registry_table) -> None:
    labelled = DAYS.with_columns(label_set=pl.Series(["a"] * 4 + ["b"] * 6))
    laid_out = regime_days(DAYS, registry_table("flow_regime"), {}, labelled)
    assert laid_out["flow_regime_dated_on"].to_list() == [FIRST] * 4 + [FIRST + timedelta(days=4)] * 6
    assert laid_out["outflow_regime_dated_on"].equals(laid_out["flow_regime_dated_on"], null_equal=True)


def test_netflow_of_transfers_is_less_the_fees() -> None:
    sums = {"outflow_sat": 400, "inflow_sat": 460, "fee_sat": 5}
    nothing = ("outflow_mean_sat", "outflow_top10_sat", "to_exchange_sat", "to_exchange_tx_count")
    values = miner_flow_values(pl.DataFrame({"day": FIRST} | sums | dict.fromkeys(nothing, 0)))
    assert values.filter(series="miner_netflow_sat")["value"].to_list() == [55.0]


@pytest.mark.parametrize(
    ("age", "known"),
    [
        (30, {"miner_net_release_30d_btc"}),
        (91, {"miner_to_exchange_burst_score", "miner_to_exchange_burst"}),
        (120, {"miner_to_exchange_30d_of_prior_90d_ratio"}),
        (209, {"miner_to_exchange_30d_rank_pct"}),
    ],
)
def test_figure_is_known_from_the_day_on_which_its_regime_is_old_enough(
    inputs_of, values_of, market, registry_table, age: int, known: set[str]
) -> None:
    begins = FIRST + timedelta(days=150)
    values = values_of(FIRST, market(400))
    dated = [
        {"source": "simulated", "series": "miner_to_exchange", "valid_from": begins, "known_at": begins},
    ]
    inputs = inputs_of(values=values)
    inputs = inputs_of(
        values=values, reference={**inputs.reference, "flow_regime": registry_table("flow_regime", dated)}
    )
    days = build(inputs).tables["capitulation_daily"]
    eve, first = (
        days.row(by_predicate=pl.col("day") == begins + timedelta(days=n), named=True) for n in (age - 2, age - 1)
    )
    assert {name for name in known if eve[name] is not None} == set()
    assert {name for name in known if first[name] is None} == set()
    assert eve["flow_null_reason"] == "regime_too_young"
    assert first["flow_null_reason"] == ("regime_too_young" if age < 209 else None)


@pytest.mark.parametrize("column", COMPARED)
def test_null_of_a_compared_figure_without_a_reason_is_refused(inputs_of, values_of, market, column: str) -> None:
    days = build(inputs_of(values=values_of(FIRST, market(220)))).tables["capitulation_daily"]
    with pytest.raises(ContractError, match="a NULL rank, ratio, burst or net release of flows has a reason"):
        enforce(days.with_columns(pl.lit(None, days.schema[column]).alias(column)), TABLE.schema)
