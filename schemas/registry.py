"""The curated registry: one hand-written schema a table, published with its descriptions as column comments."""

from collections.abc import Iterator, Sequence, Set
from datetime import date
from typing import Final

import pandera.polars as pa
import polars as pl

from schemas.enforce import Holds, contract, value_check
from schemas.registry_rules import DEAL_RANGES, ESCALATOR, FILING_KIND, FUNDED, GPU_CLOUD, Rule, address_rules
from schemas.text import PLAIN_EXPECTED, is_plain
from schemas.units import Aggregation, Unit

CUSTOMER_CONTRACT: Final = ("contract", "extension")
"""Kinds of deal that bind a customer, so that their power and value count."""
OTHER_ANNOUNCEMENT: Final = ("letter_of_intent", "joint_venture", "acquisition")
"""Kinds of deal kept for the record, which carry neither power nor value."""
BACKSTOP: Final = ("guarantee", "letter_of_credit")
"""Kinds of credit support by which a third party pays when the tenant does not."""
OTHER_SUPPORT: Final = ("prepayment", "equity_right")
LEASE_TYPES: Final = ("nnn", "modified_gross", "colo_other", GPU_CLOUD)
MINED: Final = "mined"
PARTLY_MINED: Final = "partly_mined"
NEVER_MINED: Final = "never_mined"
NEW_BUILDING: Final = "new"
CONVERTED: Final = "converted"
IMPUTED: Final = "imputed"
OPEN_REVIEW: Final = "open"
TERMINATED: Final = "terminated"
UNVERIFIED: Final = "unverified"
COMPANY_GUIDANCE: Final = "company"
VERIFIED: Final = pl.col("confidence") != UNVERIFIED
"""What the headline figures are of, wherever the registry is summed up."""
NETWORK: Final = "network"
STRESS: Final = "P"
AMBIGUOUS: Final = "N"
"""Classes of episodes: miners in distress; difficulty that fell at a halving or without a report of it."""
WEATHER: Final = ("storm", "heat", "grid_alert", "power_cut")
"""Kinds of outage that end when weather or grid allow it."""

_SLUG: Final = r"^[a-z0-9]+(_[a-z0-9]+)*$"
_SLUG_EXPECTED: Final = "small letters and digits joined by underscores"
_FIRST_DAY: Final = date(2009, 1, 3)
_LAST_DAY: Final = date(2049, 12, 31)
_MILLION: Final = 1_000_000
_TRILLION: Final = 1_000_000 * _MILLION
_POWER_LIMIT_MW: Final = 20_000
_SITE_LIMIT_MW: Final = 5_000
"""Of one site that has its power: a judgement, at more than twice the largest that anybody plans to have in 2026."""
_EFFICIENCY_TOLERANCE: Final = 0.02
_POWER_AND_VALUE: Final = ("critical_it_mw", "gross_mw", "contract_value_usd", "with_extensions_value_usd")


def _column(
    dtype: type[pl.DataType], description: str, unit: str, holds: Holds, expected: str, *, optional: bool
) -> pa.Column:
    check = value_check(holds, expected)
    return pa.Column(dtype, check, nullable=optional, description=description, metadata={"unit": unit})


def _text(description: str, *, optional: bool = False) -> pa.Column:
    # A stray blank would make two names of one company, and the sums by company would split in silence.
    return _pattern(description, r"^\S(.*\S)?$", f"{PLAIN_EXPECTED}, without blanks at its ends", optional=optional)


def _pattern(description: str, pattern: str, expected: str, *, optional: bool = False) -> pa.Column:
    def matches(cell: pl.Expr) -> pl.Expr:
        return cell.str.contains(pattern) & is_plain(cell)

    return _column(pl.String, description, Unit.LABEL.label, matches, expected, optional=optional)


def _choice(description: str, *values: str, optional: bool = False) -> pa.Column:
    def is_one(cell: pl.Expr) -> pl.Expr:
        return cell.is_in(values)

    return _column(pl.String, description, Unit.LABEL.label, is_one, f"one of {', '.join(values)}", optional=optional)


def _slug(description: str) -> pa.Column:
    return _pattern(description, _SLUG, _SLUG_EXPECTED)


def _refers_to(table: str, description: str, *, optional: bool = False) -> pa.Column:
    """A column of short names of `table`; that they exist is checked where all tables are at hand."""
    column = _text(description, optional=optional)
    column.metadata |= {"refers_to": table}
    return column


def _company(description: str, *, optional: bool = False) -> pa.Column:
    return _refers_to("company", description, optional=optional)


