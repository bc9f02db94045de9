"""The request budget of a run and what was spent of it: one count for all its sources but those with their own."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from flows.sources.share import SharedBudget
from schemas.errors import OwnBudgetError, RequestBudgetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one site has cost so far. `unchanged_count`: responses that were unchanged and not sent again."""

    requests_count: int = 0
    received_bytes: int = 0
    waited_seconds: float = 0
    retries_count: int = 0
    unchanged_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBudget:
    """The most that one site may cost; `setting`: what raises it."""

    requests_count: int
    received_bytes: int
    setting: str


def total(by_site: Mapping[str, Used], before: Mapping[str, Used] | None = None) -> Used:
    """What all sites have cost together, less what they had cost `before`."""
    names = [field.name for field in fields(Used)]
    sums = {name: sum(getattr(used, name) for used in by_site.values()) for name in names}
    less = {name: sum(getattr(used, name) for used in (before or {}).values()) for name in names}
    return Used(**{name: sums[name] - less[name] for name in names})


class Usage:
    """Counts for all threads of a run, and the most requests it may make (None: as many as it needs).

    A site whose cost is known in bytes and shown before has a budget of its own, see `allow`.

    `shared`: where the requests come from one by one, for a process that reads for a run of another.
    """

    def __init__(self, most_requests_count: int | None = None, shared: SharedBudget | None = None) -> None:
        self.most_requests_count = most_requests_count
        self._shared, self._taken_count = shared, 0
        self._lock = threading.Lock()
        self._by_site: dict[str, Used] = {}
        self._own: dict[str, OwnBudget] = {}

    def allow(self, site: str, budget: OwnBudget) -> None:
        """Let requests to `site` count against `budget` from now on, and no longer against that of the run."""
        with self._lock:
            self._own[site] = budget

    @property
    def by_site(self) -> Mapping[str, Used]:
        """What each site has cost."""
        with self._lock:
            return dict(self._by_site)

    @property
    def requests_count(self) -> int:
        """Requests made to all sites."""
        return sum(used.requests_count for used in self.by_site.values())

    def spend(self, site: str, place: str) -> None:
        """Count a request that is about to be made. Raises `RequestBudgetError` where that is one too many."""
        with self._lock:
            used, own = self._by_site.get(site, Used()), self._own.get(site)
            if own is None:
                if self.most_requests_count is not None and self._made() >= self._allowed_count():
                    raise RequestBudgetError(place, self.most_requests_count)
            elif used.requests_count >= own.requests_count or used.received_bytes >= own.received_bytes:
                raise OwnBudgetError(place, used.requests_count, used.received_bytes, own.setting)
            self._by_site[site] = replace(used, requests_count=used.requests_count + 1)

    def spend_elsewhere(self, site: str, requests_count: int) -> None:
        """Count requests that other processes have made for this run, of a part of its budget that they shared."""
        with self._lock:
            used = self._by_site.get(site, Used())
            self._by_site[site] = replace(used, requests_count=used.requests_count + requests_count)

    def close(self) -> None:
        """Give back what was taken of a shared budget and not spent."""
        with self._lock:
            if self._shared is not None:
                self._shared.give_back(self._taken_count - self._made())
                self._taken_count = self._made()

    def _made(self) -> int:
        return sum(used.requests_count for name, used in self._by_site.items() if name not in self._own)

    def _allowed_count(self) -> int:
        if self._shared is None:
            return self.most_requests_count or 0
        if self._taken_count <= self._made():
            self._taken_count += self._shared.take()
        return self._taken_count

    def add(
        self, site: str, *, received_bytes: int = 0, waited_seconds: float = 0, retries: int = 0, unchanged: int = 0
    ) -> None:
        """Add to what a site has cost."""
        with self._lock:
            used = self._by_site.get(site, Used())
            self._by_site[site] = replace(
                used,
                received_bytes=used.received_bytes + received_bytes,
                waited_seconds=used.waited_seconds + waited_seconds,
                retries_count=used.retries_count + retries,
                unchanged_count=used.unchanged_count + unchanged,
            )
