"""Every kind of source is one folder, and what it says about itself holds."""

from pathlib import Path

import flows.sources
from flows.settings import Settings, profile_names, read_profile
from flows.sources.kinds import kind_of, kinds, supplier_named, variable
from schemas.suppliers import REGISTRY

FOLDER = Path(flows.sources.__file__).parent


def test_a_kind_is_a_folder_and_a_hosted_one_is_its_own_supplier() -> None:
    assert {each.parent.name for each in FOLDER.glob("*/kind.py")} == set(kinds())
    assert all([each.name for each in kind.suppliers] == [name] for name, kind in kinds().items() if kind.hosted)
    suppliers = [each.name for kind in kinds().values() for each in kind.suppliers]
    assert len(suppliers) == len(set(suppliers))
    assert REGISTRY.name not in suppliers


def test_every_built_in_profile_ranks_what_its_sources_state() -> None:
    for name in profile_names():
        profile = read_profile(name)
        stated = {(each.name, group) for s in profile.sources for each in kind_of(s).suppliers for group in each.groups}
        missing = stated - {(each, group) for group, ranked in profile.precedence.items() for each in ranked}
        # A profile may choose not to use a group of a supplier; one that it ranks nowhere is fetched for nothing.
        ranked = {each for ranked in profile.precedence.values() for each in ranked}
        assert {each for each, _ in missing} <= ranked
        assert all(supplier_named(each) for each in ranked)


def test_settings_of_a_source_are_its_variables(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    for name, kind in kinds().items():
        for field in kind.settings.model_fields:
            monkeypatch.setenv(variable(name, field), "4321")
    settings = Settings(home=tmp_path)
    for name, kind in kinds().items():
        found = settings.of_source(name)
        assert found.model_fields_set == set(kind.settings.model_fields)
    assert "4321" not in repr(settings)