def _day(description: str, *, optional: bool = False, planned: bool = False) -> pa.Column:
    """A column of days; only a `planned` one may lie in the future."""
    expected = f"a day from {_FIRST_DAY} to {_LAST_DAY}"
    column = _column(pl.Date, description, Unit.DAY.label, _within(_FIRST_DAY, _LAST_DAY), expected, optional=optional)
    column.metadata |= {"planned": planned}
    return column


def _number(description: str, unit: str, least: float, most: float, *, optional: bool = False) -> pa.Column:
    expected = f"{unit} from {least} to {most}"
    return _column(pl.Float64, description, unit, _within(least, most), expected, optional=optional)


def _whole(description: str, unit: str, least: int, most: int, *, optional: bool = False) -> pa.Column:
    expected = f"{unit} from {least} to {most}"
    return _column(pl.Int64, description, unit, _within(least, most), expected, optional=optional)


def _within(least: date | float, most: date | float) -> Holds:
    # Both bounds, always: NaN sorts above every number, so a lower bound alone would let it pass.
    def is_within(cell: pl.Expr) -> pl.Expr:
        return cell.is_between(least, most)

    return is_within


def _usd(description: str, *, optional: bool = False, least: int = _MILLION) -> pa.Column:
    # At least a million, so that a figure typed in millions is refused.
    return _whole(description, Unit.USD.label, least, _TRILLION, optional=optional)


def _added(column: pa.Column) -> pa.Column:
    """A column whose values may be added up over the table's key."""
    column.metadata |= {"aggregation": Aggregation.SUM}
    return column


def _megawatt(description: str) -> pa.Column:
    return _number(description, Unit.MEGAWATT.label, 0.1, _POWER_LIMIT_MW, optional=True)


def _source_url() -> pa.Column:
    description = "Address of the text the row rests on; NULL means from memory or from a text without an address"
    return _pattern(description, r"^https?://\S+$", "an address that starts with http:// or https://", optional=True)


def _notes(*, optional: bool) -> pa.Column:
    return _text("What is sourced, derived or doubtful about the row", optional=optional)


def _url_read() -> pa.Column:
    description = (
        "'read': stored text of that address was read; 'cited': another text that was read quotes it; NULL: no address"
    )
    return _choice(description, "read", "cited", optional=True)


def _known_at(*, optional: bool = False) -> pa.Column:
    description = "Day from which anybody could know the row; no earlier day may use it"
    return _day(description + ("; without it the row counts on no day" if optional else ""), optional=optional)


def _provenance(*, notes_optional: bool) -> dict[str, pa.Column]:
    """The columns most tables end with: where the row comes from, what to know about it, whether it was read."""
    return {"source_url": _source_url(), "notes": _notes(optional=notes_optional), "url_read": _url_read()}


def _at_most(low: str, high: str) -> Rule:
    return Rule(statement=f"{low} at most {high}", holds=pl.col(low) <= pl.col(high))


def _not_after(earlier: str, later: str) -> Rule:
    return Rule(statement=f"{earlier} not after {later}", holds=pl.col(earlier) <= pl.col(later))


_PROVENANCE_RULES: Final = (
    Rule(
        statement="url_read given exactly where source_url is",
        holds=pl.col("source_url").is_null() == pl.col("url_read").is_null(),
    ),
    Rule(
        statement="notes say where a row without source_url comes from",
        holds=pl.col("source_url").is_not_null() | pl.col("notes").is_not_null(),
    ),
)

_UNVERIFIED_WITHOUT_SOURCE: Final = Rule(
    statement="confidence unverified where source_url is empty",
    holds=pl.col("source_url").is_not_null() | (pl.col("confidence") == UNVERIFIED),
)
_KNOWN_IF_ANNOUNCED: Final = Rule(
    statement="known_at given exactly where announced_on is",
    holds=pl.col("known_at").is_null() == pl.col("announced_on").is_null(),
)

_JUDGED_WITHOUT_SOURCE: Final = Rule(
    statement="confidence judgement where source_url is empty",
    holds=pl.col("source_url").is_not_null() | (pl.col("confidence") == "judgement"),
)


def _schema(
    name: str, description: str, key: Sequence[str], columns: dict[str, pa.Column], rules: Sequence[Rule] = ()
) -> pa.DataFrameSchema:
    rules = (*rules, *_rules_of_shared_columns(columns.keys()))
    return contract(name, columns, [rule.check() for rule in rules], key, description, rules=rules)


def _rules_of_shared_columns(columns: Set[str]) -> Iterator[Rule]:
    """What must be true of columns that several tables have."""
    if columns >= {"announced_on", "known_at"}:
        yield _not_after("announced_on", "known_at")
    if columns >= {"as_of", "known_at"}:
        yield _not_after("as_of", "known_at")
    if "source" in columns:
        yield _JUDGED_WITHOUT_SOURCE
    if "url_read" in columns:
        yield from _PROVENANCE_RULES
    if "source_url" in columns:
        yield from address_rules()


