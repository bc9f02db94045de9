"""The rate limit of a site: one queue and one pause for all threads and all processes of a home."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

from pyrate_limiter import InMemoryBucket, Rate, RateItem, SQLiteBucket

from flows.sources.web.required_pause import LONGEST_PAUSE_SECONDS
from flows.sources.web.site import Site
from flows.sources.web.state_files import write_state_file
from schemas.errors import SourcePausedError, TransientError

NOTICEABLE_SECONDS: Final = 4
CLOCK_SLACK_MS: Final = 1_000
"""By as much a clock may be put right at any time."""


class RateLimiter:
    """The queue of requests to one site.

    Requests are spaced evenly instead of sent in bursts: requests that are delayed on their way and arrive together
    cannot break a limit that is counted at the other end. `time_scale` shrinks every time alike.
    """

    def __init__(self, site: Site, folder: Path, time_scale: float, *, for_itself: bool = False) -> None:
        """Open the queue in `folder`, shared by all requests to this site. Raises `TransientError` where it cannot.

        `for_itself`: a queue of this object, for a `site` whose pace is divided among processes. It begins with a
        pause, as the reader before it may just have sent a request. Of the folder only pauses of the site are read.
        """
        self._site, self._scale = site, time_scale
        self._pause_file = folder / f"{site.name}.closed"
        self._spacing_ms = max(round(site.spacing_seconds * time_scale * 1000), 1)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._bucket: InMemoryBucket | SQLiteBucket
            self._lock: AbstractContextManager[object]
            if for_itself:
                self._bucket, self._lock = InMemoryBucket([Rate(1, self._spacing_ms)]), threading.Lock()
                self._bucket.put(self._item())
            else:
                self._bucket = SQLiteBucket.init_from_file(
                    [Rate(1, self._spacing_ms)],
                    table="request",
                    db_path=str(folder / f"{site.name}.sqlite"),
                    use_file_lock=True,
                )
                self._lock = self._bucket.lock
        except Exception as error:
            raise TransientError(
                f"{folder}: found {type(error).__name__}, expected a folder for queues to write to; try again"
            ) from error

    def wait(self, progress: Callable[[str], None]) -> float:
        """Wait until a request is allowed; seconds waited. Raises `SourcePausedError` while the site is paused.

        `progress` is called once, where the wait is long enough to be noticed.
        """
        began, reported = time.monotonic(), False
        while True:
            self.raise_if_paused()
            # The lock is that of the file: the time is taken under it, so that all processes see one order.
            with self._lock:
                item = self._item()
                self._bucket.leak(item.timestamp)
                if self._bucket.put(item):
                    return time.monotonic() - began
                pause_ms = cast(int, self._bucket.waiting(item))
                if pause_ms > self._spacing_ms + CLOCK_SLACK_MS:
                    # Requests are one spacing apart, so that only one dated in the future, by a clock that was ahead,
                    # makes the next wait longer. How long ago it was sent is not known: a spacing is enough.
                    self._bucket.flush()
                    pause_ms = self._spacing_ms
            if not reported and pause_ms > NOTICEABLE_SECONDS * 1000 * self._scale:
                reported = True
                progress(f"{self._site.title}: waiting {pause_ms / 1000:.0f} s for its rate limit")
            time.sleep(max(pause_ms, 1) / 1000)

    def pause_site(self, seconds: float, why: str) -> SourcePausedError:
        """Let no process of this home request anything for `seconds`, at most a day; the error that reports it."""
        until = time.time() + min(seconds, LONGEST_PAUSE_SECONDS) * self._scale
        write_state_file(self._pause_file, f"{until} {why}".encode())
        return SourcePausedError(self._site.title, why, datetime.fromtimestamp(until, UTC))

    def raise_if_paused(self) -> None:
        """Raise `SourcePausedError` while the site is paused."""
        try:
            stated, _, why = self._pause_file.read_text(encoding="utf-8").partition(" ")
            until = float(stated)
        except (OSError, ValueError):
            return
        # A pause that is longer than any we write means that the clock was set back.
        if 0 < until - time.time() <= LONGEST_PAUSE_SECONDS * self._scale:
            raise SourcePausedError(self._site.title, why, datetime.fromtimestamp(until, UTC))

    def close(self) -> None:
        """Close the files."""
        self._bucket.close()

    def _item(self) -> RateItem:
        return RateItem(self._site.name, time.time_ns() // 1_000_000)
