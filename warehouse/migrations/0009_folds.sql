-- Sums of finished days, kept with what they were made from: the same blocks, the same newest batch of observations of
-- them, and the same code give the same sums. Nothing here is an observation; all of it can be computed again.
create schema fold;

create table fold.flow_day (
    source varchar not null,
    day date not null,
    first_height bigint not null,
    last_height bigint not null,
    newest_batch_id bigint not null,
    made_by varchar not null,
    outflow_sat bigint not null,
    outflow_tx_count bigint not null,
    outflow_mean_sat double,
    outflow_top10_sat bigint not null,
    unlabelled_ratio double,
    inflow_sat bigint not null,
    fee_sat bigint not null,
    one_hop_outflow_sat bigint not null,
    coinbase_direct_to_exchange_sat bigint not null,
    to_exchange_sat bigint not null,
    to_exchange_tx_count bigint not null,
    to_exchange_fresh_sat bigint,
    one_hop_to_exchange_sat bigint not null,
    transfer_row_count bigint not null,
    label_set varchar not null
);
comment on table fold.flow_day is 'Flows of a day that was attributed whole, and its key: blocks, newest batch of their flows, code.';

create table fold.exchange_flow_day (
    source varchar not null,
    day date not null,
    axes varchar not null,
    exchange varchar,
    pool varchar,
    transfer_sat bigint not null,
    transfer_count bigint not null,
    top10_sat bigint not null,
    fresh_sat bigint,
    one_hop_sat bigint not null,
    label_set varchar not null
);
comment on table fold.exchange_flow_day is 'Transfers to exchanges of the same day, by each of the axes that they are published by.';

create table fold.comparison (
    compared_at timestamp not null,
    day_count bigint not null,
    different_count bigint not null
);
comment on table fold.comparison is 'When all days were computed anew, and how many of them differed from what was kept. Times are UTC.';
