"""Addresses of publication targets beside the folder of the home: which schemes there are, and what each looks like.

A scheme has its line here and its module in `warehouse.targets.choose`. No address holds a secret: those come from the
environment of the process, so that an address may stand in logs, in tables and on pages.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from schemas.errors import SettingsError

_SEGMENT: Final = r"(?!\.+(?:/|$))[A-Za-z0-9!_.*'()=-]+"
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_.-]{0,62}"
_SCHEMA: Final = r"[a-z_][a-z0-9_]{0,40}"
_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_PATH: Final = r"(?:/(?!\.+(?:[/?]|$))[^/,;:?*'\"\\\x00-\x1f]+)+"
_FILES: Final = rf"(?:{_PATH}|s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9](?:/(?!\.+(?:/|$))[A-Za-z0-9_.=-]+)+)"
"""Where a lake has its data: in a prefix of its own, without characters that DuckDB takes for patterns."""
_PARAMETER: Final = r"(?!(?:ssl)?pass)[a-z_]+=[^\s,;?'\"\\=@]+"
"""Of a connection to PostgreSQL, which takes passwords from the environment and from ~/.pgpass."""
SCHEMES: Final[Mapping[str, tuple[re.Pattern[str], str]]] = MappingProxyType(
    {
        "postgresql": (
            re.compile(rf"postgresql://(?:(?:{_NAME}@)?{_HOST}/{_NAME}|service={_NAME})(?:/{_SCHEMA})?"),
            "postgresql://USER@HOST:PORT/DATABASE",
        ),
        "s3": (
            re.compile(rf"s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9](?:/{_SEGMENT})*"),
            "s3://BUCKET/PREFIX",
        ),
        "ducklake": (
            re.compile(
                rf"ducklake:(?:(?:sqlite:)?{_PATH}(?:\?data={_FILES})?"
                rf"|postgres:{_PARAMETER}(?: {_PARAMETER})*\?data={_FILES})"
            ),
            "ducklake:sqlite:/FOLDER/CATALOG.sqlite",
        ),
    }
)
"""By scheme what a whole address matches, and an example of it."""


def scheme_of(address: str) -> str:
    """The scheme of an address that `target_addresses` gave."""
    return address.partition(":")[0]


def target_addresses(where: str, listed: Sequence[str]) -> tuple[str, ...]:
    """The addresses that a setting lists, without a slash at the end. Empty ones are left out.

    `where` names the setting. Raises `SettingsError` for an address that cannot be used, or that is listed twice.
    """
    found: list[str] = []
    for given in listed:
        address = given.strip().rstrip("/")
        if not address:
            continue
        pattern, _ = SCHEMES.get(scheme_of(address), (None, ""))
        if pattern is None or not pattern.fullmatch(address):
            examples = " or ".join(example for _, example in SCHEMES.values())
            expected = f"addresses such as {examples}, without a secret, which belongs into the environment"
            raise SettingsError(where, _without_secret(address), expected, "correct it")
        if address in found:
            raise SettingsError(where, address, "each address once", "remove it where it is too much")
        found.append(address)
    return tuple(found)


def _without_secret(address: str) -> str:
    """The address without what may be a secret in it: what is before the last @, and what is after a question mark."""
    scheme, separator, rest = address.partition("://")
    if "?" in scheme:
        # Of the data of a lake; what is before it may hold a secret as well.
        scheme, separator, rest = address, "", ""
    shown = re.sub(r"(pass\w*=)\S*", r"\1***", rest or scheme)
    if "@" in shown:
        shown = f"***@{shown.rpartition('@')[2]}"
    if "?" in shown:
        shown = f"{shown.partition('?')[0]}?***"
    return f"{scheme}{separator}{shown}" if rest else shown
