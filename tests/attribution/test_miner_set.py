"""The miner set on disk: the same however it was made, whole after a kill, rejected when damaged."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import WarehouseError
from schemas.labels import UNKNOWN_POOL
from schemas.miner_set import MinerSet, OneHop, ZeroHop
from tests.attribution.generated_chains import EXCHANGES, chains
from tests.attribution.recorded_chain import decoded, decoded_blocks, exchanges, pool_names, run
from tests.invocation import PYTHON
from transforms.attribution.blocks import paid_scripts, record_coinbase
from warehouse.miner_set import load_miner_set, miner_set_block, save_miner_set

FLIPS = 40
LATENT_SECTIONS = 7


@pytest.fixture(scope="module")
def state() -> MinerSet:
    miners = MinerSet()
    run(decoded_blocks(), miners, exchanges())
    return miners


def through_disk(folder: Path, miners: MinerSet) -> MinerSet:
    save_miner_set(folder / "miners", miners)
    return load_miner_set(folder / "miners")


def test_what_is_loaded_is_what_was_saved(tmp_path, state):
    assert through_disk(tmp_path, state) == state
    assert state.one_hop.credits
    assert state.one_hop.partners


def test_an_empty_set_is_saved_and_loaded(tmp_path):
    assert through_disk(tmp_path, MinerSet()) == MinerSet()


def test_a_file_of_the_version_without_latent_scripts_is_read(tmp_path, state):
    path = tmp_path / "miners"
    save_miner_set(path, state)
    head, body = path.read_bytes().split(b"\n", 1)
    header = json.loads(head)
    lengths = header["section_bytes"][:-LATENT_SECTIONS]
    body = body[: sum(lengths)]
    header |= {"version": 2, "section_bytes": lengths, "sha256": sha256(body).hexdigest()}
    path.write_bytes(json.dumps(header).encode() + b"\n" + body)
    assert state.one_hop.latent
    assert load_miner_set(path) == replace(state, one_hop=replace(state.one_hop, latent={}, latent_partners={}))


def test_the_first_line_states_the_block(tmp_path, state):
    save_miner_set(tmp_path / "miners", state)
    assert miner_set_block(tmp_path / "miners") == (state.height, state.block_hash)
    for content in (b"", b"{}\n", b"no JSON\n"):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(WarehouseError, match="expected an undamaged"):
            miner_set_block(tmp_path / "other")
    with pytest.raises(WarehouseError, match="build it from the node"):
        miner_set_block(tmp_path / "none")


def test_a_range_split_into_runs_with_the_state_on_disk_gives_the_same_transfers_and_bytes(tmp_path, state):
    blocks, miners = decoded_blocks(), MinerSet()
    transfers = []
    for start in range(0, len(blocks), 389):
        part = run(blocks[start : start + 389], miners, exchanges())
        transfers += [t for flows in part for t in flows.transfers]
        miners = through_disk(tmp_path, miners)
    whole = run(blocks, MinerSet(), exchanges())
    assert transfers == [t for flows in whole for t in flows.transfers]
    assert save_miner_set(tmp_path / "parts", miners) == save_miner_set(tmp_path / "whole", state)


@settings(deadline=None)
@given(chains(), st.sets(st.integers(1, 11)))
def test_any_split_with_the_state_on_disk_gives_the_same(tmp_path_factory, as_json, cuts):
    folder = tmp_path_factory.mktemp("split")
    blocks, miners, flows = decoded(as_json), MinerSet(), []
    whole_state = MinerSet()
    whole = run(blocks, whole_state, EXCHANGES)
    edges = [0, *sorted(cut for cut in cuts if cut < len(blocks)), len(blocks)]
    for a, b in pairwise(edges):
        flows += run(blocks[a:b], miners, EXCHANGES)
        miners = through_disk(folder, miners)
    assert flows == whole
    assert save_miner_set(folder / "parts", miners) == save_miner_set(folder / "whole", whole_state)


@settings(deadline=None)
@given(chains())
def test_coinbases_give_the_zero_hop_set_of_whole_blocks(tmp_path_factory, as_json):
    blocks, whole, cold, pools = decoded(as_json), MinerSet(), MinerSet(), pool_names()
    run(blocks, whole, EXCHANGES)
    for block in blocks:
        coinbase = block.tx[0]
        record_coinbase(cold, block.height, coinbase.txid, paid_scripts(coinbase), pools.pool(coinbase))
    folder = tmp_path_factory.mktemp("cold")
    cold.height, cold.block_hash = whole.height, whole.block_hash
    without_layer = replace(whole, one_hop=OneHop())
    assert save_miner_set(folder / "a", without_layer) == save_miner_set(folder / "b", cold)


def test_the_last_known_pool_stays_where_a_later_one_is_not_known():
    paid = ZeroHop()
    for height, pool in ((5, "antpool"), (9, "f2pool"), (12, UNKNOWN_POOL), (2, "viabtc")):
        paid.pay("00", height, pool)
    assert list(paid) == [("00", 2, "f2pool", 9)]


def test_a_damaged_file_is_rejected(tmp_path, state):
    path = tmp_path / "miners"
    save_miner_set(path, state)
    whole = path.read_bytes()
    for at in range(0, len(whole), len(whole) // FLIPS):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :])
        try:
            assert load_miner_set(path).zero_hop == state.zero_hop  # Counts in the header are informative only.
        except WarehouseError:
            continue
        assert at < whole.index(b"\n")
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(WarehouseError, match="expected an undamaged"):
            load_miner_set(path)


def test_a_missing_set_is_an_error_with_the_remedy(tmp_path):
    with pytest.raises(WarehouseError, match="build it from the node"):
        load_miner_set(tmp_path / "none")


def test_a_folder_that_cannot_be_written_leaves_the_old_set(tmp_path, state):
    with pytest.raises(WarehouseError, match="last miner set stays"):
        save_miner_set(tmp_path / "missing" / "miners", state)


WRITER = """
import sys
from pathlib import Path
from schemas.miner_set import MinerSet
from warehouse.miner_set import save_miner_set
paid = MinerSet(height=0, block_hash="00")
for i in range(20_000):
    paid.zero_hop.pay(f"0014{i:040x}", i, "antpool")
while True:
    paid.height += 1
    save_miner_set(Path(sys.argv[1]), paid)
"""


def test_a_kill_at_any_point_leaves_the_old_set_or_the_new(tmp_path):
    path, last = tmp_path / "miners", 0
    for after_ms in (0, 1, 3, 7, 12, 20):
        writer = subprocess.Popen([PYTHON, "-c", WRITER, path], env=os.environ | {"PYTHONPATH": str(Path.cwd())})
        path.unlink(missing_ok=True)
        while not path.exists():
            assert writer.poll() is None
            time.sleep(0.001)
        time.sleep(after_ms / 1000)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        miners = load_miner_set(path)
        assert len(miners.zero_hop) == 20_000
        assert miners.height is not None
        last = max(last, miners.height)
    assert last > 0
