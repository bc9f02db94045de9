"""The output script behind an address: attribution compares scripts, labels name addresses."""

from btclib.script.script_pub_key import ScriptPubKey


def script_of(address: str) -> str:
    """The scriptPubKey that pays `address`, in lower-case hexadecimal, of any Bitcoin network.

    Raises `ValueError` with what is wrong: a character, the checksum, the length, the version.
    """
    if address != address.strip():
        raise ValueError("blanks around it")
    return ScriptPubKey.from_address(address).script.hex()