def row_rules(schema: pa.DataFrameSchema) -> tuple[Rule, ...]:
    """What must be true between the cells of one row of a registry table."""
    return tuple((schema.metadata or {})["rules"])


COMPANY: Final = _schema(
    "company",
    "One row a company that other tables refer to; filings are looked through of every one whose cik is known",
    ["company"],
    {
        "company": _slug("Short name, the same for ever: names and tickers change, this does not"),
        "name": _text("Name at the last edit; earlier and other names are in `company_name`"),
        "role": _choice(
            "What it is here; a 'tenant' is a private user or seller of computing power",
            "miner",
            "former_miner",
            "joint_venture",
            "technology_company",
            "tenant",
            "machine_maker",
        ),
        "ticker": _pattern(
            "Stock ticker; NULL for a company that is not listed",
            r"^[A-Z]{1,5}$",
            "up to five capital letters",
            optional=True,
        ),
        # The form has ten digits, but the numbers that are given out had seven in 2026.
        "cik": _whole("SEC Central Index Key; NULL where not known", "number", 1, 9_999_999, optional=True),
        "parent": _company(
            "Company that holds the majority, in `company`; NULL where there is none or it was not looked up",
            optional=True,
        ),
    }
    | _provenance(notes_optional=True),
)

COMPANY_NAME: Final = _schema(
    "company_name",
    "One row a name that a company had before, or is called by beside its name in `company`",
    ["name"],
    {
        "company": _company("Company, in `company`"),
        "name": _text("The other name"),
        "valid_until": _day("Day from which it had its next name; NULL where the name is in use", optional=True),
    }
    | _provenance(notes_optional=True),
)

