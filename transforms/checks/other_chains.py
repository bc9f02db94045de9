"""Checks whose limits are those of the main network, and what becomes of them on a test chain.

On a test chain anybody mines as many blocks at once as they like, the difficulty may fall to its least for one block,
and re-organisations go as deep as somebody wants.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from schemas.check import Check, CheckFacts
from transforms.checks import difficulty, holes, identities, last_publication, own_scale

NOT_JUDGED: Final = (
    *(facts.name for facts in own_scale.CATALOGUE),
    *(facts.name for facts in difficulty.CATALOGUE),
    *(facts.name for facts in (identities.BALANCE, identities.RECENT_BALANCE, holes.NO_GAP, holes.POOLS_NAMED)),
    "blocks of a day",
    "difficulty moves within one retarget a day",
    "both forms of hashprice agree over a week",
    "issuance is what the blocks earn",
    " is usual",
)
"""The names, or the ends of names, of checks that only the main network can be held to."""
ONLY_WARNING: Final = tuple(facts.name for facts in last_publication.CATALOGUE)
"""What replaces a large part of the published days is worth knowing on any chain, and stops on the main network."""

LEFT_OUT: Final = CheckFacts(
    name="checks that only hold on the main network",
    severity="notice",
    window="a publication of a test chain",
    reason=(
        "Blocks of a day, difficulty, scale of a series, named pools and the like are not judged there, and a "
        "rewritten history warns instead of stopping: a test chain has another pace, and deep re-organisations."
    ),
    fault="none",
)
CATALOGUE: Final = (LEFT_OUT,)


def on_test_chain(checks: Iterable[Check]) -> Iterator[Check]:
    """The `checks` that hold on any chain, and a notice of how many of the others are not judged."""
    count = 0
    for check in checks:
        if check.check_name.endswith(NOT_JUDGED):
            count += 1
        elif check.check_name in ONLY_WARNING and check.severity == "error":
            yield replace(check, severity="warning")
        else:
            yield check
    yield Check(
        check_name=LEFT_OUT.name,
        severity=LEFT_OUT.severity,
        passed=True,
        value=float(count),
        expected="",
        detail=f"{count} checks are not judged: the blocks are those of a test chain",
    )
