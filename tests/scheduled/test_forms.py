"""Forms of the deployments, without a server: their fields, their texts, and what becomes of earlier parameters."""

from datetime import UTC, date, datetime

import pytest
from prefect.utilities.callables import parameter_schema

from flows.scheduled.deployments import Served, deployments, served
from flows.scheduled.forms import form
from flows.scheduled.parameters import (
    BackfillParameters,
    DailyParameters,
    RebuildParameters,
    checked,
    fields_of,
    run_label,
)
from flows.settings import Settings
from schemas.errors import SettingsError

pytestmark = pytest.mark.filterwarnings("ignore:Default value of an empty field")
SETTINGS = Settings(profile="files", max_requests=2_500)
ALL = served(SETTINGS)
PROFILE = {"profile", "profile_file"}
REQUESTS = PROFILE | {"switch_profile", "max_requests"}
USED = {
    "daily": REQUESTS | {"runner", "day", "since", "replace", "catch_up"},
    "backfill": REQUESTS | {"runner", "since", "through", "shards"},
    "registry-refresh": REQUESTS,
    "publish-only": PROFILE | {"switch_profile", "day", "replace"},
    "rebuild-as-of": PROFILE | {"as_of", "day"},
}
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize("one", ALL, ids=[one.name for one in ALL])
def test_form_has_the_fields_that_its_deployment_uses_flat_and_in_words(one: Served) -> None:
    fields = form(one.parameters, SETTINGS).properties
    assert set(fields) == USED[one.name]
    for name, field in fields.items():
        assert field["title"] != name
        assert field["title"][0].isupper()
        assert field["description"]
        assert field["type"] in ("string", "integer", "boolean")
        assert field.get("default", "") is not None
    assert [field["position"] for field in fields.values()] == list(range(len(fields)))
    assert next(iter(fields)) not in PROFILE or one.name == "registry-refresh"


def test_form_states_what_an_empty_field_means_on_this_machine() -> None:
    fields = form(DailyParameters, SETTINGS).properties
    assert fields["profile"]["description"].startswith("Profile: files (setting of this machine) if empty. ")
    assert fields["max_requests"]["description"].startswith("Most requests: 2,500 (setting of this machine) if empty. ")
    assert fields["runner"]["description"].startswith("Runner: threads (setting of this machine) if empty. ")


def test_server_is_given_the_form_with_its_refusal_of_unknown_fields() -> None:
    for made, one in zip(deployments(SETTINGS), ALL, strict=True):
        schema = made._parameter_openapi_schema.model_dump(exclude_unset=True)
        assert schema["additionalProperties"] is False
        assert set(schema["properties"]) == USED[one.name]
        assert set(made.parameters) <= USED[one.name]


@pytest.mark.parametrize("one", ALL, ids=[one.name for one in ALL])
def test_work_pool_has_the_same_form_but_for_this_machine(one: Served) -> None:
    """By what `prefect deploy` makes a form of."""
    ours, theirs = form(one.parameters, SETTINGS), parameter_schema(one.flow)
    assert theirs.required == ours.required
    for name, field in ours.properties.items():
        assert theirs.properties[name] | {"description": field["description"]} == field, name


def test_parameters_of_an_earlier_release_are_taken_and_what_is_empty_is_left_out() -> None:
    nested = {"parameters": {"profile": "demo", "day": "2026-02-10", "since": None}, "day": None, "catch_up": True}
    assert fields_of(nested) == {"profile": "demo", "day": "2026-02-10", "catch_up": True}
    assert checked(DailyParameters, nested).day == date(2026, 2, 10)
    with pytest.raises(SettingsError, match=r"home: found '/etc', expected no such field, only .*; leave it out"):
        checked(DailyParameters, {"parameters": {"home": "/etc"}})
    with pytest.raises(SettingsError, match="parameters: found 5, expected no such field"):
        checked(DailyParameters, {"parameters": 5})


def test_run_is_named_by_deployment_day_and_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHPIVOT_PROFILE", "demo")
    assert run_label("daily", DailyParameters, {}, NOW) == "daily 2026-03-03 demo"
    chosen = {"day": "2026-02-10", "since": "2026-01-01", "profile": "files"}
    assert run_label("daily", DailyParameters, chosen, NOW) == "daily 2026-02-10 files"
    assert run_label("daily", DailyParameters, {"parameters": chosen}, NOW) == "daily 2026-02-10 files"
    assert run_label("daily", DailyParameters, {"profile_file": "/a/mine.toml"}, NOW) == "daily 2026-03-03 mine"
    assert run_label("daily", DailyParameters, {"day": "soon"}, NOW) == "daily 2026-03-03 demo"
    since = {"since": date(2026, 1, 1)}
    assert run_label("backfill", BackfillParameters, since, NOW) == "backfill 2026-01-01 to 2026-03-03 demo"
    moment = {"as_of": "2026-02-01T10:30:00+02:00"}
    assert run_label("rebuild-as-of", RebuildParameters, moment, NOW) == "rebuild-as-of 2026-02-01 08:30 UTC demo"