CONVERSION_DEAL: Final = _schema(
    "conversion_deal",
    "One row a version of an announced deal that turns a miner's power to AI, tranches and extensions as deals of "
    "their own; sum the rows whose superseded_at is NULL",
    ["deal_id", "known_at"],
    {
        "deal_id": _pattern(
            "Short name of the deal: company, tenant or site, month",
            r"^[A-Z0-9]+(-[A-Z0-9]+)*$",
            "capital letters and digits joined by hyphens",
        ),
        "announced_on": _day(
            "Day the deal was first announced; where the notes call the day remembered, only its month is sourced. "
            "The same in every version",
            optional=True,
        ),
        "known_at": _known_at(),
        "superseded_at": _day(
            "Day a later version of the deal became known; NULL for the version that stands", optional=True
        ),
        "effective_at": _day("Day the contract took effect, where the sources state it", optional=True),
        "kind": _choice(
            "What was announced: 'contract' or 'extension' bind a customer; 'letter_of_intent', 'joint_venture' and "
            "'acquisition' do not, and carry neither power nor value",
            *CUSTOMER_CONTRACT,
            *OTHER_ANNOUNCEMENT,
        ),
        "lease_type": _choice(
            "How the customer pays: 'nnn' is a triple-net lease, 'colo_other' any other lease of power and building or "
            "one whose form is not stated, 'gpu_cloud' includes the servers and is not comparable with a lease; NULL "
            "where no customer is bound",
            *LEASE_TYPES,
            optional=True,
        ),
        "miner": _company("Company that supplies the power and the building, in `company`"),
        "joint_venture": _company(
            "Joint venture of the miner that holds the contract, all of whose power and value is counted here; NULL "
            "where the miner holds it itself",
            optional=True,
        ),
        "site": _refers_to(
            "site", "Site the deal is about, in `site`; NULL where it is not known or not one site", optional=True
        ),
        "site_part": _text(
            "What the sources state of the place beyond the site: a building, a phase, several sites", optional=True
        ),
        "state_or_country": _text(
            "State of the United States, Canadian province or country; NULL where there are several", optional=True
        ),
        "tenant": _company(
            "Company that signs the contract, in `company`, a subsidiary under its group; NULL where it is not named "
            "or there is none yet",
            optional=True,
        ),
        "tenant_as_stated": _text("How the sources call the tenant, where not by the company's name", optional=True),
        "end_customer": _company(
            "Company that uses the capacity behind the tenant, where one is named, as in `company`", optional=True
        ),
        "end_customer_as_stated": _text(
            "How the sources call the end customer, where not by the company's name", optional=True
        ),
        "critical_it_mw": _megawatt(
            "Power delivered to servers, storage and network, without cooling and losses; NULL where not stated"
        ),
        "gross_mw": _megawatt(
            "Power the site draws or is contracted for with the utility; NULL where not stated, never computed from "
            "critical power"
        ),
        "term_years": _number("Base term, without extension options", Unit.YEARS.label, 0.1, 99, optional=True),
        "contract_value_usd": _usd(
            "Undiscounted revenue of the base term as the company states it, or as the notes derive it; NULL where "
            "not disclosed",
            optional=True,
        ),
        "with_extensions_value_usd": _usd("The same with every extension option taken", optional=True),
        "noi_usd": _usd("Net operating income of the base term as the company states it", optional=True),
        "escalator_pct": _number("Rise of the rent a year", Unit.PERCENT.label, 0, 20, optional=True),
        "building": _choice(
            "Whether the building is 'new' or 'converted' from one that stood; a converted one costs less. NULL where "
            "not known",
            NEW_BUILDING,
            CONVERTED,
            optional=True,
        ),
        "capex_usd": _usd("What the miner says the building will cost, servers left out", optional=True),
        "site_history": _choice(
            "Whether the power mined bitcoin before: only then does the deal take hash rate away; NULL where not known",
            MINED,
            PARTLY_MINED,
            NEVER_MINED,
            optional=True,
        ),
        "prior_mining_mw": _megawatt("Power that mined at the site before and that the deal takes; NULL where unknown"),
        "mining_stopped_on": _day("Day the mining stopped there; a month is its last day", optional=True),
        "backstop_provider": _company(
            "Company that supports the credit of the tenant or pays up front, as `credit_support` states how; NULL "
            "where there is none or it is not named",
            optional=True,
        ),
        "backstop_usd": _usd(
            "Guarantees and letters of credit behind this deal whose amount is disclosed, as `credit_support` lists "
            "them; NULL where there is none or no amount is disclosed",
            optional=True,
        ),
        "warrants_or_equity_note": _text("Equity that changed hands with the deal", optional=True),
        "expected_start": _day(
            "First capacity expected or delivered; a quarter is its first or last day", optional=True, planned=True
        ),
        "expected_full_delivery": _day("Last capacity expected or delivered", optional=True, planned=True),
        "status": _choice(
            "Where the deal stands at the last edit of the registry, not on the day of announcement",
            "announced",
            "under_construction",
            "delivering",
            TERMINATED,
        ),
        "ended_on": _day(
            "Day a terminated deal ended, or was reported to have; from that day on it does not count", optional=True
        ),
        "source_url": _source_url(),
        "source_kind": _choice("What kind of text the source is", "8-K", "press release", "news"),
        "confidence": _choice(
            "'confirmed': the parties' own text or two independent ones; 'reported': one secondary text; "
            "'unverified': memory, or a text with no address",
            "confirmed",
            "reported",
            UNVERIFIED,
        ),
        "notes": _notes(optional=False),
        "url_read": _url_read(),
    },
    [
        _at_most("critical_it_mw", "gross_mw"),
        _at_most("contract_value_usd", "with_extensions_value_usd"),
        Rule(
            statement="backstop_usd at most the value it stands behind",
            holds=pl.col("backstop_usd") <= pl.coalesce("with_extensions_value_usd", "contract_value_usd"),
        ),
        Rule(
            statement="no power and no value unless a customer is bound",
            holds=pl.col("kind").is_in(CUSTOMER_CONTRACT)
            | pl.all_horizontal(pl.col(name).is_null() for name in _POWER_AND_VALUE),
        ),
        Rule(
            statement="an extension adds no power",
            holds=(pl.col("kind") != "extension") | (pl.col("critical_it_mw").is_null() & pl.col("gross_mw").is_null()),
        ),
        Rule(
            statement="lease_type given where a customer is bound",
            holds=~pl.col("kind").is_in(CUSTOMER_CONTRACT) | pl.col("lease_type").is_not_null(),
        ),
        Rule(
            statement="no mining power and no day it stopped at a site that never mined",
            holds=pl.col("site_history").ne_missing(NEVER_MINED)
            | (pl.col("prior_mining_mw").is_null() & pl.col("mining_stopped_on").is_null()),
        ),
        Rule(statement="known_at before superseded_at", holds=pl.col("known_at") < pl.col("superseded_at")),
        _not_after("announced_on", "ended_on"),
        _not_after("announced_on", "expected_full_delivery"),
        _not_after("expected_start", "expected_full_delivery"),
        Rule(
            statement="ended_on given exactly where status is terminated",
            holds=(pl.col("status") == TERMINATED) == pl.col("ended_on").is_not_null(),
        ),
        _UNVERIFIED_WITHOUT_SOURCE,
        FILING_KIND,
        ESCALATOR.rule(),
        *(each.rule() for each in DEAL_RANGES),
    ],
)

