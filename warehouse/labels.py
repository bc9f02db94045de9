"""Address labels from the formats they are published in, and the version of a set of them.

Readers: GraphSense TagPacks (YAML, or flattened to Parquet), a plain CSV (`address,entity,kind`), DefiLlama's lists
(`entity,address,file`), and our own `reference/exchange_address.csv`. An invalid row is an
error that names file, line and value; a label of something other than Bitcoin or an exchange is dropped and counted.
"""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.resources.abc import Traversable
from io import StringIO
from pathlib import Path
from typing import Any, Final

import polars as pl
import yaml

from schemas.addresses import script_of
from schemas.enforce import enforce
from schemas.errors import BadInputError
from schemas.labels import LABEL, Kind
from warehouse.registry import REFERENCE

EXCHANGE_ADDRESSES: Final = REFERENCE.joinpath("exchange_address.csv")
DEFILLAMA_EXCHANGES: Final = REFERENCE.joinpath("defillama_exchange.csv")
PLAIN_COLUMNS: Final = ("address", "entity", "kind")
DATED_COLUMNS: Final = (*PLAIN_COLUMNS, "valid_from", "known_at", "source", "confidence")
LABEL_SET_DIGITS: Final = 16
BITCOIN: Final = "BTC"
UNDATED: Final = date(1970, 1, 1)
"""Day of labels that have no date."""

KIND_OF_CATEGORY: Final = {
    "exchange": Kind.EXCHANGE,
    "miner": Kind.POOL,
    "mining_pool": Kind.POOL,
    "wallet_service": Kind.SERVICE,
    "hosted_wallet": Kind.SERVICE,
    "service": Kind.SERVICE,
}
"""TagPack categories; whatever is not here is `Kind.OTHER`. Their 'miner' lists the payout addresses of pools."""
KIND_OF_NAME: Final = {kind.value: kind for kind in Kind} | {"mining_pool": Kind.POOL, "user": Kind.OTHER}
ENTITY_OF_ACTOR: Final = {"okex": "okx", "gateio": "gate", "cryptocom": "crypto.com", "mtGox": "mtgox"}
"""One exchange, one name, whatever a list calls it."""
NO_EXCHANGE: Final = frozenset({"bitwise", "bitmain"})
"""Actors that TagPacks file under exchanges although they are none: a fund's holdings, a maker of machines."""
CONFIDENCE_OF_RANK: Final = {
    "ownership": 1.0,
    "ledger_immanent": 1.0,
    "manual_transaction": 0.9,
    "service_api": 0.8,
    "authority_data": 0.8,
    "trusted_provider": 0.7,
    "service_data": 0.6,
    "forensic": 0.5,
    "untrusted_transaction": 0.4,
    "forensic_investigation": 0.5,
    "web_crawl": 0.2,
    "heuristic": 0.1,
    "unknown": 0.05,
}
"""Our reading of the ranks of the TagPack taxonomy; a rank that is not here is not stated (NULL)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labels of one file: `rows` in the shape of `schemas.labels.LABEL`, and how many rows were dropped, by reason."""

    rows: pl.DataFrame
    dropped: Mapping[str, int] = field(default_factory=dict)


def read_tagpack(path: Path | Traversable) -> Labels:
    """Labels of one GraphSense TagPack in YAML; fields that a tag lacks are taken from the head of the pack."""
    try:
        pack = yaml.load(_text(path), Loader=_NumberedLoader)
    except yaml.YAMLError as error:
        raise BadInputError(str(path), " ".join(str(error).split())[:120], "a YAML TagPack", "correct it") from error
    if not isinstance(pack, dict) or not isinstance(pack.get("tags"), list):
        raise BadInputError(f"{path} line 1", type(pack).__name__, "a TagPack with a list `tags`", "correct the file")
    head = {key: value for key, value in pack.items() if key != "tags"}
    tags = ((f"{path} line {tag.get('__line__', '?')}", head | tag) for tag in pack["tags"] if isinstance(tag, dict))
    return _tags(tags)


