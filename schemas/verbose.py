"""Names of columns in words, as labels of charts and tables."""

import re
from typing import Final

from schemas.units import Unit

_UNITS: Final = {unit.label: unit for unit in Unit}
_IN_WORDS: Final = {
    *(Unit.LABEL, Unit.YES_NO, Unit.DAY, Unit.COUNT, Unit.RATIO, Unit.RANK, Unit.SCORE, Unit.SCORE_PART),
    *(Unit.STANDARD_DEVIATIONS, Unit.DIFFICULTY, Unit.INDEX, Unit.HEIGHT, Unit.FIGURE, Unit.DAYS, Unit.YEARS),
    Unit.COUNT_PER_YEAR,
}
"""Units that the last word of a name states already."""
_IN_CAPITALS: Final = ("asic", "btc", "cik", "gpu", "hhi", "irr", "it", "mpi", "mw", "noi", "npv", "pue", "url", "usd")
_WORDS: Final = {
    **{word: word.upper() for word in _IN_CAPITALS},
    **{word: word.capitalize() for word in ("glassnode", "google", "nakamoto", "puell")},
    "exhalving": "without halvings",
    "zscore": "z-score",
}
_SPANS: Final = {"d": "days", "m": "months"}


def verbose_name(name: str, unit_label: str) -> str:
    """The `name` of a column in words, with its unit in brackets where its last word does not state it.

    `miner_to_exchange_30d_btc` is "Miner to exchange 30 days (BTC)".
    """
    unit = _UNITS.get(unit_label)
    shown, stem = "", name
    if unit is not None and unit not in _IN_WORDS:
        ending = max((each for each in unit.endings if name.endswith(each)), key=len, default="")
        shown, stem = f" ({unit_label})", name.removesuffix(ending)
    words = " ".join(map(_word, stem.split("_")))
    return words[:1].upper() + words[1:] + shown


def _word(part: str) -> str:
    if span := re.fullmatch(r"(\d+)([dm])", part):
        return f"{span[1]} {_SPANS[span[2]]}"
    return _WORDS.get(part, re.sub(r"(?<=[a-z])(?=\d)", " ", part))