DEAL_DELIVERY: Final = _schema(
    "deal_delivery",
    "One row a step by which the power of a deal was switched on for the customer",
    ["deal_id", "energised_on"],
    {
        "deal_id": _text("Deal it belongs to, in `conversion_deal`"),
        "energised_on": _day("Day the power was on, or the day on which it is stated to be on"),
        "known_at": _known_at(),
        "critical_it_mw": _added(_number("Critical power the step adds", Unit.MEGAWATT.label, 0.1, _POWER_LIMIT_MW)),
        "split": _choice(
            "'stated' for the deal itself, or 'imputed': divided by us over the deals of a company's total, or dated "
            "by us where only a month is stated",
            "stated",
            IMPUTED,
        ),
        "source_url": _source_url(),
        "confidence": _choice(
            "'confirmed': two texts agree; 'reported': one text; 'unverified': a text with no address",
            "confirmed",
            "reported",
            UNVERIFIED,
        ),
        "notes": _notes(optional=False),
        "url_read": _url_read(),
    },
    [_not_after("energised_on", "known_at"), _UNVERIFIED_WITHOUT_SOURCE],
)

CREDIT_SUPPORT: Final = _schema(
    "credit_support",
    "One row a promise by which a party other than the tenant carries the risk of a deal, or money paid up front",
    ["deal_id", "provider", "kind"],
    {
        "deal_id": _text("Deal it belongs to, in `conversion_deal`, which names the miner that is supported"),
        "provider": _company("Company that gives the support, in `company`; NULL where it is not named", optional=True),
        "provider_as_stated": _text("How the sources call it, where not by the company's name", optional=True),
        "kind": _choice(
            "'guarantee' and 'letter_of_credit' stand behind what the tenant owes; 'prepayment' is the customer's own "
            "money; 'equity_right' is a right to buy shares",
            *BACKSTOP,
            *OTHER_SUPPORT,
        ),
        "amount_usd": _added(
            _usd(
                "Amount or cap of the support, an increment where the notes say so; NULL where none is disclosed, 0 "
                "where it is stated to be none",
                least=0,
                optional=True,
            )
        ),
        "announced_on": _day("Day it became public", optional=True),
        "known_at": _known_at(optional=True),
    }
    | _provenance(notes_optional=False),
    [
        _KNOWN_IF_ANNOUNCED,
        Rule(
            statement="provider, or provider_as_stated where it is not named",
            holds=pl.col("provider").is_not_null() | pl.col("provider_as_stated").is_not_null(),
        ),
    ],
)

SITE: Final = _schema(
    "site",
    "One row a power site of a miner or former miner, as known at the last edit of the registry",
    ["site"],
    {
        "site": _slug("Short name of the site, by which deals refer to it"),
        "name": _text("Name of the site"),
        "operator": _company("Company that runs it, in `company`"),
        "location": _text("County or town, state or province", optional=True),
        "grid": _text("Grid operator or utility; from the location where the source does not name it", optional=True),
        "energized_mw": _number(
            "Power available today; for some sites generation or mere access, see the notes",
            Unit.MEGAWATT.label,
            0.1,
            _SITE_LIMIT_MW,
            optional=True,
        ),
        "pipeline_mw": _megawatt("Power planned or approved, the energised part included where the notes say so"),
        "current_use": _choice(
            "What the power does: 'mining', 'converting' to AI, 'hpc' already, or 'pipeline' with no load yet",
            "mining",
            "converting",
            "hpc",
            "pipeline",
        ),
        "conversion_status": _text("Last known step toward AI use", optional=True),
    }
    | _provenance(notes_optional=True),
)

TENANT_FUNDING: Final = _schema(
    "tenant_funding",
    "One row a miner, tenant and quarter of the miner's capital expenditure of which the tenant paid a part",
    ["miner", "tenant", "period_end"],
    {
        "miner": _company("Company that builds, in `company`"),
        "tenant": _company("Tenant that pays a part of it, in `company`"),
        "period_end": _day("Last day of the quarter"),
        "capex_usd": _usd("Capital expenditure of the miner in the quarter, at all its sites"),
        "tenant_funded_usd": _added(_usd("Part of it that the tenant paid")),
        "known_at": _known_at(),
    }
    | _provenance(notes_optional=True),
    [
        FUNDED.rule(),
        Rule(statement="period_end before known_at", holds=pl.col("period_end") < pl.col("known_at")),
    ],
)

