"""Readers in several processes share the pace and the budget of one run: the sum is never more than one may use."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.sources.share import Share, SharedBudget
from flows.sources.web.access import Access
from flows.sources.web.session import WebSession
from flows.sources.web.site import Limit
from flows.sources.web.usage import Usage
from schemas.errors import RequestBudgetError, SettingsError
from tests.live import example_site
from tests.replay import ReplayServer

SCALE = 1
"""Below that, a machine with much else to do lets requests that were sent one after another arrive at once."""
READERS_COUNT = 4
SHARD_REQUESTS_COUNT = 3
SITE = example_site.site(content_types=("text/plain",))


def read(address: str, home: Path, budget: SharedBudget) -> int:
    """What one reader does, shard after shard, each with a client of its own; requests made."""
    made_count = 0
    while True:
        share = Share(readers_count=READERS_COUNT, threads_count=1, requests=budget)
        session = WebSession(home, Usage(1_000, budget), time_scale=SCALE, share=share)
        client = session.client(SITE, Access(url=address))
        try:
            for _ in range(SHARD_REQUESTS_COUNT):
                client.text("/echo", {"status": 200})
                made_count += 1
        except RequestBudgetError:
            return made_count
        finally:
            session.close()


def test_readers_together_keep_the_rate_limit_and_spend_the_budget_to_the_last_request(tmp_path: Path) -> None:
    budget = SharedBudget.divided(tmp_path / "budget", 42)
    assert SITE.of_one_reader(READERS_COUNT).limits == (Limit(2, 1),)
    with ReplayServer([example_site.ExampleReplay()], time_scale=SCALE) as server:
        address = server.base("example")
        with ThreadPoolExecutor(READERS_COUNT) as readers:
            made = list(readers.map(lambda _: read(address, tmp_path, budget), range(READERS_COUNT)))
        assert sum(made) == len(server.log) == 42
        assert min(made) > 0
        server.check()
    assert budget.left() == 0


def test_more_readers_than_the_rate_limit_allows_requests_are_refused() -> None:
    with pytest.raises(SettingsError, match="found '9 readers at once', expected at most 8, its rate limit"):
        example_site.site().of_one_reader(9)
