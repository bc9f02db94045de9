"""What must be true between the rows and the tables of the registry: references, versions, sums that agree."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from schemas.errors import BadInputError
from schemas.registry import BACKSTOP, REGISTRY


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One file: its rows, and the line of the file each of them starts on."""

    file: str
    rows: pl.DataFrame
    lines: list[int]

    def refusal(self, row: int, columns: tuple[str, ...], expected: str) -> BadInputError:
        """The error that names the cells `columns` of one row, counted from 0."""
        cells = [str(c) if isinstance(c, date) else c for c in self.rows.select(columns).row(row)]
        named = ", ".join(f"{name}={cell}" for name, cell in zip(columns, cells, strict=True))
        found = cells[0] if len(cells) == 1 else named
        return BadInputError(_place(self.file, self.lines[row], columns), found, expected, "correct the row")


def _place(file: str, line: int, columns: tuple[str, ...]) -> str:
    return f"{file} line {line}, column{'s' if len(columns) > 1 else ''} {', '.join(columns)}"


def check_links(sheets: Mapping[str, Sheet]) -> None:
    """Raise `BadInputError` for the first row that contradicts another row or table; `sheets` by table."""
    deals = sheets["conversion_deal"]
    _check_parents(sheets["company"])
    for table in REGISTRY:
        _check_references(table, sheets)
    _check_joint_ventures(deals, sheets["company"])
    _check_versions(deals)
    for table in ("credit_support", "deal_delivery", "filing_review"):
        _check_deals_exist(sheets[table], deals)
    _check_backstops_agree(deals, sheets["credit_support"])
    _check_deliveries_fit(sheets["deal_delivery"], deals)


def references(table: str) -> dict[str, str]:
    """The columns of a registry table that hold short names of another, with the table they refer to."""
    columns = REGISTRY[table].columns.items()
    return {name: target for name, column in columns if (target := (column.metadata or {}).get("refers_to"))}


def expected_of(target: str, cell: str, rows: Mapping[str, pl.DataFrame]) -> str:
    """What a cell that refers to `target` must hold, with the short names whose name is near what was typed.

    `rows`: at least the frames of `target`, and of `company_name` where that is `company`.
    """
    known = dict(rows[target].select(pl.col("name").str.to_lowercase(), target).rows())
    if target == "company":
        known |= dict(rows["company_name"].select(pl.col("name").str.to_lowercase(), "company").rows())
    known |= {slug: slug for slug in rows[target][target]}
    return f"a {target} of {target}.csv, where a new one is a new row{_near(cell, known)}"


def _near(cell: str, known: Mapping[str, str]) -> str:
    """What a mistyped cell may stand for, as the end of a sentence, the nearest first; `known` by all it is called."""
    typed = cell.strip().lower()
    close: Iterable[str] = difflib.get_close_matches(typed, known) or [e for e in known if typed and typed in e]
    near = dict.fromkeys(known[each] for each in close)
    return f"; near it: {', '.join(near)}" if near else ""


def _check_references(table: str, sheets: Mapping[str, Sheet]) -> None:
    """Every short name that a table holds of another is a row of that one."""
    sheet = sheets[table]
    for column, target in references(table).items():
        unknown = (~sheet.rows[column].is_in(sheets[target].rows[target].implode())).fill_null(False).arg_true()
        if unknown.len():
            cell = sheet.rows[column][unknown[0]]
            rows = {name: each.rows for name, each in sheets.items()}
            raise sheet.refusal(unknown[0], (column,), expected_of(target, cell, rows))


def _check_parents(companies: Sheet) -> None:
    """No company is its own parent, by whatever way round: groups are trees."""
    parents = dict(companies.rows.drop_nulls("parent").select("company", "parent").rows())
    for row, company in enumerate(companies.rows["company"]):
        above, seen = parents.get(company), {company}
        while above is not None and above not in seen:
            seen.add(above)
            above = parents.get(above)
        if above is not None:
            raise companies.refusal(row, ("parent",), "a company that does not belong to this one")


