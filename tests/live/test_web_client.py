"""The web client keeps its limits: rate, budget, retries, sizes, and no key in any message."""

import logging
import multiprocessing
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from flows.sources.web.access import Access
from flows.sources.web.client import Client
from flows.sources.web.session import WebSession
from flows.sources.web.site import Limit, RetryPolicy, Site
from flows.sources.web.usage import Usage
from schemas.errors import (
    BadInputError,
    HashpivotError,
    RequestBudgetError,
    SettingsError,
    SourcePausedError,
    TransientError,
)
from tests.live import example_site
from tests.replay import Fault, ReplayServer
from tests.replay.faults import ALWAYS, FAULTS

SCALE = 0.02


class Number(msgspec.Struct):
    n: int
    price: Decimal = Decimal(0)


@contextmanager
def served(**facts: object) -> Iterator[ReplayServer]:
    with ReplayServer([example_site.ExampleReplay(**facts)], time_scale=SCALE) as server:
        yield server


def client_of(server: ReplayServer, home: Path, most: int | None = None, **facts: object) -> Client:
    site: Site = example_site.site(**facts)
    return WebSession(home, Usage(most), time_scale=SCALE).client(
        site, Access(url=server.base("example"), key=example_site.SECRET, contact="Jane Doe jane@example.org")
    )


def test_amounts_are_exact(tmp_path: Path) -> None:
    with served() as server:
        response = client_of(server, tmp_path).json("/number", {"a": "b,c"}, Number)
        assert response.value.price == Decimal("0.1")
        assert response.origin == f"{server.base('example')}/number?a=b,c"
        server.check()


@pytest.mark.parametrize("key", [example_site.IN_PARAMETER, example_site.IN_HEADER], ids=["parameter", "header"])
@pytest.mark.parametrize("kind", FAULTS)
def test_key_is_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], key: object, kind: str
) -> None:
    with served() as server, caplog.at_level(logging.DEBUG):
        server.faults.append(Fault(kind, "example", 1, ALWAYS))
        client = client_of(server, tmp_path, key=key)
        with pytest.raises(HashpivotError) as caught:
            client.json("/number", {}, Number)
        server.check()
        assert example_site.SECRET in str(server.log[0].query) + str(server.log[0].headers), (
            "or there is nothing to hide"
        )
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    behind, error = [], caught.value
    while error := error.__cause__ or error.__context__:  # type: ignore[assignment]
        behind.append(repr(error))
    out, err = capfd.readouterr()
    for text in (shown, *behind, caplog.text, out, err, *(repr(record.args) for record in caplog.records)):
        for spelling in (example_site.SECRET, "correct%2Bhorse", "correct+horse"):
            assert spelling not in text


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 500])
def test_key_that_a_response_repeats_is_not_shown(tmp_path: Path, status: int) -> None:
    with served() as server:
        client = client_of(server, tmp_path, key=example_site.IN_PARAMETER)
        with pytest.raises(HashpivotError) as caught:
            client.json("/echo", {"status": status}, Number)
        assert "***" in str(caught.value)
        assert "correct" not in str(caught.value)


def test_wrong_key_names_its_setting(tmp_path: Path) -> None:
    with served() as server:
        client = client_of(server, tmp_path, key=example_site.IN_HEADER)
        with pytest.raises(SettingsError, match=r"HASHPIVOT_EXAMPLE_KEY.*request one from the example source"):
            client.json("/echo", {"status": 401}, Number)
        assert len(server.log) == 1


@pytest.mark.parametrize("key", [None, "", "short", "with space inside", "two\nlines-of-it", "schlüssel-schlüssel"])
def test_invalid_key_is_rejected_before_any_request(tmp_path: Path, key: str | None) -> None:
    with pytest.raises(SettingsError, match="HASHPIVOT_EXAMPLE_KEY") as caught:
        WebSession(tmp_path).client(example_site.site(key=example_site.IN_HEADER), Access(key=key))
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "contact", [None, "Jane Doe", "jane@nowhere", "https://example.org jane@example.org", "a\nb@c.de"]
)
def test_contact_is_required_where_the_source_requires_it(tmp_path: Path, contact: str | None) -> None:
    with pytest.raises(SettingsError, match="HASHPIVOT_EXAMPLE_CONTACT"):
        WebSession(tmp_path).client(example_site.site(contact_needed=True), Access(contact=contact))


def test_contact_is_sent_only_where_it_is_required(tmp_path: Path) -> None:
    with served() as server:
        for needed in (False, True):
            client_of(server, tmp_path, contact_needed=needed).json("/number", {}, Number)
        agents = [sent.headers["user-agent"] for sent in server.log]
        assert "jane" not in agents[0]
        assert agents[1] == "Jane Doe jane@example.org"


