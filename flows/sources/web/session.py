"""What all sources of one run share on their way out: the count of requests, the queues, the answers that are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.sources.web.access import Access, endpoint
from flows.sources.web.site import Site
from flows.sources.web.usage import Usage
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from flows.sources.web.client import Client

logger = logging.getLogger(__name__)


class WebSession:
    """Made once a run. `folder` is shared by all processes of a home; nothing is written before the first request.

    `time_scale` below 1 shrinks every pause, time-out and rate window alike. It is for servers on loopback only, and is
    rejected for any other. `single_attempt`: without retries, to find out whether a source responds.
    """

    def __init__(
        self, folder: Path, usage: Usage | None = None, *, time_scale: float = 1, single_attempt: bool = False
    ) -> None:
        self.usage = usage or Usage()
        self.time_scale = time_scale
        self.listener: Callable[[str], None] | None = None
        """Told one line about each thing that takes long."""
        self._folder = folder
        self._hasty = single_attempt
        self._clients: list[Client] = []

    def client(self, site: Site, access: Access) -> Client:
        """The way to `site`. Raises `SettingsError` naming the setting that is missing or cannot be used."""
        # Not before somebody asks: the HTTP libraries take a fifth of a second to load.
        from flows.sources.web.client import Client
        from flows.sources.web.rate_limit import RateLimiter
        from flows.sources.web.responses import CachedResponses

        entrance = endpoint(site, access)
        if self._hasty:
            site = replace(site, patience=replace(site.patience, attempts_count=1))
        if self.time_scale < 1 and not entrance.on_loopback:
            raise SettingsError(
                "HASHPIVOT_WEB_TIME_SCALE", self.time_scale, f"1, as {entrance.origin} is not on loopback", "unset it"
            )
        pace = RateLimiter(site, self._folder / "pace", self.time_scale)
        client = Client(site, entrance, self, pace, CachedResponses(self._folder / "answers" / site.name))
        self._clients.append(client)
        return client

    def tell(self, line: str) -> None:
        """Say that something takes long, so that nobody thinks it hangs. `line` holds no secret."""
        logger.info(line)
        if self.listener is not None:
            self.listener(line)

    def raise_if_paused(self) -> None:
        """Raise `SourcePausedError` where a site that was asked for has had enough of us."""
        for client in self._clients:
            client.raise_if_paused()

    def close(self) -> None:
        """Close all connections and files."""
        while self._clients:
            self._clients.pop().close()
