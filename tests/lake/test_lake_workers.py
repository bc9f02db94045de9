"""Days of a lake are shards that another process may read for a run."""

import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.run.plan import plan
from flows.run.workers import ShardWork, read_for_run, terms_of
from flows.settings import read_profile, read_settings
from tests.live.replaying import replayed
from tests.replay.sites.lake import LakeReplay


def test_worker_copies_a_day_and_the_run_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHPIVOT_HOME", str(tmp_path))
    # Fewer than a day takes: these requests have a budget of their own, in workers too.
    monkeypatch.setenv("HASHPIVOT_MAX_REQUESTS", "1")
    with replayed(monkeypatch, [LakeReplay()], time_scale=0.1) as server:
        settings = read_settings(profile="lake")
        run = plan(settings, read_profile("lake"), now=datetime.now(UTC))
        first, *others = run.sources["lake"].shards(run.request())  # type: ignore[attr-defined]
        requests_count = len(server.log)
        with terms_of(run, "lake") as terms:
            work = ShardWork(terms=terms, shard=first, readers_count=2, most_requests_count=1)
            sent = pickle.loads(pickle.dumps(work))
            assert sent.shard.title == first.title
            used = read_for_run(sent)
        assert used is not None
        assert used.requests_count == len(server.log) - requests_count > 2
        assert run.sources["lake"].shards(run.request()) == others  # type: ignore[attr-defined]
        run.sources.close()
