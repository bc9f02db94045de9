"""Scripts of many addresses at once are those of btclib for each."""

import polars as pl
import pytest
from btclib.script.script_pub_key import ScriptPubKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.addresses import script_of
from transforms.attribution.address_scripts import UNKNOWN_SCRIPT, scripts_of

NETWORKS = ("mainnet", "testnet", "regtest")
HASHES = st.binary(min_size=20, max_size=20)
KEYS = st.binary(min_size=32, max_size=32)
SCRIPTS = st.one_of(
    HASHES.map(lambda digest: f"76a914{digest.hex()}88ac"),
    HASHES.map(lambda digest: f"a914{digest.hex()}87"),
    HASHES.map(lambda digest: f"0014{digest.hex()}"),
    KEYS.map(lambda digest: f"0020{digest.hex()}"),
    KEYS.map(lambda key: f"5120{key.hex()}"),
    st.tuples(st.integers(0x52, 0x60), st.binary(min_size=2, max_size=40)).map(
        lambda program: f"{program[0]:02x}{len(program[1]):02x}{program[1].hex()}"
    ),
)


@given(st.lists(st.tuples(SCRIPTS, st.sampled_from(NETWORKS)), min_size=1, max_size=30))
def test_scripts_are_those_of_each_address(made: list[tuple[str, str]]) -> None:
    addresses = [ScriptPubKey(bytes.fromhex(script), network).address for script, network in made]
    assert scripts_of(pl.Series(addresses)) == [script for script, _ in made]
    assert [script_of(address) for address in addresses] == [script for script, _ in made]


def test_pay_to_anchor_has_a_short_program() -> None:
    assert scripts_of(pl.Series(["bc1pfeessrawgf"])) == ["51024e73"]


@pytest.mark.parametrize(
    "text", [None, "", "1", "bc1", "bc1q", "1" * 25, "l" * 34, "bc1" + "b" * 39, "z" * 35, "ä" * 17, "hello world"]
)
def test_what_is_no_address_is_nobodys(text: str | None) -> None:
    neighbour = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    assert scripts_of(pl.Series([neighbour, text], dtype=pl.String)) == [script_of(neighbour), UNKNOWN_SCRIPT]


@pytest.mark.parametrize("wrong", ["0", "O", "I", "l", "-"])
@pytest.mark.parametrize("place", [-1, -20])
def test_address_with_a_character_that_base58_lacks_is_nobodys(wrong: str, place: int) -> None:
    """Read as a digit it would lead to the script of another hash, as nothing else of the address is wrong."""
    characters = list("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
    characters[place] = wrong
    assert scripts_of(pl.Series(["".join(characters)])) == [UNKNOWN_SCRIPT]


@given(st.lists(st.text(max_size=100) | st.none(), max_size=20))
def test_no_text_breaks_it(texts: list[str | None]) -> None:
    found = scripts_of(pl.Series(texts, dtype=pl.String))
    assert len(found) == len(texts)
    assert all(bytes.fromhex(script) for script in found)