CAPEX_QUARTER: Final = _schema(
    "capex_quarter",
    "One row a company and quarter of capital expenditure actually spent; the basis differs by company, see the notes",
    ["company", "period_end"],
    {
        "company": _company("Company that spends, in `company`"),
        "fiscal_year": _whole("The company's own fiscal year", "year", 2009, 2049),
        "fiscal_quarter": _choice("The company's own fiscal quarter", "Q1", "Q2", "Q3", "Q4"),
        "period_end": _day("Last day of the quarter; use it to align companies"),
        "capex_usd": _added(_usd("Capital expenditure of the quarter")),
        "basis": _choice(
            "What is counted: 'cash_purchases' of property and equipment, the same net of proceeds and incentives, "
            "or with the principal paid on finance leases",
            "cash_purchases",
            "cash_purchases_net",
            "with_finance_lease_principal",
        ),
        "known_at": _day(
            "Day the figure was filed; where that was not looked up, the last day the law allows: 40 days after a "
            "quarter, 60 after a fiscal year"
        ),
    }
    | _provenance(notes_optional=False),
    [
        Rule(
            statement="period_end is the last day of a month",
            holds=pl.col("period_end") == pl.col("period_end").dt.month_end(),
        ),
        Rule(statement="period_end before known_at", holds=pl.col("period_end") < pl.col("known_at")),
    ],
)

CAPEX_GUIDANCE: Final = _schema(
    "capex_guidance",
    "One row an announcement of what a company means to spend in a year; the latest one stands",
    ["company", "calendar_or_fiscal_year", "basis", "announced_on"],
    {
        "company": _company("Company the figure is about, in `company`"),
        "calendar_or_fiscal_year": _pattern(
            "Year the figure is about: CY for a calendar year, FY for the company's own fiscal year",
            r"^(CY|FY)20\d\d$",
            "CY or FY and a year, like CY2026",
        ),
        "basis": _choice(
            "Whose figure it is: the 'company' itself, or an 'analyst' where the company gave none",
            COMPANY_GUIDANCE,
            "analyst",
        ),
        "low_usd": _usd("Low end of the range, equal to the high end of a single figure"),
        "high_usd": _usd("High end of the range"),
        "announced_on": _day("Day of the announcement", optional=True),
        "known_at": _known_at(optional=True),
    }
    | _provenance(notes_optional=True),
    [_at_most("low_usd", "high_usd"), _KNOWN_IF_ANNOUNCED],
)

MINER_FLEET: Final = _schema(
    "miner_fleet",
    "One row a miner and date on which it stated figures of its fleet",
    ["miner", "as_of"],
    {
        "miner": _company("Company, in `company`"),
        "as_of": _day("Day the figures describe"),
        "energized_hashrate_ehs": _number(
            "Hash rate of the machines switched on", Unit.EXAHASH_PER_SECOND.label, 0, 5_000, optional=True
        ),
        "fleet_efficiency_j_per_th": _number(
            "Energy the fleet spends per terahash", Unit.JOULE_PER_TERAHASH.label, 1, 200, optional=True
        ),
        "power_capacity_mw": _megawatt("Power developed, contracted or used: see the notes for which"),
        "power_cost_usd_per_kwh": _number("Price paid for energy", "USD/kWh", 0, 1, optional=True),
        "btc_held": _number("Bitcoin on the balance sheet", Unit.BTC.label, 0, 21_000_000, optional=True),
    }
    | _provenance(notes_optional=True),
)

ASIC_MODEL: Final = _schema(
    "asic_model",
    "One row a mining machine as its maker rates it",
    ["model"],
    {
        "model": _text("Name of the machine, cooling and hash rate variant included"),
        "maker": _company("Company that makes it, in `company`"),
        "released": _day("First day of the month of release, mostly remembered: take it as three months either way"),
        "ths": _number("Rated hash rate", "TH/s", 1, 10_000),
        "watts": _number("Rated power at the wall", "W", 100, 100_000),
        "j_per_th": _number("Rated energy per terahash", Unit.JOULE_PER_TERAHASH.label, 1, 200),
    }
    | _provenance(notes_optional=False),
    [
        Rule(
            statement=f"j_per_th within {_EFFICIENCY_TOLERANCE:.0%} of watts / ths",
            holds=(pl.col("watts") / pl.col("ths") / pl.col("j_per_th") - 1).abs() <= _EFFICIENCY_TOLERANCE,
        ),
    ],
)


def _estimate_dates() -> dict[str, pa.Column]:
    """The two dates of an estimate: what it describes, and from when on anybody could know it."""
    return {
        "as_of": _day("Day the estimate describes"),
        "known_at": _day("Day it was published; no earlier day may use it"),
    }


def _estimate_source() -> dict[str, pa.Column]:
    return {
        "source": _text("Who made the estimate"),
        "source_url": _source_url(),
        "confidence": _choice(
            "'confirmed': two texts agree; 'reported': one text; 'judgement': our own choice",
            "confirmed",
            "reported",
            "judgement",
        ),
        "notes": _notes(optional=True),
    }