def _check_joint_ventures(deals: Sheet, companies: Sheet) -> None:
    """A joint venture that holds a contract belongs to the miner of the deal."""
    parents = companies.rows.select(joint_venture="company", parent="parent")
    joined = deals.rows.join(parents, on="joint_venture", how="left", validate="m:1", maintain_order="left")
    apart = (joined["joint_venture"].is_not_null() & joined["parent"].ne_missing(joined["miner"])).arg_true()
    if apart.len():
        raise deals.refusal(apart[0], ("joint_venture", "miner"), "a joint venture whose parent is the miner")


def _check_versions(deals: Sheet) -> None:
    """Each version of a deal ends on the day the next one is known, and all were announced on one day."""
    ordered = deals.rows.with_row_index("row").sort("deal_id", "known_at")
    following = ordered.with_columns(
        pl.col("known_at").shift(-1).over("deal_id").alias("next_known_at"),
        pl.col("announced_on").first().over("deal_id").alias("first_announced_on"),
    ).sort("row")
    broken = following["superseded_at"].ne_missing(following["next_known_at"]).arg_true()
    if broken.len():
        next_day = following["next_known_at"][broken[0]]
        expected = f"{next_day}, when the next version is known" if next_day else "nothing, no version follows"
        raise deals.refusal(broken[0], ("superseded_at",), expected)
    moved = following["announced_on"].ne_missing(following["first_announced_on"]).arg_true()
    if moved.len():
        expected = f"{following['first_announced_on'][moved[0]]}, as in the first version"
        raise deals.refusal(moved[0], ("announced_on",), expected)


def _check_deals_exist(sheet: Sheet, deals: Sheet) -> None:
    """Every row of `sheet` that names a deal names one of the registry."""
    orphans = (~sheet.rows["deal_id"].is_in(deals.rows["deal_id"].implode())).fill_null(False).arg_true()
    if orphans.len():
        near = _near(sheet.rows["deal_id"][orphans[0]], {each.lower(): each for each in deals.rows["deal_id"]})
        raise sheet.refusal(orphans[0], ("deal_id",), f"a deal_id of {deals.file}{near}")


def _check_backstops_agree(deals: Sheet, support: Sheet) -> None:
    """The backstop in the standing version of a deal is the sum of what `credit_support` lists for it."""
    listed = (
        support.rows.filter(pl.col("kind").is_in(BACKSTOP))
        .drop_nulls("amount_usd")
        .group_by("deal_id")
        .agg(pl.col("amount_usd").sum().alias("listed_usd"))
    )
    joined = deals.rows.join(listed, on="deal_id", how="left", validate="m:1", maintain_order="left")
    apart = (joined["backstop_usd"].ne_missing(joined["listed_usd"]) & joined["superseded_at"].is_null()).arg_true()
    if apart.len():
        expected = (
            f"{joined['listed_usd'][apart[0]]}, the sum of the guarantees and letters of credit in {support.file}"
        )
        raise deals.refusal(apart[0], ("backstop_usd",), expected)


def _check_deliveries_fit(deliveries: Sheet, deals: Sheet) -> None:
    """No deal is switched on with more power than it has, and none before it was announced."""
    standing = deals.rows.filter(pl.col("superseded_at").is_null()).select(
        "deal_id", pl.col("critical_it_mw").alias("deal_mw"), "announced_on"
    )
    joined = deliveries.rows.join(
        standing, on="deal_id", how="left", validate="m:1", maintain_order="left"
    ).with_columns(pl.col("critical_it_mw").cum_sum().over("deal_id", order_by="energised_on").alias("energised_mw"))
    over = (joined["energised_mw"] > joined["deal_mw"]).fill_null(False).arg_true()
    if over.len():
        expected = f"steps that add up to at most the {joined['deal_mw'][over[0]]:g} MW of {joined['deal_id'][over[0]]}"
        raise deliveries.refusal(over[0], ("critical_it_mw",), expected)
    early = (joined["energised_on"] < joined["announced_on"]).fill_null(False).arg_true()
    if early.len():
        expected = f"a day from {joined['announced_on'][early[0]]} on, when the deal was announced"
        raise deliveries.refusal(early[0], ("energised_on",), expected)
