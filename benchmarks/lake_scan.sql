-- What attribution says of the 0-hop layer, from the files of the lake in one query. Tables `exchange` (address) and `tx`
-- (height, n, inputs, outputs; amounts in bitcoin) are there before; the set of miners grows by the coinbases, each from
-- its own height on.
with paid as (
    select height, n, unnest(outputs) as coin from tx
),
spent as (
    select height, n, unnest(inputs) as coin from tx where n > 0
),
miner as (
    select coin.address as address, min(height) as first_height from paid
    where n = 0 and coin.value > 0 and coin.address is not null group by all
),
labelled as (
    select address, first_height from miner anti join exchange using (address)
),
senders as (
    select height, n, sum(cast(round(coin.value * 1e8) as hugeint)) as total_sat,
        sum(cast(round(coin.value * 1e8) as hugeint)) filter (labelled.address is not null) as miner_sat
    from spent left join labelled on labelled.address = coin.address and first_height <= height
    group by height, n having miner_sat > 0
),
outputs as (
    select height, n, total_sat, miner_sat, cast(round(coin.value * 1e8) as hugeint) as sat,
        labelled.address is null as leaves, exchange.address is not null as deposited
    from senders
    join paid using (height, n)
    left join labelled on labelled.address = coin.address and first_height <= height
    left join exchange on exchange.address = coin.address
),
sent as (
    select (sum(sat) filter (leaves)) * any_value(miner_sat) // any_value(total_sat) as outflow_sat,
        sum(sat * miner_sat // total_sat) filter (deposited) as transfer_sat
    from outputs group by height, n
)
select sum(outflow_sat), sum(transfer_sat) from sent