FLEET_EFFICIENCY: Final = _schema(
    "fleet_efficiency",
    "One row a dated estimate of what a fleet spends per terahash; a day uses the newest one published by then, and of "
    "the network carries it on from its date by 20 % less a year",
    ["fleet", "as_of", "known_at"],
    {
        **_estimate_dates(),
        "fleet": _choice(
            "'network' for all machines together; 'new' and 'old' are fixed yardsticks", NETWORK, "new", "old"
        ),
        "efficiency_j_per_th": _number("Energy per terahash", Unit.JOULE_PER_TERAHASH.label, 1, 500),
        "pue_ratio": _number("Energy of the site over energy of the machines, 1 where already included", "ratio", 1, 2),
        "method": _text("How the estimate was made"),
        **_estimate_source(),
    },
)

POWER_PRICE: Final = _schema(
    "power_price",
    "One row a dated estimate of what miners pay for energy and in all; a day uses the newest one published by then",
    ["as_of", "known_at", "scope"],
    {
        **_estimate_dates(),
        "scope": _choice(
            "'network': all miners, the rows that days use; 'part': what some miners or hosts state, for comparison",
            NETWORK,
            "part",
        ),
        "power_usd_per_mwh": _number("Price of energy", Unit.USD_PER_MEGAWATT_HOUR.label, 5, 500),
        "all_in_usd_per_mwh": _number(
            "Cash cost, energy and operations; NULL where the source speaks of energy only",
            Unit.USD_PER_MEGAWATT_HOUR.label,
            5,
            500,
            optional=True,
        ),
        **_estimate_source(),
    },
    [
        _at_most("power_usd_per_mwh", "all_in_usd_per_mwh"),
    ],
)

ASIC_PRICE: Final = _schema(
    "asic_price",
    "One row a dated price of the newest generation of mining machines; a day uses the newest one published by then",
    ["as_of", "known_at"],
    {
        **_estimate_dates(),
        "machine_usd_per_th": _number("Price of a terahash per second", Unit.USD_PER_TERAHASH.label, 0.5, 1_000),
        "machine_j_per_th": _number("Energy the machines spend", Unit.JOULE_PER_TERAHASH.label, 1, 200),
        **_estimate_source(),
    },
)

LEASE_ASSUMPTION: Final = _schema(
    "lease_assumption",
    "One row a dated set of assumptions for valuing a lease where the parties do not state them",
    ["as_of", "known_at"],
    {
        **_estimate_dates(),
        "guaranteed_discount_pct": _number("Discount rate with a guarantor", Unit.PERCENT.label, 0, 50),
        "unguaranteed_discount_pct": _number("Discount rate without one", Unit.PERCENT.label, 0, 50),
        "energise_lag_years": _number("Time from spending to rent", Unit.YEARS.label, 0, 10),
        **{
            f"{building}_{case}usd_per_mw": _number(
                f"Cost of a critical MW of a {words}, servers left out{end}", Unit.USD_PER_MEGAWATT.label, 1e5, 1e8
            )
            for building, words in (("new_building", "new building"), ("converted", "converted building"))
            for case, end in (("low_", ", the least"), ("", ""), ("high_", ", the most"))
        },
        "noi_margin_ratio": _number("Net operating income over rent", Unit.RATIO.label, 0, 1),
        "escalator_pct": _number("Rise of the rent a year where not stated", Unit.PERCENT.label, 0, 20),
        "gross_to_critical_ratio": _number("Gross over critical power where not stated", Unit.RATIO.label, 1, 2),
        "mining_uptime_ratio": _number("Part of the year a mine runs", Unit.RATIO.label, 0, 1),
        "relocated_ratio": _number("Part of displaced machines that mine elsewhere", Unit.RATIO.label, 0, 1),
        **_estimate_source(),
    },
    [
        _at_most("guaranteed_discount_pct", "unguaranteed_discount_pct"),
        *(
            _at_most(f"{building}_{low}usd_per_mw", f"{building}_{high}usd_per_mw")
            for building in ("new_building", "converted")
            for low, high in (("low_", ""), ("", "high_"))
        ),
        ESCALATOR.rule(),
    ],
)

PROXY_POOL: Final = _schema(
    "proxy_pool",
    "One row a mining pool that hands out the block templates of another; they count as one from `known_at` on",
    ["pool"],
    {
        "pool": _pattern("Pool, as it is called in `pool_daily`", r"^[a-z0-9]+$", "small letters and digits"),
        "proxy_group": _pattern("Pool whose templates they are", r"^[a-z0-9]+$", "small letters and digits"),
        "known_at": _day("Day it was published; no earlier day may use it"),
        **_estimate_source(),
    },
)

