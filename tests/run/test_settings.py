"""What a profile and the environment may say: a mistake in them ends the command before anything is fetched."""

from pathlib import Path

import pytest

from flows.settings import read_profile, read_settings
from schemas.errors import SettingsError

NODE_AND_FILES = {
    "sources": '["node", "files"]',
    "blocks": '["node"]',
    "price": '["coinmetrics_export"]',
    "chain": '["node", "coinmetrics_export"]',
    "miner_flows": '["node"]',
    "exchange_flows": '["coinmetrics_export"]',
}


def profile_of(folder: Path, **changed: str | None) -> str:
    """A profile of one's own in which lines are `changed`; None leaves the line out."""
    lines = {name: text for name, text in (NODE_AND_FILES | changed).items() if text is not None}
    sources = lines.pop("sources")
    path = folder / "own.toml"
    text = f'title = "Own"\nsources = {sources}\n[precedence]\n'
    path.write_text(text + "".join(f"{group} = {ranked}\n" for group, ranked in lines.items()), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("changed", [{}, {"filings": "[]"}])
def test_order_of_every_group_that_the_sources_state_is_read(changed: dict[str, str], tmp_path: Path) -> None:
    assert read_profile(profile_of(tmp_path, **changed)).precedence["chain"] == ("node", "coinmetrics_export")


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (
            {"price": None},
            "precedence.price: found None, expected one or more of coinmetrics_export, cryptoquant_export;",
        ),
        ({"miner_flows": "[]"}, "precedence.miner_flows: found [], expected one or more of node, cryptoquant_export;"),
        ({"chain": '["node", "node"]'}, "precedence.chain: found ['node', 'node'], expected node once; remove it"),
        (
            {"price": '["mempool"]'},
            "precedence.price: found 'mempool', expected one of coinmetrics_export, cryptoquant_export; ren",
        ),
        (
            {"price": '["kraken"]'},
            "precedence.price: found 'kraken', expected one of coinmetrics_export, cryptoquant_export; ren",
        ),
        ({"blocks": '["nod"]'}, "precedence.blocks: found 'nod', expected one of node, pool_blocks_export; rename"),
        ({"filings": '["edgar"]'}, "precedence.filings: found 'edgar', expected no supplier, because no source"),
        ({"sources": '["node", "files", "node"]'}, "sources: found ['node', 'files', 'node'], expected node once;"),
        ({"chian": '["node"]'}, "precedence.chian: found 'chian', expected 'blocks', 'price', 'chain'"),
        ({"blocks": '"node"'}, "precedence.blocks: found 'node', expected a valid tuple; correct"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_order_that_cannot_be_meant_is_refused_in_one_line(
    changed: dict[str, str | None], found: str, tmp_path: Path
) -> None:
    path = profile_of(tmp_path, **changed)
    with pytest.raises(SettingsError) as refused:
        read_profile(path)
    assert str(refused.value).startswith(f"profile {path}, {found}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ('degrades = true\nrequired = ["nod"]', "found 'nod', expected one of files; rename or remove it"),
        ('required = ["files"]', "found ['files'], expected degrades = true beside it; add that, or remove it"),
    ],
)
def test_required_sources_are_sources_of_a_profile_that_can_miss_others(lines: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(f'title = "Own"\n{lines}\nsources = ["files"]\n[precedence]\n', encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        read_profile(str(tmp_path / "own.toml"))
    assert f"own.toml, required: {found}" in str(refused.value)


def test_profile_of_the_own_node_can_miss_the_price_and_nothing_else() -> None:
    node, only = read_profile("node"), read_profile("node-only")
    assert [name for name in node.sources if node.can_miss(name)] == ["coinmetrics", "coinbase"]
    assert [name for name in only.sources if only.can_miss(name)] == []
    live = read_profile("live")
    assert all(map(live.can_miss, live.sources))


@pytest.mark.parametrize(
    ("text", "found"),
    [('sources = ["node"]\n[precedence]\n', "title: found None"), ("title =", "found"), ("", "title: found None")],
)
def test_profile_that_is_not_whole_is_refused_in_one_line(text: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=found) as refused:
        read_profile(str(tmp_path / "own.toml"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("HASHPIVOT_CRYPTOQUANT_KYE", "HASHPIVOT_CRYPTOQUANT_KEY"),
        ("HASHPIVOT_CRYPTOQUANT_API_KEY", "HASHPIVOT_CRYPTOQUANT_KEY"),
        ("HASHPIVOT_FILE_DIR", "HASHPIVOT_FILES_DIR"),
        ("HASHPIVOT_PROFIL", "HASHPIVOT_PROFILE"),
        ("hashpivot_max_request", "HASHPIVOT_MAX_REQUESTS"),
        ("HASHPIVOT_EDGAR_ARCHVE_URL", "HASHPIVOT_EDGAR_ARCHIVE_URL"),
        ("HASHPIVOT_NODE_BACKUP_URL", "HASHPIVOT_NODE_URL"),
        ("HASHPIVOT_COLOUR", "a setting that docs/reference.md lists"),
    ],
)
def test_misspelt_variable_is_refused_with_the_nearest_right_one(
    name: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "a-secret-value")
    with pytest.raises(SettingsError) as refused:
        read_settings()
    message = f"environment: found {name.upper()!r}, expected {nearest}; rename or unset it"
    assert str(refused.value) == message


def test_variables_of_second_servers_and_of_tests_are_no_misspelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHPIVOT_TEST_DATA", "elsewhere")
    monkeypatch.setenv("HASHPIVOT_GLASSNODE_SECOND_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HASHPIVOT_GLASSNODE_SECOND_KEY", "4321")
    assert read_settings(files_dir="exports").of_source("files").model_dump() == {"dir": Path("exports")}
    monkeypatch.delenv("HASHPIVOT_GLASSNODE_SECOND_URL")
    with pytest.raises(SettingsError, match="expected HASHPIVOT_GLASSNODE_KEY"):
        read_settings()
