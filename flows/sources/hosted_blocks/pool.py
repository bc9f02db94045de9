"""One name for each pool, whichever explorer states its blocks."""

from collections.abc import Iterable
from typing import Final

from schemas.addresses import script_of
from schemas.labels import UNKNOWN_POOL
from transforms.attribution.pool_names import PoolNames, slug

NAMED_OTHERWISE: Final = {"ocean": "oceanxyz"}
"""Slugs of the public list where they are not ours."""


def pool_of(
    names: PoolNames, coinbase_script: str | None, output_scripts: Iterable[str], server_slug: str | None = None
) -> str | None:
    """The pool of a block by our own list, else as the server names it; None where nothing is known.

    Our list first, as every source of blocks is named by it; the server knows the small pools that are not in it.
    Scripts are in hexadecimal.
    """
    if coinbase_script is not None:
        ours = names.named(coinbase_script, output_scripts)
        if ours != UNKNOWN_POOL:
            return ours
    if server_slug is not None:
        theirs = slug(server_slug)
        return NAMED_OTHERWISE.get(theirs, theirs)
    return None if coinbase_script is None else UNKNOWN_POOL


def scripts_of(addresses: Iterable[str]) -> list[str]:
    """Output scripts of `addresses`; an invalid one names no pool, and is skipped."""
    scripts = []
    for address in addresses:
        try:
            scripts.append(script_of(address))
        except ValueError:
            continue
    return scripts
