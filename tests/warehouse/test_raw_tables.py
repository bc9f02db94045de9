"""Statements of raw tables are made from their schemas; one of each kind is compared with the text that it must be."""

from schemas.observations import KEYS, OBSERVED, ObservedTable
from warehouse.raw_tables import append_statement, count_statement, read_statement


def test_every_raw_table_has_a_schema_and_a_key() -> None:
    assert set(OBSERVED) == set(KEYS) == set(ObservedTable)
    assert all(KEYS[table] and set(KEYS[table]) < set(OBSERVED[table].columns) for table in ObservedTable)
    assert KEYS[ObservedTable.BLOCK] == ("height",)
    assert KEYS[ObservedTable.EXCHANGE_FLOW] == ("day", "exchange", "pool")


def test_rows_are_appended_where_they_are_new_or_changed() -> None:
    assert append_statement(ObservedTable.EXCHANGE_FLOW) == (
        """\
insert into raw."exchange_flow" by name
select
    $source as source,
    incoming."day",
    incoming."exchange",
    incoming."pool",
    incoming."transfer_sat",
    incoming."transfer_count",
    incoming."top10_sat",
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw."latest_exchange_flow" as latest
    on latest.source = $source
    and latest."day" = incoming."day"
    and latest."exchange" = incoming."exchange"
    and latest."pool" = incoming."pool"
    and latest."day" between $least and $most
where latest.revision is null
    or latest."transfer_sat" is distinct from incoming."transfer_sat"
    or latest."transfer_count" is distinct from incoming."transfer_count"
    or latest."top10_sat" is distinct from incoming."top10_sat"
order by incoming."day", incoming."exchange", incoming."pool";
"""
    )


def test_the_rows_of_a_batch_are_counted() -> None:
    assert count_statement(ObservedTable.BLOCK) == (
        """\
select count(*) filter (where revision = 0), count(*) filter (where revision > 0)
from raw."block"
where batch_id = ?;
"""
    )


def test_the_rows_of_a_source_are_read_in_the_columns_of_the_schema() -> None:
    assert read_statement(ObservedTable.FILING_FACT, "latest_filing_fact") == (
        """\
select "cik", "tag", "period_start", "period_end", "value_usd", "form", "filed_on", "accession"
from raw."latest_filing_fact"
where source = getvariable('source');
"""
    )
