-- Vendors state the coins of a flow, and not always the transactions that carried them.
alter table raw.exchange_flow alter column transfer_count drop not null;
alter table raw.exchange_flow alter column top10_sat drop not null;
