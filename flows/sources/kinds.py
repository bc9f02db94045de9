"""The kinds of sources: each folder of `flows/sources/` with a module `kind` is one, and the module owns its facts.

A profile names a source by its folder, `esplora`. A second server of a hosted kind is named `esplora.backup`, with a
word of the user's own after the dot: its settings are `HASHPIVOT_ESPLORA_BACKUP_...`, its address must be set, and its
observations carry `esplora.backup` as their supplier, so that precedence ranks both and neither fills gaps of the other
unnoticed. Two names for one server would share its rate limit without knowing of each other.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr

from schemas.errors import SettingsError
from schemas.suppliers import REGISTRY, Supplier

if TYPE_CHECKING:
    from flows.sources.protocol import Source
    from flows.sources.share import Share
    from flows.sources.web.client import Client
    from flows.sources.web.session import WebSession
    from flows.sources.web.site import Site

MAIN: Final = "main"
"""Family of the sources that state facts of Bitcoin's main chain."""
_INSTANCE: Final = re.compile(r"[a-z][a-z0-9_]*")


class SourceSettings(BaseModel):
    """Settings of one source; the field `url` of `node` is the variable `HASHPIVOT_NODE_URL`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=SourceSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceContext(Generic[S]):
    """What a source is made from.

    `name`: as in the profile. `home`: folder that holds everything a run writes. `folder`: what this source keeps for
    itself there. `session`: shared by the hosted sources of a run. `share`: what this process may use of the source.
    """

    name: str
    settings: S
    home: Path
    folder: Path
    labels_file: Path | None
    session: WebSession | None
    share: Share

    def client(self, site: Site) -> Client:
        """The client for `site`, with the settings of this source. Raises `SettingsError` naming the setting."""
        from flows.sources.web.access import Access

        own = replace(site, name=self.name)
        url = self._plain(f"{site.part}_url" if site.part else "url")
        if self.name != site.name and url is None:
            raise SettingsError(own.setting("url"), None, f"the address of the server called {self.name}", "set it")
        if self.session is None:
            raise ValueError(f"{self.name} is not a hosted source")
        return self.session.client(own, Access(url=url, key=self._plain("key"), contact=self._plain("contact")))

    def _plain(self, field: str) -> str | None:
        value = getattr(self.settings, field, None)
        return value.get_secret_value() if isinstance(value, SecretStr) else value


def _main(_settings: SourceSettings) -> str:
    return MAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind(Generic[S]):
    """One kind of source.

    `suppliers`: who its values come from; a hosted kind has one, of its own name. `make` imports what it needs
    when it is called, so that a run loads only the sources of its profile; it raises `SettingsError` where a setting is
    missing.
    `sharded`: part of the work can be done at once and in any order. `most_readers_count`: how many readers in other
    processes may do it at once; 0 where only threads of the run may.
    `labelled`: what it states depends on labels of ours. `names_pools`: it names pools by the list that comes with us.
    `family`: what its values are of, by its settings: `main`, or another chain, or `simulated`. A home holds one.
    """

    suppliers: tuple[Supplier, ...]
    settings: type[S]
    make: Callable[[SourceContext[S]], Source]
    hosted: bool = False
    sharded: bool = False
    most_readers_count: int = 0
    labelled: bool = False
    names_pools: bool = False
    family: Callable[[S], str] = _main


@cache
def kinds() -> Mapping[str, SourceKind[Any]]:
    """Every kind by the name of its folder, sorted."""
    here = Path(__file__).parent
    names = sorted(each.name for each in pkgutil.iter_modules([str(here)]) if (here / each.name / "kind.py").is_file())
    return {name: import_module(f"flows.sources.{name}.kind").SOURCE for name in names}


def is_source(name: str) -> bool:
    """Whether a profile may name `name` as a source."""
    kind, dot, instance = name.partition(".")
    return kind in kinds() and (not dot or (kinds()[kind].hosted and _INSTANCE.fullmatch(instance) is not None))


def kind_of(name: str) -> SourceKind[Any]:
    """The kind of the source that a profile calls `name`. Raises `SettingsError` where there is none."""
    if not is_source(name):
        raise SettingsError("profile source", name, f"one of {', '.join(kinds())}", "correct the profile")
    return kinds()[name.partition(".")[0]]


def variable(name: str, setting: str) -> str:
    """Environment variable of a setting of the source that a profile calls `name`."""
    return f"HASHPIVOT_{name.replace('.', '_')}_{setting}".upper()


def suppliers_of(name: str) -> tuple[Supplier, ...]:
    """Who the values of the source `name` come from. Raises as `kind_of`."""
    suppliers = kind_of(name).suppliers
    _, dot, instance = name.partition(".")
    return tuple(replace(each, name=name, title=f"{each.title} ({instance})") if dot else each for each in suppliers)


def supplier_named(name: str) -> Supplier | None:
    """The supplier that observations call `name`, the registry included; None where this version knows none."""
    known = {each.name: each for each in (REGISTRY, *(s for kind in kinds().values() for s in kind.suppliers))}
    return known.get(name) or (suppliers_of(name)[0] if is_source(name) and "." in name else None)
