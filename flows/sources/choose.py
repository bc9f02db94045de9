"""Sources by the names that profiles give them, with what they need from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.settings import Settings
from flows.sources.kinds import SourceContext, kind_of
from flows.sources.protocol import Source
from flows.sources.share import WHOLE, Share

if TYPE_CHECKING:
    from flows.sources.web.session import WebSession


def source_context(
    name: str, settings: Settings, session: WebSession | None = None, share: Share = WHOLE
) -> SourceContext[Any]:
    """What the source called `name` is made from. Raises `SettingsError` for a setting that cannot be used."""
    return SourceContext(
        name=name,
        settings=settings.of_source(name),
        home=settings.home,
        folder=settings.web / name,
        labels_file=settings.labels_file,
        session=session or (web_session_of(settings) if kind_of(name).hosted else None),
        share=share,
    )


def source_named(name: str, settings: Settings, session: WebSession | None = None, share: Share = WHOLE) -> Source:
    """The source called `name`; its modules are imported now, so that a run loads only what it uses.

    `session` is what the hosted sources of a run share; without it, a hosted source has one of its own. `share`: what
    this process may use of the source. Raises `SettingsError` when a setting that the source needs is missing.
    """
    return kind_of(name).make(source_context(name, settings, session, share))


def web_session_of(settings: Settings, *, single_attempt: bool = False, share: Share = WHOLE) -> WebSession:
    """What the hosted sources of one run share. `single_attempt`: without retries; `share` as in `source_named`."""
    from flows.sources.web.session import WebSession
    from flows.sources.web.usage import Usage

    usage = Usage(settings.max_requests, share.requests)
    return WebSession(
        settings.web, usage, time_scale=settings.web_time_scale, single_attempt=single_attempt, share=share
    )