OUTAGE_EVENT: Final = _schema(
    "outage_event",
    "One row a storm, power cut or ban for which miners switched off",
    ["event"],
    {
        "event": _text("Name of the event"),
        "kind": _choice("What it was", *WEATHER, "ban"),
        "start_on": _day("First day"),
        "end_on": _day("Last day"),
        "known_at": _day("Day it was reported; no earlier day may use it"),
        **_estimate_source(),
    },
    [
        _not_after("start_on", "end_on"),
        _not_after("start_on", "known_at"),
    ],
)

FLOW_REGIME: Final = _schema(
    "flow_regime",
    "One row a day from which a supplier's series of miner flows measures something else, because its labels changed",
    ["source", "series", "valid_from"],
    {
        "source": _pattern(
            "Supplier of the series in `meta.sources`; files exported from it count as the same",
            r"^[a-z]+$",
            "its name",
        ),
        "series": _choice("Which of its series", "miner_to_exchange", "miner_outflow"),
        "valid_from": _day("First day that is comparable with the days after it and not with those before"),
        "known_at": _day("Day from which the series itself shows it; no earlier day may use it"),
        "reason": _text("What changed, and by how much"),
        **{name: column for name, column in _estimate_source().items() if name != "source"},
    },
    [_not_after("valid_from", "known_at")],
)

STRESS_EPISODE: Final = _schema(
    "stress_episode",
    "One row an episode by which rules of capitulation are judged afterwards, fixed before our own rule was made; no "
    "column of a day reads it",
    ["episode"],
    {
        "episode": _pattern("Class and number", r"^[PNO]\d+$", "P, N or O and a number"),
        "episode_class": _choice(
            "'P': miners in distress, K4 with K1 or K2; 'N': K2 at a halving or without K4, counted apart; 'O': an "
            "outage or a season, no distress",
            STRESS,
            AMBIGUOUS,
            "O",
        ),
        "core_start_on": _day("First day of the core: of the run of K2, else 30 days before the first report"),
        "core_end_on": _day("Last day of the core: of the run of K2, else 30 days after the last report"),
        "criteria": _pattern(
            "Criteria that hold, none of which reads the score. K1: price of a week 40 % or more below its highest of "
            "365 days. K2: difficulty 5 % or more below its level of 60 days before, on at least 21 days in a row, no "
            "outage. K4: dated public reports of miners that fail, switch off or sell stock for want of income",
            r"^K[124]( K[124])*$",
            "criteria like K1 K2",
            optional=True,
        ),
        "explained_by": _choice(
            "What explains the fall of difficulty, where it is no want of income",
            "halving",
            "season",
            "outage",
            "ban",
            "heat",
            optional=True,
        ),
        "evidence": _text("What was reported, with the date of the text", optional=True),
        **{name: column for name, column in _estimate_source().items() if name != "source"},
    },
    [
        _not_after("core_start_on", "core_end_on"),
        Rule(statement="episode begins with its class", holds=pl.col("episode").str.head(1) == pl.col("episode_class")),
        Rule(
            statement="evidence of an episode of class P, with its address",
            holds=(pl.col("episode_class") != STRESS)
            | (pl.col("evidence").is_not_null() & pl.col("source_url").is_not_null()),
        ),
    ],
)

FILING_REVIEW: Final = _schema(
    "filing_review",
    "One row a filing that a person has read because of its keywords, and what came of it",
    ["accession"],
    {
        "accession": _pattern("Number of the filing", r"^\d{10}-\d{2}-\d{6}$", "a number like 0000789019-26-000046"),
        "review": _choice("'deal': it reports a deal of the registry; 'no_deal': it does not", "deal", "no_deal"),
        "deal_id": _text("The deal, in `conversion_deal`", optional=True),
        "reviewed_on": _day("Day it was read"),
        "notes": _notes(optional=False),
    },
    [
        Rule(
            statement="deal_id given exactly where the review found a deal",
            holds=(pl.col("review") == "deal") == pl.col("deal_id").is_not_null(),
        ),
    ],
)

REGISTRY: Final = {
    schema.name: schema
    for schema in (
        COMPANY,
        COMPANY_NAME,
        CONVERSION_DEAL,
        DEAL_DELIVERY,
        CREDIT_SUPPORT,
        TENANT_FUNDING,
        SITE,
        CAPEX_QUARTER,
        CAPEX_GUIDANCE,
        MINER_FLEET,
        ASIC_MODEL,
        FLEET_EFFICIENCY,
        POWER_PRICE,
        ASIC_PRICE,
        LEASE_ASSUMPTION,
        PROXY_POOL,
        OUTAGE_EVENT,
        FLOW_REGIME,
        STRESS_EPISODE,
        FILING_REVIEW,
    )
}
"""Published registry tables by name; the CSV of a table has its name and its columns."""
