"""Who stands behind a transfer, as far as a node showed it: no table stores addresses."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One side of a transfer: its address, the script instead where there is none, and what it put in or received."""

    address: str | None
    script: str
    sat: int

    @property
    def shown(self) -> str:
        """The address, or the script."""
        return self.address or f"script {self.script}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Who sent a transfer and who received it; None where the transaction does not show that for sure."""

    senders: tuple[Named, ...] | None
    receivers: tuple[Named, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Parties of transfers, by the place of each in the list that was given, and one line about where they are from."""

    parties: Mapping[int, Parties]
    line: str
