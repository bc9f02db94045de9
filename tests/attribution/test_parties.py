"""The scripts on both sides of a transfer follow from its stored sums, or are not known."""

import pytest

from transforms.attribution.parties import MOST_SCRIPTS, Party, receivers, senders

A, B, C = (Party(script, sat) for script, sat in (("a", 5), ("b", 7), ("c", 12)))


@pytest.mark.parametrize(
    ("inputs", "miner_input_sat", "expected"),
    [
        pytest.param([A, B], 12, (A, B), id="all inputs are the miners'"),
        pytest.param([A, B], 7, (B,), id="one of two"),
        pytest.param([A, B, C], 19, (B, C), id="the only two that add up"),
        pytest.param([A, B, C], 12, None, id="two ways to the sum"),
        pytest.param([A, B], 6, None, id="no way to the sum"),
        pytest.param([A, A, B], 10, (Party("a", 10),), id="all inputs of a script are of one owner"),
        pytest.param([A, A, B], 5, None, id="half of a script is nobody's"),
        pytest.param([A, B, Party("z", 0)], 5, (A,), id="an input of nothing does not make a second way"),
    ],
)
def test_senders_are_the_only_scripts_with_that_sum(
    inputs: list[Party], miner_input_sat: int, expected: tuple[Party, ...] | None
) -> None:
    assert senders(inputs, miner_input_sat) == expected


def test_senders_among_too_many_scripts_are_not_searched_for() -> None:
    many = [Party(str(n), 2**n) for n in range(MOST_SCRIPTS + 1)]
    assert senders(many, 1) is None
    assert senders(many[:-1], 5) == (many[0], many[2])
    assert senders(many, 2 ** (MOST_SCRIPTS + 1) - 1) == tuple(many)


def test_receivers_have_their_parts_rounded_down_for_each_output() -> None:
    outputs = [Party("x", 10), Party("x", 10), Party("y", 4), Party("z", 9)]
    sums = {"exchange": "e", "miner_input_sat": 2, "total_input_sat": 3}
    labelled = {"x": "e", "y": "e", "z": "other"}
    assert receivers(outputs, labelled, transfer_sat=14, **sums) == (Party("x", 12), Party("y", 2))  # type: ignore[arg-type]
    for transfer_sat, labels in ((14, {"x": "e"}), (15, labelled), (14, {}), (0, {"z": "other"})):
        found = receivers(outputs, labels, transfer_sat=transfer_sat, **sums)  # type: ignore[arg-type]
        assert found == (None if transfer_sat else ())
