"""The sources of one run: each is built once, when it is first used, and closed with the run."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.sources.choose import source_named, web_session_of
from flows.sources.kinds import kind_of
from flows.sources.protocol import Closable, Source
from flows.sources.share import WHOLE, Share
from warehouse.private import create_private

if TYPE_CHECKING:
    from flows.settings import Settings
    from flows.sources.web.session import WebSession


class Sources:
    """Estimate, reading of shards, fetch and probe share the one object of each name. Safe to use from several threads.

    `retries`: without it each request is made once, for a caller who only wants to know whether a source responds.
    `share`: what this process may use of the sources, where others read for the same run.
    """

    def __init__(self, settings: Settings, names: Sequence[str], *, retries: bool = True, share: Share = WHOLE) -> None:
        create_private()
        is_hosted = any(kind_of(name).hosted for name in names)
        self.web: WebSession | None = (
            web_session_of(settings, single_attempt=not retries, share=share) if is_hosted else None
        )
        """What the hosted sources share: request budget, rate limits, cached responses. None where there are none."""
        self._settings, self._share = settings, share
        self._built: dict[str, Source] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Source:
        """Raises `SettingsError` when a setting the source needs is missing."""
        with self._lock:
            if name not in self._built:
                self._built[name] = source_named(name, self._settings, self.web, self._share)
            return self._built[name]

    def close(self) -> None:
        """Close all connections; threads that still read get an error at their next request."""
        with self._lock:
            for source in self._built.values():
                if isinstance(source, Closable):
                    source.close()
            if self.web is not None:
                self.web.close()
