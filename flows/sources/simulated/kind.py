"""The simulated chain: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

SIMULATED: Final = Supplier(
    name="simulated",
    title="Deterministic chain of our own",
    licence="no restriction",
    terms=Terms.FREE,
    delay="none",
    # A day is whole once a block of the next one is there.
    allowed_lag_days=1,
    trust="invented: shows the machinery, says nothing about the market",
    address="flows/sources/simulated/",
    groups=(Group.BLOCKS, Group.PRICE, Group.CHAIN, Group.MINER_FLOWS, Group.EXCHANGE_FLOWS),
)


class SimulatedSettings(SourceSettings):
    """Variables `HASHPIVOT_SIMULATED_...`."""

    seed: int = Field(7, ge=0, description="Seed of the simulated chain")


def _make(context: SourceContext[SimulatedSettings]) -> "Source":
    from flows.sources.simulated.chain import Simulated

    return Simulated(seed=context.settings.seed)


def _family(_settings: SimulatedSettings) -> str:
    return SIMULATED.name


SOURCE: Final = SourceKind(suppliers=(SIMULATED,), settings=SimulatedSettings, make=_make, family=_family)
