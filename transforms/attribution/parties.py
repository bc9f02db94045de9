"""Whose scripts stand behind a transfer: those that sent it and those that received it, found in its transaction.

A stored transfer has sums and no script. They are found by these sums, to the satoshi: what is not the only solution is
not known.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

MOST_SCRIPTS: Final = 16
"""Of the senders of one transaction, among whom the miners' are searched: each one more doubles the search."""


class Party(NamedTuple):
    """A script, and what it put in or received of the transfer."""

    script: str
    sat: int


def senders(inputs: Iterable[Party], miner_input_sat: int) -> tuple[Party, ...] | None:
    """The scripts of the miners among all `inputs` of a transaction: the ones that put in `miner_input_sat` together.

    None where no scripts did, or others could have. All inputs of one script are of one owner.
    """
    sat_of: dict[str, int] = {}
    for script, sat in inputs:
        sat_of[script] = sat_of.get(script, 0) + sat
    everybody = tuple(Party(script, sat) for script, sat in sat_of.items() if sat)
    if sum(party.sat for party in everybody) == miner_input_sat:
        return everybody
    if len(everybody) > MOST_SCRIPTS:
        return None
    # By each sum that can be reached the first way to it, or None where there is another.
    ways: dict[int, tuple[Party, ...] | None] = {0: ()}
    for party in everybody:
        for sat, way in list(ways.items()):
            reached = sat + party.sat
            if reached <= miner_input_sat:
                ways[reached] = None if reached in ways or way is None else (*way, party)
    return ways.get(miner_input_sat)


def receivers(
    outputs: Iterable[Party],
    exchanges: Mapping[str, str],
    *,
    exchange: str,
    transfer_sat: int,
    miner_input_sat: int,
    total_input_sat: int,
) -> tuple[Party, ...] | None:
    """The scripts of `exchange` among all `outputs`, each with its part of the transfer, by the rule of `blocks`.

    `exchanges`: script to exchange. None where the parts are not `transfer_sat`, as after a change of the labels.
    """
    sat_of: dict[str, int] = {}
    for script, sat in outputs:
        if exchanges.get(script) == exchange:
            sat_of[script] = sat_of.get(script, 0) + sat * miner_input_sat // total_input_sat
    if sum(sat_of.values()) != transfer_sat:
        return None
    return tuple(Party(script, sat) for script, sat in sat_of.items() if sat)
