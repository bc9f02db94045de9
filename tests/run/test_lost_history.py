"""A working database that is gone, or another one, is reported; the run goes on and publishes."""

import logging
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.command.doctor import Finding, examine
from flows.run import pipeline, plan, publish
from flows.run.history import NAME
from flows.settings import Settings, read_profile
from warehouse.targets.files import current_version

DAY = date(2026, 11, 8)


def check_of(settings: Settings) -> list[tuple[Any, ...]]:
    """Severity, result and detail of the check as it is published."""
    with duckdb.connect(str(settings.published / "hashpivot.duckdb"), read_only=True) as reader:
        query = "select severity, passed, detail from meta.quality where check_name = ?"
        return reader.execute(query, [NAME]).fetchall()


def finding(settings: Settings) -> Finding:
    (found,) = (each for each in examine({"home": settings.home}) if each.subject == "working database")
    return found


def test_deleted_working_database_is_reported_once_and_the_run_publishes(
    published_demo: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=shutil.copytree(published_demo.parent, tmp_path / "home", symlinks=True))
    before = current_version(settings.published)
    [(severity, passed, _)] = check_of(settings)
    assert (severity, passed) == ("warning", True)
    assert finding(settings).ok

    shutil.rmtree(settings.working_database.parent)
    found = finding(settings)
    assert not found.ok
    assert str(before) in found.found
    assert "restore a backup" in found.remedy
    assert not settings.working_database.exists()

    with caplog.at_level(logging.WARNING, logger="flows"):
        outcome = pipeline.run_all(plan.plan(settings, read_profile("demo"), day=DAY))
    [(severity, passed, detail)] = check_of(settings)
    assert (severity, passed) == ("warning", False)
    assert str(before) in detail
    assert [warning for warning in outcome.warnings if NAME in warning] == [f"{NAME}: {detail}"]
    assert detail in caplog.text
    assert current_version(settings.published) == outcome.run.run_id

    assert finding(settings).ok
    following = plan.plan(settings, read_profile("demo"), day=DAY)
    with plan.recorded(following):
        publish.publish_run(following)
    assert [row[1] for row in check_of(settings)] == [True]


def test_working_database_of_another_home_is_found(published_demo: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    shutil.copytree(published_demo, settings.published, symlinks=True)
    with plan.recorded(plan.plan(settings, read_profile("demo"), day=DAY)):
        pass
    found = finding(settings)
    assert not found.ok
    assert str(current_version(settings.published)) in found.found
