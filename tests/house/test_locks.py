"""The lock files pin the same version of a package, so that no environment of the tests is another program."""

import re

import pytest

from tests.invocation import REPOSITORY


def pinned(name: str) -> dict[str, str]:
    """Version by package."""
    lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    return dict(
        match.groups() for line in lines if (match := re.match(r"([a-z0-9._-]+)(?:\[[^]]*\])?==([^ ;]+)", line))
    )


@pytest.mark.parametrize("name", ["requirements-dask.lock", "requirements-ducklake.lock"])
def test_environment_of_an_extra_has_all_that_the_project_needs(name: str) -> None:
    """Its lock is resolved anew with the others: `make lock`."""
    needed, given = pinned("requirements.lock"), pinned(name)
    assert {name: given.get(name) for name in needed} == needed


@pytest.mark.parametrize("name", ["requirements-dev.lock", "requirements-dask.lock", "requirements-ducklake.lock"])
def test_versions_are_those_of_the_project(name: str) -> None:
    needed, given = pinned("requirements.lock"), pinned(name)
    assert needed
    assert {package: version for package, version in given.items() if version != needed.get(package, version)} == {}
