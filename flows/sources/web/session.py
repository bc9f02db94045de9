"""What the hosted sources of one run share: request budget, rate limits and cached responses."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from flows.sources.share import WHOLE, Share
from flows.sources.web.access import Access, endpoint
from flows.sources.web.client import Client
from flows.sources.web.rate_limit import RateLimiter
from flows.sources.web.responses import CachedResponses
from flows.sources.web.site import Site
from flows.sources.web.usage import Usage
from schemas.errors import SettingsError

logger = logging.getLogger(__name__)


class WebSession:
    """Made once a run. `folder` is shared by all processes of a home; nothing is written before the first request.

    `time_scale` below 1 shrinks every pause, time-out and rate window alike. It is for servers on loopback only, and is
    rejected for any other. `single_attempt`: without retries, to find out whether a source responds. `share`: what this
    process may use of the pace, where others read at the same time.
    """

    def __init__(
        self,
        folder: Path,
        usage: Usage | None = None,
        *,
        time_scale: float = 1,
        single_attempt: bool = False,
        share: Share = WHOLE,
    ) -> None:
        self.usage = usage or Usage()
        self.listener: Callable[[str], None] | None = None
        """Called with one line about each thing that takes long."""
        self._folder, self._time_scale, self._single_attempt = folder, time_scale, single_attempt
        self._share = share
        self._clients: list[Client] = []

    def client(self, site: Site, access: Access) -> Client:
        """A client for `site`. Raises `SettingsError` naming the setting that is missing or cannot be used."""
        checked = endpoint(site, access)
        if self._single_attempt:
            site = replace(site, retry_policy=replace(site.retry_policy, attempts_count=1))
        if not self._share.is_whole:
            site = site.of_one_reader(self._share.readers_count)
        if self._time_scale < 1 and not checked.on_loopback:
            raise SettingsError(
                "HASHPIVOT_WEB_TIME_SCALE", self._time_scale, f"1, as {checked.origin} is not on loopback", "unset it"
            )
        client = Client(
            site,
            checked,
            RateLimiter(site, self._folder / "pace", self._time_scale, for_itself=not self._share.is_whole),
            CachedResponses(self._folder / "responses" / site.name),
            self.usage,
            self._progress,
            self._time_scale,
        )
        self._clients.append(client)
        return client

    def _progress(self, line: str) -> None:
        """Report that something takes long. `line` holds no secret."""
        logger.info(line)
        if self.listener is not None:
            self.listener(line)

    def raise_if_paused(self) -> None:
        """Raise `SourcePausedError` where a site of this session is paused."""
        for client in self._clients:
            client.raise_if_paused()

    def close(self) -> None:
        """Close all connections and files."""
        while self._clients:
            self._clients.pop().close()
        self.usage.close()
