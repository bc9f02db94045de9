"""Addresses behind transfers, from the blocks of an own node where one can be reached."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from flows.reports.explain_parties import Addresses, Named, Parties
from flows.settings import Settings
from flows.sources.choose import source_context
from flows.sources.node.kind import NODE, chain_walk, label_set_of
from schemas.errors import HashpivotError
from transforms.attribution.parties import Party, receivers, senders
from warehouse.labels import exchange_scripts
from warehouse.publication_queries import Row

if TYPE_CHECKING:
    from flows.sources.node.connection import RetryPolicy

NO_NODE: Final = "addresses: not stored; set HASHPIVOT_NODE_URL, and they are read from the blocks of that node"


def addresses(settings: Settings, transfers: Sequence[Row]) -> Addresses:
    """The parties of `transfers`. What goes wrong is the line, as a figure is explained without addresses too."""
    if settings.of_source(NODE.name).model_dump()["url"] is None:
        return Addresses(parties={}, line=NO_NODE)
    try:
        return _addresses(settings, transfers)
    except HashpivotError as error:
        return Addresses(parties={}, line=f"addresses: not read: {error}")


def _addresses(settings: Settings, transfers: Sequence[Row]) -> Addresses:
    from flows.sources.node.parties import transactions

    context: Any = source_context(NODE.name, settings)
    version, labels = label_set_of(context)

    @cache
    def exchanges_on(day: Any) -> Mapping[str, str]:
        return exchange_scripts(labels, on=day)

    with closing(chain_walk(context, _once()).connection) as connection:
        found = transactions(connection, [(row["block_hash"], row["txid"]) for row in transfers])
        origin = connection.origin
    parties = {}
    for number, row in enumerate(transfers):
        tx = found[row["txid"]]
        received = receivers(
            tx.outputs,
            exchanges_on(tx.day),
            exchange=row["exchange"],
            transfer_sat=row["transfer_sat"],
            miner_input_sat=row["miner_input_sat"],
            total_input_sat=row["total_input_sat"],
        )
        sent = senders(tx.inputs, row["miner_input_sat"])
        parties[number] = Parties(senders=_named(sent, tx.addresses), receivers=_named(received, tx.addresses))
    return Addresses(parties=parties, line=_line(origin, version, transfers, parties))


def _once() -> "RetryPolicy":
    """For somebody who waits: no second try, and no long one."""
    from flows.sources.node.connection import RetryPolicy

    return RetryPolicy(attempts_count=1, connect_seconds=5, response_seconds=30)


def _named(parties: Sequence[Party] | None, addresses: Mapping[str, str]) -> tuple[Named, ...] | None:
    if parties is None:
        return None
    return tuple(Named(address=addresses.get(script), script=script, sat=sat) for script, sat in parties)


def _line(origin: str, version: str, transfers: Sequence[Row], parties: Mapping[int, Parties]) -> str:
    unsent = sum(each.senders is None for each in parties.values())
    unreceived = sum(each.receivers is None for each in parties.values())
    line = f"addresses: from the blocks of {origin}"
    if unsent:
        line += f"; of {unsent:,} the senders are not known, as others spend with them"
    if unreceived:
        line += f"; of {unreceived:,} the receivers are not known, as labels are now of set {version}"
    return line