def read_tagpack_table(path: Path) -> Labels:
    """Labels of many TagPacks flattened into one Parquet file, one row a tag."""
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadInputError(str(path), str(error).splitlines()[0], "a Parquet file of tags", "restore it") from error
    for column in ("address", "label", "category", "lastmod", "source"):
        if column not in table.columns:
            raise BadInputError(str(path), f"no column {column}", "the fields of a TagPack", "export it again")
    return _tags((f"{path} row {i}", tag) for i, tag in enumerate(table.iter_rows(named=True), 1))


def read_csv(path: Path | Traversable = EXCHANGE_ADDRESSES) -> Labels:
    """Labels of a CSV with the columns address, entity and kind.

    One that has known_at and source, as our own list does, must have valid_from and confidence too; of any other the
    labels are `UNDATED` and their source is the name of the file.
    """
    is_dated = {"known_at", "source"} <= set(_header(path))
    rows = (
        _row(
            place,
            address=cells["address"],
            entity=cells["entity"],
            kind=_kind(place, cells["kind"]),
            known_at=_day(place, cells["known_at"]) if is_dated else UNDATED,
            source=cells["source"] if is_dated else path.name,
            valid_from=_day(place, cells["valid_from"]) if cells.get("valid_from") else None,
            confidence=_confidence(place, cells.get("confidence", "")),
        )
        for place, cells in _cells(path, DATED_COLUMNS if is_dated else PLAIN_COLUMNS)
    )
    return Labels(rows=_frame(rows))


def read_defillama(path: Path | Traversable) -> Labels:
    """Exchange labels of a CSV with the columns entity, address and file, as DefiLlama lists reserves.

    Its entities are wrapped coins, bridges, funds and seizures as well as exchanges. The rule: only an entity that
    `reference/defillama_exchange.csv` names as an exchange is one; all others are dropped and counted.
    """
    names = {cells["entity"]: cells["exchange"] for _, cells in _cells(DEFILLAMA_EXCHANGES, ("entity", "exchange"))}
    dropped: Counter[str] = Counter()
    rows = []
    for place, cells in _cells(path, ("entity", "address", "file")):
        exchange = names.get(cells["entity"])
        if exchange is None:
            dropped[f"entity {cells['entity']} is not an exchange"] += 1
            continue
        row = _row(
            place,
            address=cells["address"],
            entity=exchange,
            kind=Kind.EXCHANGE,
            known_at=UNDATED,
            source=f"defillama {cells['file']}",
        )
        rows.append(row)
    return Labels(rows=_frame(rows), dropped=dropped)


def read_labels(path: Path) -> Labels:
    """Labels of a file in any of these shapes, recognised by its suffix and its header.

    Labels without a date count as the oldest, so that the version of a set depends on rows only. Raises
    `BadInputError` for a file without a row too: what is cut after its header has the form of a list of nobody.
    """
    if path.suffix in (".yaml", ".yml"):
        labels = read_tagpack(path)
    elif path.suffix == ".parquet":
        labels = read_tagpack_table(path)
    else:
        header = _header(path)
        is_defillama = "file" in header and not {"known_at", "source"} <= set(header)
        labels = read_defillama(path) if is_defillama else read_csv(path)
    if labels.rows.is_empty() and not labels.dropped:
        raise BadInputError(str(path), "no label", "one row a label", "get the file again, or unset the setting")
    return labels


def label_set(parts: Iterable[Labels]) -> tuple[str, pl.DataFrame]:
    """All statements of `parts` together, each once, and the version of the set: the same rows, the same version."""
    frames = [part.rows for part in parts]
    rows = pl.concat(frames) if frames else _frame([])
    rows = rows.unique().sort(pl.all(), nulls_last=True)
    return hashlib.sha256(rows.write_csv().encode()).hexdigest()[:LABEL_SET_DIGITS], rows


def exchange_scripts(labels: pl.DataFrame, *, on: date) -> dict[str, str]:
    """The exchange of each script that an exchange holds on the day `on`.

    Where statements disagree about the exchange, the one with the highest confidence counts, then the newest, then the
    first by name.
    """
    valid = pl.col("valid_from").is_null() | (pl.col("valid_from") <= on)
    chosen = (
        labels.filter((pl.col("kind") == Kind.EXCHANGE.value) & valid)
        .sort("script", "confidence", "known_at", "entity", descending=[False, True, True, False], nulls_last=True)
        .unique("script", keep="first", maintain_order=True)
    )
    return dict(chosen.select("script", "entity").iter_rows())


