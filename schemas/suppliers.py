"""Who supplies data: licence, delay and how far each is trusted, published as `meta.sources`.

Each source states its suppliers in its own folder of `flows/sources/`; the registry, which is no source, stands here.
"""

from dataclasses import dataclass
from typing import Final

from schemas.series import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """One origin of observations.

    `licence` is the tightest term that a table derived from it inherits; `trust` says what its numbers are good for.
    `groups`: the groups of series that it can state, and for which a profile may rank it. `allowed_lag_days`: how far
    its newest day may lie behind the day of a run before that is a warning.
    """

    name: str
    title: str
    licence: str
    delay: str
    allowed_lag_days: int
    trust: str
    address: str
    groups: tuple[Group, ...] = ()


REGISTRY: Final = Supplier(
    name="registry",
    title="Curated registry of AI leases, credit support and capital expenditure",
    licence="compiled facts, each row with its source",
    delay="days to weeks after an announcement",
    # Companies report each quarter, so that a registry without a new row for longer is not kept up.
    allowed_lag_days=100,
    trust="confidence is given per row; undisclosed terms are left empty",
    address="warehouse/reference/",
)
