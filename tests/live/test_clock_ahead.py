"""What requests of a process with the clock ahead leave behind does not hold up those of the right time."""

import os
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from flows.sources.web.rate_limit import RateLimiter
from flows.sources.web.responses import MOST_RESPONSES_COUNT, CachedResponses
from flows.sources.web.site import Limit, RawResponse, Site

MONTH_SECONDS = 33 * 86_400
SITE = Site(name="example", title="Example", address="https://example.org", limits=(Limit(5, 1),), share=1)
REPLY = RawResponse(200, {"etag": '"1"'}, b"[]")


def test_request_dated_in_the_future_is_not_waited_for_and_the_spacing_is_kept(tmp_path: Path) -> None:
    limiter = RateLimiter(SITE, tmp_path, 1)
    limiter.wait(lambda _: None)
    with sqlite3.connect(tmp_path / "example.sqlite") as queue:
        ahead_ms = (time.time_ns() // 1_000_000) + MONTH_SECONDS * 1_000
        queue.execute("insert into request values ('example', ?)", [ahead_ms])
    queue.close()
    waited: list[float] = []
    thread = threading.Thread(target=lambda: waited.append(limiter.wait(lambda _: None)), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert waited, "still waiting"
    assert waited[0] >= SITE.spacing_seconds
    assert limiter.wait(lambda _: None) > 0
    limiter.close()


@pytest.mark.parametrize("seconds", [MONTH_SECONDS, 90_000])
def test_pause_of_a_clock_that_was_ahead_is_over(tmp_path: Path, seconds: int) -> None:
    limiter = RateLimiter(SITE, tmp_path, 1)
    (tmp_path / "example.closed").write_text(f"{time.time() + seconds} a rate limit", encoding="utf-8")
    limiter.raise_if_paused()
    limiter.close()


def test_response_dated_in_the_future_is_not_used_and_makes_no_room_scarce(tmp_path: Path) -> None:
    cache = CachedResponses(tmp_path)
    for number in range(MOST_RESPONSES_COUNT):
        cache.put(f"old {number}", REPLY)
    ahead = time.time() + MONTH_SECONDS
    for path in tmp_path.iterdir():
        os.utime(path, (ahead, ahead))
    assert cache.get("old 1") is None
    cache.put("new", REPLY)
    cache.put("newer", REPLY)
    assert cache.get("new") == cache.get("newer") == REPLY
    assert len(list(tmp_path.iterdir())) == MOST_RESPONSES_COUNT
