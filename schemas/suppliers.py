"""Who supplies data: licence, delay and how far each is trusted, published as `meta.sources`.

Each source states its suppliers in its own folder of `flows/sources/`; the registry, which is no source, stands here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from schemas.series import Group


class Terms(Enum):
    """What a licence forbids, from the least to the most: its words, and its name in lists of open licences.

    Source of the names: https://licenses.opendefinition.org/.
    """

    FREE = ("no restriction", "other-pd")
    ATTRIBUTION = ("attribution", "other-at")
    NON_COMMERCIAL = ("no commercial use", "other-nc")
    NO_BULK = ("no bulk redistribution", "other-closed")
    OWN_USE = ("own use, no redistribution", "other-closed")

    def __init__(self, label: str, open_definition: str) -> None:
        self.label = label
        self.open_definition = open_definition

    @property
    def rank(self) -> int:
        """Higher where more is forbidden."""
        return list(Terms).index(self)

    @classmethod
    def of(cls, label: str) -> "Terms":
        """The terms with these words."""
        return next(terms for terms in cls if terms.label == label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """One origin of observations.

    `licence` is what a table derived from it inherits, `terms` how much that forbids; `trust` says what its numbers are
    good for. `groups`: the groups of series that it can state, and for which a profile may rank it.
    `allowed_lag_days`: how far its newest day may lie behind the day of a run before that is a warning.
    """

    name: str
    title: str
    licence: str
    terms: Terms
    delay: str
    allowed_lag_days: int
    trust: str
    address: str
    groups: tuple[Group, ...] = ()


REGISTRY: Final = Supplier(
    name="registry",
    title="Curated registry of AI leases, credit support and capital expenditure",
    licence="compiled facts, each row with its source",
    terms=Terms.ATTRIBUTION,
    delay="days to weeks after an announcement",
    # Companies report each quarter, so that a registry without a new row for longer is not kept up.
    allowed_lag_days=100,
    trust="confidence is given per row; undisclosed terms are left empty",
    address="warehouse/reference/",
)


def strictest(suppliers: Iterable[Supplier]) -> Supplier | None:
    """The supplier whose terms forbid the most, the first of them by name; None of none."""
    return max(sorted(suppliers, key=lambda each: each.name), key=lambda each: each.terms.rank, default=None)
