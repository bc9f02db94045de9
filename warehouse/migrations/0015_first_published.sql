-- One row a day and family of data: the figures that signals are made from, as they were in the first publication that
-- had a state of the day. A later publication may have others; these stay.
create table ops.first_published (
    family varchar not null,
    day date not null,
    price_usd double,
    capitulation_state varchar not null,
    rule_hash_ribbon_plain boolean,
    hash_ribbon_state varchar,
    rule_puell_low boolean,
    rule_glassnode_risk boolean,
    rule_difficulty_ribbon_compressed boolean,
    revenue_change_30d_pct double,
    mpi_zscore double,
    is_final boolean,
    score_income_level double,
    score_income_per_hash double,
    score_hashrate double,
    outage_event varchar,
    published_at timestamp not null,
    run_id varchar not null,
    primary key (family, day)
);
comment on table ops.first_published is 'The figures of a day as they were first published. Times are UTC.';