def test_budget_ends_a_run_before_the_request_too_many(tmp_path: Path) -> None:
    with served() as server:
        client = client_of(server, tmp_path, most=3)
        for _ in range(3):
            client.json("/number", {}, Number)
        with pytest.raises(RequestBudgetError, match=r"3 requests.*HASHPIVOT_MAX_REQUESTS"):
            client.json("/number", {}, Number)
        assert len(server.log) == 3


def test_retries_count_against_the_budget(tmp_path: Path) -> None:
    with served() as server:
        server.faults.append(Fault("503 text", "example", 1, ALWAYS))
        with pytest.raises(RequestBudgetError):
            client_of(server, tmp_path, most=2).json("/number", {}, Number)
        assert len(server.log) == 2


def test_redirect_within_the_site_is_followed_and_an_endless_one_is_not(tmp_path: Path) -> None:
    with served() as server:
        client = client_of(server, tmp_path)
        assert client.json("/moved", {"to": "number"}, Number).value.n == 2
        with pytest.raises(BadInputError, match="more than 3 redirects"):
            client.json("/round", {}, Number)


def test_response_larger_than_allowed_is_rejected(tmp_path: Path) -> None:
    with served() as server:
        client = client_of(server, tmp_path, largest_response_bytes=1000)
        assert client.json("/large", {"bytes": 900}, list[int]).value == []
        with pytest.raises(BadInputError, match="at most 1,000"):
            client.json("/large", {"bytes": 1001}, list[int])


def test_unchanged_response_is_not_sent_again(tmp_path: Path) -> None:
    with served() as server:
        for run in range(3):
            if run == 2:
                server.sites["example"].etag = '"two"'  # type: ignore[attr-defined]
            client = client_of(server, tmp_path, conditional=True, key=example_site.IN_PARAMETER)
            assert client.json("/kept", {}, Number).value.n == (3 if run == 2 else 1)
            assert client.usage.by_site["example"].unchanged_count == (run == 1)


def test_damaged_cached_response_is_fetched_again(tmp_path: Path) -> None:
    with served() as server:
        client_of(server, tmp_path, conditional=True).json("/kept", {}, Number)
        for kept in (tmp_path / "responses" / "example").glob("*.response"):
            kept.write_bytes(kept.read_bytes()[:20])
        assert client_of(server, tmp_path, conditional=True).json("/kept", {}, Number).value.n == 2


def test_repeated_rate_limit_pauses_the_site_for_every_process(tmp_path: Path) -> None:
    with served() as server:
        server.faults.append(Fault("429 html", "example", 1, ALWAYS))
        with pytest.raises(SourcePausedError, match="rate limit met 2 times"):
            client_of(server, tmp_path).json("/number", {}, Number)
        with pytest.raises(SourcePausedError, match="no request before"):
            client_of(server, tmp_path).json("/number", {}, Number)
        assert len(server.log) == 2


def test_unreachable_address_is_reported_after_a_few_attempts(tmp_path: Path) -> None:
    session = WebSession(tmp_path, time_scale=SCALE)
    with pytest.raises(TransientError, match="expected a response"):
        session.client(example_site.site(), Access()).json("/number", {}, Number)
    assert session.usage.requests_count == RetryPolicy().attempts_count


def test_time_is_never_scaled_for_a_host_that_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not on loopback"):
        WebSession(tmp_path, time_scale=0.5).client(example_site.site(address="https://example.org"), Access())


def _fetch(url: str, home: Path, count: int) -> None:
    session = WebSession(home, time_scale=0.5)
    client = session.client(example_site.site(limits=(Limit(10, 1),)), Access(url=url))
    for _ in range(count):
        client.json("/number", {}, Number)


def test_limit_holds_across_threads_and_processes(tmp_path: Path) -> None:
    with ReplayServer([example_site.ExampleReplay()], time_scale=0.5) as server:
        processes = [
            multiprocessing.get_context("spawn").Process(target=_fetch, args=(server.base("example"), tmp_path, 10))
            for _ in range(3)
        ]
        for each in processes:
            each.start()
        for each in processes:
            each.join(60)
        assert [each.exitcode for each in processes] == [0, 0, 0]
        assert len(server.log) == 30
        server.check()
        times = sorted(sent.at for sent in server.log)
        # 10 in a second at a share of 0.8 and half the time: 62 ms apart.
        assert times[-1] - times[0] >= 29 * 0.0625 * 0.95


def test_rate_rule_of_the_replay_bites() -> None:
    """Or the limit could be broken unseen."""
    import requests

    with ReplayServer([example_site.ExampleReplay()]) as server:
        for _ in range(11):
            requests.get(f"{server.base('example')}/number", timeout=5)
        with pytest.raises(AssertionError, match=r"11 requests within 1 s, allowed 10[\s\S]*"):
            server.check()
        assert any("User-Agent" in rule for rule in server.broken)
