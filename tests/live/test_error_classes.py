"""Whatever bytes come back: each source's reading of errors ends in a problem of ours or in none, never in a crash."""

import json
import pkgutil
from importlib import import_module

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import flows.sources
from flows.sources.web.site import Failure, RawResponse, Site
from tests.replay.faults import WHOLE_RESPONSES
from tests.replay.site import ReplayResponse, ReplaySite
from tests.replay.sites import all_sites


def sites() -> list[Site]:
    """Every `Site` of every source package that has a `classify`."""
    found = {}
    for package in pkgutil.iter_modules(flows.sources.__path__):
        if not package.ispkg:
            continue
        inside = import_module(f"flows.sources.{package.name}")
        for module in pkgutil.iter_modules(inside.__path__):
            for each in vars(import_module(f"{inside.__name__}.{module.name}")).values():
                if isinstance(each, Site) and each.classify is not None:
                    found[each.name] = each
    return [found[name] for name in sorted(found)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "status", "code", "type", "message", "msg", "result", "data", "x"]), inner
        )
    ),
    max_leaves=8,
)
WRITTEN = VALUES.map(lambda value: json.dumps(value).encode())
BODIES = (
    st.binary(max_size=200)
    | WRITTEN
    | st.builds(lambda body, cut: body[:cut], WRITTEN, st.integers(0, 20))
    | st.sampled_from([response.body for response in WHOLE_RESPONSES.values()])
    | st.sampled_from([site.error_object().body for site in all_sites()])
)
TYPES = st.sampled_from(["application/json", "text/html; charset=utf-8", "text/plain", "", "\x00"])
STATUSES = st.sampled_from([200, 204, 301, 304, 400, 401, 402, 403, 404, 418, 429, 451, 500, 503, 520, 999])


@pytest.mark.parametrize("site", sites(), ids=lambda site: site.name)
@given(body=BODIES, content_type=TYPES, status=STATUSES)
@example(body=b"[" * 100_000, content_type="application/json", status=200)
@example(body=b'{"error":' * 50_000, content_type="application/json", status=403)
@example(body=b"\xff\xfe\x00", content_type="application/json", status=500)
def test_any_body_is_explained_or_left_to_the_status(site: Site, body: bytes, content_type: str, status: int) -> None:
    assert site.classify is not None
    problem = site.classify(RawResponse(status, {"content-type": content_type}, body))
    assert problem is None or isinstance(problem, Failure)
    if problem is not None:
        assert isinstance(problem.code, str)
        assert isinstance(problem.message, str)


def with_own_error_objects() -> list[tuple[Site, ReplayResponse]]:
    """Sites that say no with HTTP 200 in a way of their own, and how they do; the others' bodies break their shape."""
    replayed = {each.name: each for each in all_sites() if type(each).error_object is not ReplaySite.error_object}
    return [(site, replayed[site.name].error_object()) for site in sites() if site.name in replayed]


@pytest.mark.parametrize(("site", "response"), with_own_error_objects(), ids=lambda each: getattr(each, "name", ""))
def test_own_error_object_is_seen_for_what_it_is(site: Site, response: ReplayResponse) -> None:
    """Or an error that comes with HTTP 200 would be taken for data."""
    assert site.classify is not None
    explained = site.classify(RawResponse(response.status, {"content-type": response.content_type}, response.body))
    # What comes under another type than the site's is refused for that.
    assert explained is not None or response.content_type not in site.content_types
