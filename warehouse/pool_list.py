"""Pool lists in their two public formats, and our own short one."""

import json
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from schemas.addresses import script_of
from schemas.errors import BadInputError
from schemas.labels import PoolEntry
from warehouse.registry import REFERENCE

POOL_LIST: Final = REFERENCE.joinpath("pool_list.json")


def read_pool_list(path: Path | Traversable = POOL_LIST) -> list[PoolEntry]:
    """The pools of a list, in its order.

    Two shapes: a list of `{name, addresses, tags}`; or `{coinbase_tags: {tag: {name}}, payout_addresses: {address:
    {name}}}`. Other keys are ignored. Raises `BadInputError` with the file, the entry and the value.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise BadInputError(str(path), error.strerror, "a readable pool list", "check the path") from error
    except ValueError as error:
        raise BadInputError(str(path), str(error)[:120], "JSON", "restore the pool list") from error
    if isinstance(content, list):
        return [_entry(f"{path} entry {i}", pool) for i, pool in enumerate(content, 1)]
    if isinstance(content, dict):
        return _entries_by_key(str(path), content)
    raise BadInputError(str(path), type(content).__name__, "a list of pools", "restore the pool list")


def pool_rows(path: Path | Traversable = POOL_LIST) -> list[str]:
    """Each pool of a list as JSON: its place in it, which decides between two that fit, and what is stated of it.

    Raises as `read_pool_list`.
    """
    entries = enumerate(read_pool_list(path), 1)
    return [
        json.dumps([place, pool.name, [*pool.scripts], [*pool.tags]], ensure_ascii=False) for place, pool in entries
    ]


def _entry(place: str, pool: Any) -> PoolEntry:
    name = pool.get("name") if isinstance(pool, dict) else None
    if not isinstance(name, str) or not name:
        raise BadInputError(place, pool, "a pool with a name", "correct the entry")
    lists = {key: pool.get(key, []) for key in ("addresses", "tags")}
    for key, texts in lists.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
            raise BadInputError(f"{place} ({name}), {key}", texts, "a list of texts", "correct the entry")
    scripts = tuple(_script(f"{place} ({name})", address) for address in lists["addresses"])
    return PoolEntry(name=name, scripts=scripts, tags=tuple(lists["tags"]))


def _entries_by_key(place: str, content: Mapping[str, Any]) -> list[PoolEntry]:
    found: dict[str, tuple[list[str], list[str]]] = {}
    for key, at in (("coinbase_tags", 1), ("payout_addresses", 0)):
        entries = content.get(key, {})
        if not isinstance(entries, dict):
            raise BadInputError(f"{place}, {key}", type(entries).__name__, "an object", "restore the pool list")
        for text, pool in entries.items():
            name = pool.get("name") if isinstance(pool, dict) else None
            if not isinstance(name, str) or not name or not text:
                raise BadInputError(f"{place}, {key}, {text}", pool, "a pool with a name", "correct the entry")
            value = text if at else _script(f"{place}, {key}", text)
            found.setdefault(name, ([], []))[at].append(value)
    return [PoolEntry(name=name, scripts=tuple(scripts), tags=tuple(tags)) for name, (scripts, tags) in found.items()]


def _script(place: str, address: str) -> str:
    try:
        return script_of(address)
    except ValueError as error:
        raise BadInputError(place, address, f"a Bitcoin address ({error})", "correct the entry") from error
