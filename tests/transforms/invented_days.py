"""Days of the daily table as far as rules of capitulation read them, invented."""

import math
import random
from collections.abc import Callable
from datetime import date, timedelta

import polars as pl

from transforms.capitulation import RULE, STATE_INPUTS

FIRST = date(2015, 1, 1)
DAYS = 1_500


def invented_days(price: Callable[[int], float] | None = None) -> pl.DataFrame:
    """Days of `capitulation_daily` as far as rules read them: points and price walk at random, with a gap of each."""
    draw = random.Random(18)
    walk, level, rows = 1_000.0, 0.0, []
    for n in range(DAYS):
        walk *= math.exp(draw.gauss(0.0005, 0.04))
        level = 0.97 * level + draw.gauss(0, 0.25)
        stress = min(max(0.5 + level / 2, 0.0), 1.0)
        rows.append(
            {
                "day": FIRST + timedelta(days=n),
                "price_usd": price(n) if price else None if n in (400, 401) else walk,
                "is_final": n < DAYS - 1,
                "score_income_level": 25 * stress,
                "score_income_per_hash": None if 300 <= n < 310 else 25 * min(1.2 * stress, 1.0),
                "score_hashrate": 50 * min(max(0.5 + level / 3 + draw.gauss(0, 0.1), 0.0), 1.0),
                "outage_event": "storm" if 700 <= n < 720 else None,
                "rule_hash_ribbon_plain": draw.random() < 0.02 if n > 60 else None,
                "hash_ribbon_state": "capitulation" if draw.random() < 0.03 else "normal",
                "rule_puell_low": stress > 0.8,
                "rule_glassnode_risk": stress > 0.9,
                "rule_difficulty_ribbon_compressed": draw.random() < 0.01,
                "revenue_change_30d_pct": draw.gauss(0, 15),
                "mpi_zscore": draw.gauss(0, 1),
            }
        )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    states = RULE.states(frame.select(pl.struct(STATE_INPUTS).alias("inputs"))["inputs"])
    return frame.with_columns(states.alias("capitulation_state"))
