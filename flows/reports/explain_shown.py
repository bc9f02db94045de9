"""An explained figure for people, a few lines for each of its largest parts, and for programs, whole."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

from flows.reports.explain import Explanation
from flows.reports.explain_parties import Addresses, Named
from schemas.units import PERCENT, SAT_PER_BTC

MOST_SHOWN_ADDRESSES: Final = 3
"""Of one side; a payment of a pool may have thousands. JSON has all of them."""


def lines(found: Explanation, listed_count: int, of_node: Addresses | None) -> Iterator[str]:
    """The figure, the `listed_count` largest of its parts, how much the others are, and where addresses are from."""
    key = "".join(f", {name} {value}" for name, value in found.key.items())
    yield f"{found.table}.{found.column} on {found.day}{key}: {found.figure:,}"
    labels = ", ".join(found.label_sets) or "none"
    yield f"{found.how}; label set {labels}"
    for number, part in enumerate(found.parts[:listed_count]):
        yield ""
        yield from _block(found, number) if found.are_blocks else _transfer(found, number)
        for name, parties in _sides(of_node, number):
            yield f"    {name} {_shown(parties)}"
        if len(found.label_sets) > 1:
            yield f"    labels {part['label_set']}"
    if found.parts:
        yield ""
    rest = found.parts[listed_count:]
    if rest:
        rest_sat = sum(part["amount_sat"] for part in rest)
        yield (
            f"and {len(rest):,} more {_plural(found.unit, len(rest))} of {rest_sat:,} satoshi, with those above "
            f"{found.amount_sat:,}; --all lists them"
        )
    if of_node is not None:
        yield of_node.line


def _transfer(found: Explanation, number: int) -> Iterator[str]:
    part = found.parts[number]
    amount = f"{_btc(part['amount_sat'])}{_share(found, number)}"
    if part["amount_sat"] != part["transfer_sat"]:
        amount += f", in a transfer of {_btc(part['transfer_sat'])}"
    layer = "" if part["hop_count"] == 0 else ", second layer"
    yield (
        f"{number + 1:>3} {amount}: {part['pool']} to {part['exchange']}{layer}, quality {part['quality']}, "
        f"block {part['height']:,} of {part['day']}"
    )
    yield f"    transaction {part['txid']}"


def _block(found: Explanation, number: int) -> Iterator[str]:
    part = found.parts[number]
    amount = f"{_btc(part['amount_sat'])}{_share(found, number)}"
    yield f"{number + 1:>3} {amount}: block {part['height']:,}, made by {part['pool']}"
    yield f"    {part['block_hash']}"


def _sides(of_node: Addresses | None, number: int) -> Iterator[tuple[str, tuple[Named, ...]]]:
    parties = of_node.parties.get(number) if of_node else None
    for name, side in (("from", parties and parties.senders), ("to  ", parties and parties.receivers)):
        if side:
            yield name, side


def _shown(parties: Sequence[Named]) -> str:
    largest = sorted(parties, key=lambda party: -party.sat)
    named = [f"{party.shown} {_btc(party.sat)}" for party in largest[:MOST_SHOWN_ADDRESSES]]
    more = largest[MOST_SHOWN_ADDRESSES:]
    if more:
        named.append(f"{len(more):,} more {_btc(sum(party.sat for party in more))}")
    return ", ".join(named)


def _btc(amount_sat: int) -> str:
    sign, amount_sat = ("-" if amount_sat < 0 else ""), abs(amount_sat)
    return f"{sign}{amount_sat // SAT_PER_BTC:,}.{amount_sat % SAT_PER_BTC:08d} BTC"


def _share(found: Explanation, number: int) -> str:
    """The part in percent of all; nothing where coins go both ways, so that there is no whole to have a part of."""
    share = _share_pct(found, number)
    return "" if share is None else f", {share:.2f} %"


def _share_pct(found: Explanation, number: int) -> float | None:
    amount_sat: int = found.parts[number]["amount_sat"]
    return PERCENT * amount_sat / found.amount_sat if found.is_one_way else None


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def for_program(found: Explanation, of_node: Addresses | None) -> dict[str, Any]:
    """All parts with all that is known of them; `from` and `to` are null where addresses were not read or not found."""
    parts = [
        {name: value.isoformat() if isinstance(value, date) else value for name, value in part.items()}
        | {"share_pct": _share_pct(found, number)}
        | ({} if found.are_blocks else _parties(of_node, number))
        for number, part in enumerate(found.parts)
    ]
    return {
        "table": found.table,
        "column": found.column,
        "day": found.day.isoformat(),
        "key": dict(found.key),
        "figure": found.figure,
        "how": found.how,
        "label_sets": list(found.label_sets),
        "amount_sat": found.amount_sat,
        "transaction_count": found.transaction_count,
        "addresses": of_node and of_node.line,
        "blocks" if found.are_blocks else "transfers": parts,
    }


def _parties(of_node: Addresses | None, number: int) -> dict[str, Any]:
    sides = {name.strip(): side for name, side in _sides(of_node, number)}
    return {
        name: [{"address": each.address, "script": each.script, "sat": each.sat} for each in sides[name]]
        if name in sides
        else None
        for name in ("from", "to")
    }
