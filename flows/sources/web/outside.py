"""What all sources of one run share on their way out: the count of requests, the queues, the answers that are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.sources.web.access import Access, door
from flows.sources.web.site import Site
from flows.sources.web.usage import Usage
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from flows.sources.web.client import Client

logger = logging.getLogger(__name__)


class Outside:
    """Made once a run. `folder` is shared by all processes of a home; nothing is written before the first request.

    `time_scale` below 1 shrinks every pause, time-out and rate window alike. It is for a server on loopback, and
    refused for any other. `hasty`: every site gets one try, for somebody who only wants to know whether it answers.
    """

    def __init__(self, folder: Path, usage: Usage | None = None, *, time_scale: float = 1, hasty: bool = False) -> None:
        self.usage = usage or Usage()
        self.time_scale = time_scale
        self.listener: Callable[[str], None] | None = None
        """Told one line about each thing that takes long."""
        self._folder = folder
        self._hasty = hasty
        self._clients: list[Client] = []

    def client(self, site: Site, access: Access) -> Client:
        """The way to `site`. Raises `SettingsError` naming the setting that is missing or cannot be used."""
        # Not before somebody asks: the HTTP libraries take a fifth of a second to load.
        from flows.sources.web.answers import Answers
        from flows.sources.web.client import Client
        from flows.sources.web.pace import Pace

        entrance = door(site, access)
        if self._hasty:
            site = replace(site, patience=replace(site.patience, attempts_count=1))
        if self.time_scale < 1 and not entrance.on_loopback:
            raise SettingsError(
                "HASHPIVOT_WEB_TIME_SCALE", self.time_scale, f"1, as {entrance.origin} is not on loopback", "unset it"
            )
        pace = Pace(site, self._folder / "pace", self.time_scale)
        client = Client(site, entrance, self, pace, Answers(self._folder / "answers" / site.name))
        self._clients.append(client)
        return client

    def tell(self, line: str) -> None:
        """Say that something takes long, so that nobody thinks it hangs. `line` holds no secret."""
        logger.info(line)
        if self.listener is not None:
            self.listener(line)

    def refuse_while_closed(self) -> None:
        """Raise `SiteClosedError` where a site that was asked for has had enough of us."""
        for client in self._clients:
            client.refuse_while_closed()

    def close(self) -> None:
        """Close all connections and files."""
        while self._clients:
            self._clients.pop().close()
