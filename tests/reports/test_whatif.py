"""A user's own numbers through the published metrics."""

import json

import pytest

from tests.invocation import Hashpivot

ARTICLE = ("--power-price", "55.5", "--day", "2026-02-05", "--json")


def test_numbers_of_the_worked_examples_come_out(hashpivot: Hashpivot) -> None:
    done = hashpivot("whatif", "--hashprice", "33.31", "--efficiency", "28.2", *ARTICLE)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    figures = result["figures"]
    assert figures["revenue_usd_per_mwh"] == pytest.approx(49.2, abs=0.05)
    assert figures["cost_coverage_ratio"] == pytest.approx(0.887, abs=0.001)
    assert figures["break_even_j_per_th"] == pytest.approx(25.0, abs=0.05)
    assert figures["mining_usd_per_mw_year"] == pytest.approx(0.95 * 0.431e6, abs=0.001e6)
    hut = next(row for row in result["contracts"] if row["deal_id"] == "HUT-FLUID-RB-2025-12")
    assert hut["contract_usd_per_mw_year"] == pytest.approx(1.90e6, abs=0.005e6)
    assert hut["contract_backstop_coverage_pct"] is None
    assert {"WULF-ANTH-2026-07", "RIOT-LAB-2026-08"}.isdisjoint(row["deal_id"] for row in result["contracts"])


def test_mining_at_the_parity_hashprice_pays_what_the_lease_does(hashpivot: Hashpivot) -> None:
    first = json.loads(hashpivot("whatif", "--hashprice", "33.31", "--efficiency", "18", *ARTICLE).stdout)["figures"]
    parity = first["parity_hashprice_usd_per_phs_day"]
    again = json.loads(hashpivot("whatif", "--hashprice", str(parity), "--efficiency", "18", *ARTICLE).stdout)[
        "figures"
    ]
    mining_margin = again["revenue_usd_per_mwh"] - 55.5
    lease_margin = again["lease_gross_usd_per_mw_year"] * 0.85 / 8_760
    assert mining_margin == pytest.approx(lease_margin)
    assert again["parity_hashprice_usd_per_phs_day"] == pytest.approx(parity)


def test_better_mining_takes_value_from_a_lease_only_where_a_mine_was(hashpivot: Hashpivot) -> None:
    def contracts(hashprice: str) -> dict[str, dict[str, float | None]]:
        done = hashpivot("whatif", "--hashprice", hashprice, "--power-price", "50", "--efficiency", "18", "--json")
        return {row["deal_id"]: row for row in json.loads(done.stdout)["contracts"]}

    poor, rich = contracts("20"), contracts("80")
    campus, unknown = "HUT-FLUID-RB-2025-12", "CLSK-SAND-2026-07"
    assert poor[campus]["npv_after_mining_usd"] == rich[campus]["npv_after_mining_usd"] == rich[campus]["npv_usd"]
    assert poor[unknown]["npv_usd"] == rich[unknown]["npv_usd"]
    assert rich[unknown]["npv_after_mining_usd"] is None
    assert rich["IREN-MSFT-2025-11"]["npv_usd"] is None, "GPU cloud has no net present value here"


def test_table_for_people_names_each_figure_and_unit(hashpivot: Hashpivot) -> None:
    done = hashpivot("whatif", "--hashprice", "40", "--power-price", "50", "--efficiency", "18")
    assert done.returncode == 0
    assert "parity_hashprice_usd_per_phs_day" in done.stdout
    assert "USD per MW per year" in done.stdout


@pytest.mark.parametrize(
    ("hashprice", "power", "efficiency", "reason"),
    [
        ("0.04", "50", "18", "hashprice: found 0.04"),
        ("40", "50000", "18", "power price: found 50000.0"),
        ("40", "50", "0.018", "efficiency: found 0.018"),
        ("nan", "50", "18", "hashprice: found nan"),
    ],
)
def test_slip_of_units_is_refused(
    hashpivot: Hashpivot, hashprice: str, power: str, efficiency: str, reason: str
) -> None:
    done = hashpivot("whatif", "--hashprice", hashprice, "--power-price", power, "--efficiency", efficiency)
    assert done.returncode == 2
    assert reason in done.stderr