class _NumberedLoader(yaml.SafeLoader):
    """Leaves dates as text and puts `__line__` into each mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping | {"__line__": node.start_mark.line + 1}


_NumberedLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _tags(tags: Iterable[tuple[str, Mapping[str, Any]]]) -> Labels:
    dropped: Counter[str] = Counter()
    rows = []
    for place, tag in tags:
        network = tag.get("network") or tag.get("currency") or BITCOIN
        actor = str(tag.get("actor") or tag.get("label") or "").strip()
        if network != BITCOIN:
            dropped[f"network {network}"] += 1
            continue
        kind = KIND_OF_CATEGORY.get(str(tag.get("category")), Kind.OTHER)
        if kind is Kind.EXCHANGE and actor in NO_EXCHANGE:
            dropped[f"actor {actor} is not an exchange"] += 1
            continue
        row = _row(
            place,
            address=str(tag.get("address") or ""),
            entity=ENTITY_OF_ACTOR.get(actor, actor.lower()),
            kind=kind,
            known_at=_day(place, str(tag.get("lastmod") or "")),
            source=str(tag.get("source") or ""),
            confidence=CONFIDENCE_OF_RANK.get(str(tag.get("confidence"))),
        )
        rows.append(row)
    return Labels(rows=_frame(rows), dropped=dropped)


def _row(
    place: str,
    *,
    address: str,
    entity: str,
    kind: Kind,
    known_at: date,
    source: str,
    valid_from: date | None = None,
    confidence: float | None = None,
) -> tuple[Any, ...]:
    """One label in the order of `LABEL`; raises `BadInputError` for an invalid one."""
    try:
        script = script_of(address)
    except ValueError as error:
        raise BadInputError(place, address, f"a Bitcoin address ({error})", "correct or remove the row") from error
    for name, text in (("entity", entity), ("source", source)):
        if not text:
            raise BadInputError(f"{place}, {name}", text, "a text", "add it, or remove the row")
    return script, address, entity, kind.value, valid_from, known_at, source, confidence


def _frame(rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    schema = {name: column.dtype.type for name, column in LABEL.columns.items()}
    return enforce(pl.DataFrame(list(rows), schema=schema, orient="row"), LABEL)


def _text(path: Path | Traversable) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInputError(str(path), error.strerror, "a readable file", "check the path") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} byte {error.start}", error.reason, "UTF-8", "save it as UTF-8") from error


def _header(path: Path | Traversable) -> list[str]:
    return _text(path).partition("\n")[0].strip().split(",")


def _cells(path: Path | Traversable, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a CSV as its place and its cells; the header must have all of `columns`."""
    reader = csv.DictReader(StringIO(_text(path), newline=""), strict=True)
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise BadInputError(f"{path} line 1", reader.fieldnames, f"the columns {', '.join(columns)}", "add them")
    try:
        for row in reader:
            place = f"{path} line {reader.line_num}"
            if None in row or None in row.values():
                raise BadInputError(
                    place, list(row.values()), f"{len(reader.fieldnames or ())} cells", "correct the row"
                )
            yield place, {name: row[name].strip() for name in columns}
    except csv.Error as error:
        raise BadInputError(
            f"{path} line {reader.line_num}", str(error), "comma-separated cells", "correct it"
        ) from error


def _kind(place: str, name: str) -> Kind:
    if name not in KIND_OF_NAME:
        expected = f"one of {', '.join(sorted(KIND_OF_NAME))}"
        raise BadInputError(f"{place}, kind", name, expected, "correct the row")
    return KIND_OF_NAME[name]


def _day(place: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(place, text, "a date like 2026-02-05", "correct the row") from error


def _confidence(place: str, text: str) -> float | None:
    try:
        number = float(text) if text else None
    except ValueError:
        number = -1.0
    if number is not None and not 0 <= number <= 1:
        raise BadInputError(f"{place}, confidence", text, "a number from 0 to 1, or nothing", "correct the row")
    return number
