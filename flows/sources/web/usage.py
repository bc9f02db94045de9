"""The request budget of a run and what was spent of it: one count for all its sources."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from schemas.errors import RequestBudgetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one site has cost so far. `unchanged_count`: responses that were unchanged and not sent again."""

    requests_count: int = 0
    received_bytes: int = 0
    waited_seconds: float = 0
    retries_count: int = 0
    unchanged_count: int = 0


def total(by_site: Mapping[str, Used], before: Mapping[str, Used] | None = None) -> Used:
    """What all sites have cost together, less what they had cost `before`."""
    names = [field.name for field in fields(Used)]
    sums = {name: sum(getattr(used, name) for used in by_site.values()) for name in names}
    less = {name: sum(getattr(used, name) for used in (before or {}).values()) for name in names}
    return Used(**{name: sums[name] - less[name] for name in names})


class Usage:
    """Counts for all threads of a run, and the most requests it may make (None: as many as it needs)."""

    def __init__(self, most_requests_count: int | None = None) -> None:
        self.most_requests_count = most_requests_count
        self._lock = threading.Lock()
        self._by_site: dict[str, Used] = {}

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
            made = sum(used.requests_count for used in self._by_site.values())
            if self.most_requests_count is not None and made >= self.most_requests_count:
                raise RequestBudgetError(place, self.most_requests_count)
            used = self._by_site.get(site, Used())
            self._by_site[site] = replace(used, requests_count=used.requests_count + 1)

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
